"""Bodies of requests: what they are, checked before anything is done."""

import functools
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from flask import Response, request
from werkzeug.datastructures import MultiDict

from mlq import InputError
from mlq.core.json_values import from_json
from mlq.http.forms import Part, read_form
from mlq.http.problems import Refused
from mlq.http.shapes import NewJob

T = TypeVar("T")
TAKE = "mlq.take"  # in the environment, where a body waits: reads it, or gives the status and reason to refuse it with
SHARE = "mlq.share"  # in the environment: what the request holds of the room for bodies, until it is answered
KEEP = "mlq.keep"  # in the environment: whether there is room for so many bytes of an answer, until it is sent
FULL = "what other requests sent takes all the room that there is"
AGAIN = "5"  # seconds after which there may be room
JSON_LIMIT = 16 * 1024 * 1024  # bytes of a JSON text
MOST_PARTS = 500_000  # commas, colons and opening brackets of one: 0.1 s to decode, where half of them are of keys
PART = 100  # bytes of memory for each, at most; the texts in them count by themselves
OPTION = 65_536  # bytes of a field of a form
LIGHT = 4096  # bytes of a JSON text that is not weighed
TOLD = 500  # characters of either end of what msgspec says: it names a field that nobody knows whole, be it 16 MB
_PLACE = re.compile(r"^(?P<why>.*?)(?: - at `\$?(?P<where>[^`]*)`)?$", re.DOTALL)
_FORM = "multipart/form-data"
_NUMBERS = frozenset({"ttl", "timeout", "retries", "backoff"})


def taking(view: Callable[..., Response], before: Callable[[], None] | None) -> Callable[..., Response]:
    """The view of a route with a body, which is read only now: whoever may not send it must cost no memory."""

    @functools.wraps(view)
    def taken(**parts: str) -> Response:
        if before is not None:
            before()
        take = request.environ.get(TAKE)
        if take is not None and (broken := take()):
            status, reason = broken
            again = {"Retry-After": AGAIN} if status == 503 else {}
            raise Refused(status, reason, headers={"Connection": "close"} | again)
        return view(**parts)

    return taken


def drop() -> None:
    """Give up the body, which nobody reads any more, and its room: who waits now must not hold memory."""
    share = request.environ.get(SHARE)
    if share is not None:
        share.give_back(share.held)
        request.environ["wsgi.input"].close()


def decoded(shape: type[T]) -> T:
    """The JSON body as a `shape`. Refused: another content type (415), no JSON (400), another shape (422)."""
    if not request.is_json:  # a form on a foreign web page can't send this type
        raise Refused(415, "send the body as JSON, with the header Content-Type: application/json")
    return _shaped(json_of(request.get_data(cache=False)), shape)


def json_of(text: bytes | str, most: int = JSON_LIMIT) -> Any:
    """The value of a JSON text of `most` bytes. Refused: what is none (400), is too much (413), finds no room (503)."""
    try:
        return from_json(_weighed(text if isinstance(text, bytes) else text.encode("utf-8", "replace"), most))
    except InputError:
        raise
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None


def _weighed(text: bytes, most: int) -> str:
    """What may be decoded. Refused: what would take the memory of all, or hold up all others, as nothing stops C."""
    if len(text) <= LIGHT:
        return text.decode()
    if len(text) > most:
        raise Refused(
            413, f"this JSON may have {most:,} bytes; a larger message is posted as a file, with its own type"
        )
    parts = sum(map(text.count, (b",", b":", b"[", b"{")))
    if parts > MOST_PARTS:
        raise Refused(413, f"JSON may have {MOST_PARTS:,} values and keys: post the bytes of a file, or several jobs")
    read = text.decode()
    size = sys.getsizeof(read)  # one character beyond U+FFFF has all others take 4 bytes as well
    width = 4 if b"\\ud" in text or b"\\uD" in text else 2 if b"\\u" in text else 1  # of a character that is escaped
    share = request.environ.get(SHARE)
    if share is not None and not share.hold(size + max(size, width * len(read)) + parts * PART):
        raise Refused(503, FULL, headers={"Retry-After": AGAIN})
    return read


def _shaped(value: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        told = str(error)
        told = told if len(told) <= 2 * TOLD else f"{told[:TOLD]}...{told[-TOLD:]}"
        found = _PLACE.match(told)
        where = (found["where"] if found else "") or ""
        why = found["why"] if found else told
        raise Refused(422, f"the body is not as it should be: {why}{where and f' (at {where})'}",
                      [{"detail": why, "pointer": _pointer(where)}]) from None  # fmt: skip
    except UnicodeEncodeError:  # msgspec looks at UTF-8
        raise Refused(422, "the body is not as it should be: it holds a lone surrogate, which is no text") from None
    except RecursionError:
        raise InputError("the JSON is nested too deeply") from None


def _pointer(where: str) -> str:
    """A place as msgspec tells it, `.functions[0]`, as a JSON pointer: `#/functions/0`."""
    return "#" + "".join(f"/{part}" for part in re.findall(r"[^.\[\]]+", where))


def new_job() -> NewJob:
    """What is to be posted: a JSON object, a form with the message as a file, or the bytes of the message alone.

    Beside a file or bare bytes, the options stand in the form or in the query.
    """
    kind = request.mimetype
    if request.is_json:
        return decoded(NewJob)
    if kind == _FORM:
        return _from_form()
    if kind in ("", "application/x-www-form-urlencoded"):  # what curl says where nobody says anything
        raise Refused(
            415,
            "send the body as JSON, with the header Content-Type: application/json; or a message of bytes with its own "
            "content type, or as the file `msg` of multipart/form-data",
        )
    return _job(request.get_data(cache=False), request.args)


def _from_form() -> NewJob:
    try:
        parts = read_form(request.get_data(cache=False), request.mimetype_params.get("boundary", ""))
        fields = MultiDict((part.name, _field(part)) for part in parts if not part.is_file)
    except ValueError as error:  # also of a field that is not UTF-8
        raise Refused(400, f"the body is not a form: {error}") from None
    files = {part.name: part.content for part in parts if part.is_file}
    if others := sorted(files.keys() - {"msg"}):
        raise Refused(422, f"the only file of the form is `msg`, not {', '.join(others):.200}")
    if "msg" in files:
        return _job(files["msg"], fields)
    if "msg" not in fields:
        raise Refused(422, "the form must hold the message as the file, or the JSON, `msg`")
    return _job(json_of(fields["msg"]), fields)


def _field(part: Part) -> str:
    """Its text. Raises ValueError for bytes that are none; refused: more than an option is, for which others wait."""
    most = JSON_LIMIT if part.name == "msg" else OPTION
    if len(part.content) > most:
        raise Refused(413, f"a field of the form other than a file may have {most:,} bytes: {part.name:.80} has more")
    return part.content.decode()


def _job(message: Any, options: Any) -> NewJob:
    """A job of a message and options that are texts."""
    given: dict[str, Any] = {}
    for name in options:
        if name == "functions":
            given[name] = options.getlist(name)
        elif name != "msg":
            given[name] = options[name]
    try:
        given |= {name: float(given[name]) for name in _NUMBERS & given.keys()}
    except ValueError:
        raise Refused(422, f"{', '.join(sorted(_NUMBERS & given.keys()))}: send numbers") from None
    if "retries" in given and given["retries"].is_integer():
        given["retries"] = int(given["retries"])
    return _shaped(given | {"msg": message}, NewJob)
