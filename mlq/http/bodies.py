"""Reads and checks the bodies of requests."""

import functools
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from flask import Response, request
from werkzeug.datastructures import MultiDict

from mlq import InputError
from mlq.core.checks import nearest
from mlq.core.json_values import MOST_PARTS, from_json, parts_in
from mlq.http.forms import Part, read_form
from mlq.http.problems import Refused, pointer_to
from mlq.http.shapes import NewJob
from mlq.http.turns import Turns

T = TypeVar("T")
LARGE_JSON = 65_536  # bytes of JSON, which take up to 3 ms to parse; longer ones take up to 0.1 s
_short, _long, _forms = Turns(most_waiting=200), Turns(most_waiting=50), Turns(most_waiting=200)
TAKE = "mlq.take"  # in the environment, if there is a body: reads it, or returns a status and a reason to refuse it
PIECES = "mlq.pieces"  # in the environment, if there is a body: gives it in pieces instead, up to so many bytes
STICKY = "sticky"  # the option of a prediction by which the same callers get the same version
SHARE = "mlq.share"  # in the environment: the request's share of the memory for bodies, until it is answered
KEEP = "mlq.keep"  # in the environment: reserves memory for so many bytes of an answer, until it is sent, if it can
FULL = "the bodies of other requests take all the memory that is allowed"
AGAIN = "5"  # seconds after which there may be room
JSON_LIMIT = 16 * 1024 * 1024  # bytes of a JSON text
PART = 100  # bytes of memory for each, at most; strings in them are counted separately
PIECE = 65_536  # bytes of a body that are read at once, if it comes in pieces
OPTION = 65_536  # bytes of a field of a form
UNCOUNTED = 4096  # bytes; the memory for shorter JSON texts is not counted
SHOWN = 500  # characters shown of either end of an error of msgspec, which may contain an unknown field of 16 MB
_PLACE = re.compile(r"^(?P<why>.*?)(?: - at `\$?(?P<where>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile("unknown field `([^`]{1,100})`")
_FORM = "multipart/form-data"
_NUMBERS = frozenset({"ttl", "timeout", "retries", "backoff", "delay", "expires", "priority"})
_LISTS = frozenset({"functions", "after", "then"})


def with_body(view: Callable[..., Response], before: Callable[[], None] | None) -> Callable[..., Response]:
    """The view of a route with a body, read only now, so that a request that is not allowed costs no memory."""

    @functools.wraps(view)
    def reading_body(**parts: str) -> Response:
        if before is not None:
            before()
        take = request.environ.get(TAKE)
        if take is not None and (broken := take()):
            status, reason = broken
            again = {"Retry-After": AGAIN} if status == 503 else {}
            raise Refused(status, reason, headers={"Connection": "close"} | again)
        return view(**parts)

    return reading_body


def pieces(most: int) -> Iterator[bytes]:
    """The body of up to `most` bytes as it comes; none of it is kept. Raises Refused if it is longer, or breaks off."""
    given = request.environ.get(PIECES)
    if given is not None:
        yield from given(most)
        return
    source = request.environ["wsgi.input"]  # called without a socket
    left = min(request.content_length or 0, most + 1)
    while left > 0 and (piece := source.read(min(left, PIECE))):
        left -= len(piece)
        yield piece
    if (request.content_length or 0) > most:
        raise too_long(most)


def too_long(most: int) -> Refused:
    """The refusal of a body of more than `most` bytes."""
    return Refused(413, f"the body may have {most:,} bytes here", headers={"Connection": "close"})


def drop() -> None:
    """Release the body, which is not needed any more, and its memory, before the request waits."""
    share = request.environ.get(SHARE)
    if share is not None:
        share.give_back(share.held)
        request.environ["wsgi.input"].close()


def decoded(shape: type[T]) -> T:
    """The JSON body as a `shape`. Raises Refused: wrong content type (415), not JSON (400), wrong shape (422)."""
    if not request.is_json:  # a form on another site's web page can't send this type
        raise Refused(415, "send the body as JSON, with the header Content-Type: application/json")
    return shaped(json_of(request.get_data(cache=False)), shape)


def inputs() -> tuple[Any, NewJob]:
    """The JSON body as it is, and the options in the query. Raises Refused, as `decoded`."""
    if not request.is_json:
        raise Refused(415, "send the body as JSON, with the header Content-Type: application/json")
    if wrong := sorted({"functions", "msg", "queue"} & request.args.keys()):
        raise Refused(422, f"a prediction has no option {wrong[0]!r}")
    options = request.args.copy()
    options.poplist(STICKY)  # it says which version is asked
    return json_of(request.get_data(cache=False)), _job(None, options)


def json_of(text: bytes | str, most: int = JSON_LIMIT) -> Any:
    """The value of a JSON text of up to `most` bytes. Raises Refused: no JSON (400), too large (413), no room (503)."""
    given = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
    try:
        with (_long if len(given) > LARGE_JSON else _short).take(len(given)):
            return from_json(_admitted(given, most))
    except InputError:
        raise
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {error}") from None


def _admitted(text: bytes, most: int) -> str:
    """The text, if it may be parsed. Raises Refused if that would take too much memory, or block others too long.

    The parser is C code, which can't be interrupted.
    """
    if len(text) <= UNCOUNTED:
        return text.decode()
    if len(text) > most:
        raise Refused(
            413, f"JSON may have {most:,} bytes here; post a larger message as a file, with its own content type"
        )
    parts = parts_in(text)
    if parts > MOST_PARTS:
        raise Refused(413, f"JSON may have {MOST_PARTS:,} values and keys: post a file, or several jobs")
    decoded_text = text.decode()
    size = sys.getsizeof(decoded_text)  # with one character beyond U+FFFF, all others take 4 bytes, too
    width = 4 if b"\\ud" in text or b"\\uD" in text else 2 if b"\\u" in text else 1  # bytes of an escaped character
    share = request.environ.get(SHARE)
    if share is not None and not share.hold(size + max(size, width * len(decoded_text)) + parts * PART):
        raise Refused(503, FULL, headers={"Retry-After": AGAIN})
    return decoded_text


def shaped(value: Any, shape: type[T]) -> T:
    """The value as a `shape`. Raises Refused (422)."""
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        problem = str(error)
        problem = problem if len(problem) <= 2 * SHOWN else f"{problem[:SHOWN]}...{problem[-SHOWN:]}"
        found = _PLACE.match(problem)
        where = (found["where"] if found else "") or ""
        why = found["why"] if found else problem
        if not where and (unknown := _UNKNOWN.search(why)):
            why += nearest(unknown[1], getattr(shape, "__struct_fields__", ()))
        raise Refused(422, f"the body is not as it should be: {why}{where and f' (at {where})'}",
                      [{"detail": why, "pointer": pointer_to(where)}]) from None  # fmt: skip
    except UnicodeEncodeError:  # msgspec converts to UTF-8
        raise Refused(422, "the body is not as it should be: it has a lone surrogate, which is not text") from None
    except RecursionError:
        raise InputError("the JSON is nested too deeply") from None


def new_job() -> NewJob:
    """The job to post, from a JSON object, a form with the message as a file, or only the bytes of the message.

    With a form, the options are its fields; with bytes, parameters of the query.
    """
    kind = request.mimetype
    if request.is_json:
        return decoded(NewJob)
    if kind == _FORM:
        return _from_form()
    if kind in ("", "application/x-www-form-urlencoded"):  # the latter is curl's default
        raise Refused(
            415,
            "send the body as JSON, with the header Content-Type: application/json; or a message of bytes with its own "
            "content type, or as the file `msg` of multipart/form-data",
        )
    return _job(request.get_data(cache=False), request.args)


def _from_form() -> NewJob:
    body = request.get_data(cache=False)
    try:
        with _forms.take(len(body)):
            parts = read_form(body, request.mimetype_params.get("boundary", ""))
        fields = MultiDict((part.name, _field(part)) for part in parts if not part.is_file)
    except ValueError as error:  # also raised for a field that is not UTF-8
        raise Refused(400, f"the body is not a form: {error}") from None
    files = {part.name: part.content for part in parts if part.is_file}
    if others := sorted(files.keys() - {"msg"}):
        raise Refused(422, f"the form's only file may be `msg`, not {', '.join(others):.200}")
    if "msg" in files:
        return _job(files["msg"], fields)
    if "msg" not in fields:
        raise Refused(422, "the form must contain the message in `msg`, as a file or as JSON")
    return _job(json_of(fields["msg"]), fields)


def _field(part: Part) -> str:
    """Its text. Raises ValueError if it is not UTF-8, and Refused if it is so large that it would delay others."""
    most = JSON_LIMIT if part.name == "msg" else OPTION
    if len(part.content) > most:
        raise Refused(413, f"a field of the form other than a file may have {most:,} bytes: {part.name:.80} has more")
    return part.content.decode()


def _job(message: Any, options: Any) -> NewJob:
    """A job from a message and from options given as texts."""
    given: dict[str, Any] = {}
    for name in options:
        if name in _LISTS:
            given[name] = options.getlist(name)
        elif name != "msg":
            given[name] = options[name]
    try:
        given |= {name: float(given[name]) for name in _NUMBERS & given.keys()}
    except ValueError:
        raise Refused(422, f"{', '.join(sorted(_NUMBERS & given.keys()))}: send numbers") from None
    if given.get("replace") in ("true", "false"):
        given["replace"] = given["replace"] == "true"
    with suppress(KeyError, ValueError):  # a word, or nothing
        given["unique"] = float(given["unique"])
    for name in ("retries", "priority"):
        if name in given and given[name].is_integer():
            given[name] = int(given[name])
    return shaped(given | {"msg": message}, NewJob)
