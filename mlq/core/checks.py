"""Validates user input, and defines its limits. Pure functions that raise InputError."""

import difflib
import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from unicodedata import normalize
from urllib.parse import urlsplit

from mlq.core.identity import JobId, parse_reference
from mlq.errors import InputError, TooLarge

MESSAGE_LIMIT = 64 * 1024 * 1024  # bytes of a packed message or result; Redis itself stops at 512 MB a value
PROGRESS_LIMIT = 64 * 1024  # bytes of a packed progress report: thousands of followers may get each of them
NAMESPACE_LIMIT = 128  # characters
LANE_LIMIT = 1000  # bytes of a queue with its functions; scripts read no more than that of a record's head
AUTHORITY_LIMIT = 300  # characters of host, port and user, if they are not ASCII
HOST_LIMIT = 253  # characters of a host name (RFC 1035)
FOREIGN_HOST_LIMIT = 100  # characters of one that is not ASCII: encoding each takes 10 us, which nobody can interrupt
URL_LIMIT = 8000  # characters of the URL of a callback or webhook; common servers refuse longer request lines
DEFAULT_QUEUE = "default"
QUEUE_LIMIT = 100  # characters
SHARE_LIMIT = 100  # characters
SHARE_MARK = "|"  # in a lane, before the share
NEAR, CANDIDATES = (
    3,
    50,
)  # characters by which a name that is meant may be longer; names that are compared: 10 ms at most
KEY_LIMIT = 255  # characters of an idempotency key


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?")
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")


def printable(text: str, most: int) -> bool:
    """Whether `text` has 1 to `most` characters, with no control characters and no lone surrogates."""
    return len(text) <= most and _PRINTABLE.fullmatch(text) is not None  # length first: input may be megabytes long


def check_namespace(namespace: object) -> str:
    """Return `namespace` if it is valid: 1 to 128 printable characters, without braces (they mark the hash tag)."""
    if not isinstance(namespace, str) or not printable(namespace, NAMESPACE_LIMIT):
        raise InputError(
            f"namespace must be a string of 1 to {NAMESPACE_LIMIT} printable characters, not {namespace!r:.80}"
        )
    if "{" in namespace or "}" in namespace:
        raise InputError(f"namespace must not contain braces: {namespace!r}")
    return namespace


def check_functions(functions: object) -> list[str] | None:
    """The listener names that a job asks for, in the order given, or None if it names none."""
    if functions is None:
        return None
    if isinstance(functions, (str, bytes)) or not isinstance(functions, Iterable):
        raise InputError(f"functions must be a list of listener names, such as ['train'], not {functions!r:.80}")
    names = list(functions)
    for name in names:
        if callable(name) and hasattr(name, "__name__"):
            raise InputError(f"functions must be names, such as {name.__name__!r}, not the functions themselves")
        if not isinstance(name, str) or not printable(name, LANE_LIMIT) or "," in name or SHARE_MARK in name:
            raise InputError(
                "functions must be a list of listener names (strings without commas and |, of up to "
                f"{LANE_LIMIT} characters), but contains {name if not isinstance(name, str) else name[:80]!r:.80}"
            )
    if not names:
        raise InputError("functions must name at least one listener; leave it out to run all of them")
    return list(dict.fromkeys(names))


def check_url(name: str, url: object) -> str | None:
    """The URL of a callback or a webhook: http or https, with a host that every parser reads the same way."""
    if url is None:
        return None
    if name == "callback" and not isinstance(url, str):  # it is the second argument, where others have the message
        raise InputError(
            f"callback must be a URL, not {url!r:.80}. The message comes first: submit(message, functions=['name'])"
        )
    if not isinstance(url, str) or not printable(url, URL_LIMIT) or " " in url:
        raise InputError(f"{name} must be a URL of at most {URL_LIMIT} printable characters, not {url!r:.80}")
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if len(authority) > AUTHORITY_LIMIT and not authority.isascii():  # urlsplit normalizes it, in quadratic time
        raise InputError(f"{name} has a host name that is too long: {url!r:.80}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{name} is not a URL ({error}): {url!r:.80}") from None
    if parts.scheme not in ("http", "https") or not host or "\\" in parts.netloc or not _is_name(host):
        hint = ". To name a listener: functions=['name']" if name == "callback" and "://" not in url else ""
        raise InputError(f"{name} must be an http:// or https:// URL, not {url!r:.80}{hint}")
    if name == "webhook" and "@" in parts.netloc:  # in a callback URL, these have always been ignored
        raise InputError("webhook must not contain a user or password: the receiver verifies the signature instead")
    return url


def check_stored_url(name: str, url: object) -> str | None:
    """A URL in a record, which `check_url` has seen when it was posted: a hundredth of its work."""
    if url is not None and not (isinstance(url, str) and printable(url, URL_LIMIT)):
        raise InputError(f"{name} is no URL: {url!r:.80}")
    return url


@functools.lru_cache(maxsize=256)  # HTTP and the client both ask
def _is_name(host: str) -> bool:
    """Whether this is a host name that resolves to the same host everywhere: Python maps ß to ss, browsers do not."""
    most = HOST_LIMIT if host.isascii() else FOREIGN_HOST_LIMIT
    if len(host) > most or len(normalize("NFKC", host)) > most:  # normalized in C: one character can become 18
        return False
    try:
        if not host.isascii() and host.encode("idna").decode("idna") != host.lower():
            return False
    except UnicodeError:
        return False
    return ":" in host or all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))


# Appended to a stored URL that came in over HTTP from a token holder, who is less trusted than a program with access to
# Redis. It is a fragment because scripts and older workers pass fragments along, and no receiver is ever sent one.
STRANGERS = "#mlq-targets=public"


def from_outside(url: str) -> str:
    """A checked URL in the form in which it is stored if it came from a stranger (see STRANGERS)."""
    return url.partition("#")[0] + STRANGERS


def shown_url(url: str | None) -> str | None:
    """A stored URL, as users see it."""
    return url and url.removesuffix(STRANGERS)


def check_key(key: object) -> str:
    """An idempotency key: 1 to 255 printable characters."""
    if not isinstance(key, str) or not printable(key, KEY_LIMIT):
        raise InputError(f"an idempotency key is a string of 1 to {KEY_LIMIT} printable characters, not {key!r:.80}")
    return key


def check_queue(queue: object) -> str:
    """A queue's name that users may give: as `check_stored_queue`, and not one of MLQ's own, which begin with #."""
    if isinstance(queue, str) and queue.startswith("#"):
        raise InputError(f"queue must not begin with #, as MLQ's own queues do: {queue!r:.80}")
    return check_stored_queue(queue)


def check_stored_queue(queue: object) -> str:
    """A queue's name: 1 to 100 printable characters without comma, colon and |; the default queue for None."""
    if queue is None:
        return DEFAULT_QUEUE
    if not isinstance(queue, str) or not printable(queue, QUEUE_LIMIT) or set(queue) & set(",:|"):
        raise InputError(
            f"queue must be a string of 1 to {QUEUE_LIMIT} printable characters without comma, colon or |, "
            f"not {queue!r:.80}"
        )
    return queue


def check_count(name: str, value: object, least: int = 0) -> int | None:
    """A whole number of at least `least`, or None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 10**9):
        raise InputError(f"{name} must be a whole number of at least {least}, not {value!r:.80}")
    return value


def check_seconds(name: str, value: object, *, zero: bool = False) -> float | None:
    """A duration in seconds (above 0, or with `zero` also 0), or None."""
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 <= value <= 1e9
        or (value == 0 and not zero)
    ):
        least = "of at least" if zero else "above"
        raise InputError(f"{name} must be a number of seconds {least} 0, not {value!r:.80}")
    return float(value)


def size_in(text: str) -> int | None:
    """Bytes, written with or without a unit: 500M is 500 * 1024 * 1024. None if it is no size."""
    found = _SIZE.fullmatch(text.strip().lower())
    return None if found is None else int(float(found[1]) * _UNITS[found[2]])


def check_memory(name: str, value: object) -> int | None:
    """An amount of memory in bytes, given as a number or as a size; None if there is none."""
    size = size_in(value) if isinstance(value, str) else value
    if value is not None and (isinstance(size, bool) or not isinstance(size, int) or not 0 < size < 2**60):
        raise InputError(f"{name} must be a size such as '500M' or '2GiB', not {value!r:.80}")
    return size if isinstance(size, int) else None


def check_size(what: str, packed: bytes, limit: int = MESSAGE_LIMIT) -> bytes:
    """Return `packed`, or raise TooLarge if it is larger than `limit` bytes."""
    if len(packed) > limit:
        raise TooLarge(
            f"{what} is {len(packed):,} bytes; the limit is {limit:,}. Store it elsewhere and post its address"
        )
    return packed


def check_id(job_id: object) -> JobId:
    """A job's id, or an id with its stamp (`identity.py`); integers are accepted too, since ids look like them."""
    if isinstance(job_id, JobId):
        return job_id  # not a copy: its stamp may be filled in later
    if isinstance(job_id, int) and not isinstance(job_id, bool):
        job_id = str(job_id)
    found = parse_reference(job_id) if isinstance(job_id, str) else None
    if found is None:
        raise InputError(f"a job's id is a string of digits, not {job_id!r:.80}")
    return found


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at the name that was probably meant, for the end of a sentence; empty if none is near."""
    near = (one for one in names if abs(len(one) - len(name)) <= NEAR)
    found = difflib.get_close_matches(name, itertools.islice(near, CANDIDATES), 1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def check_share(share: object) -> str | None:
    """The name of a share: 1 to 100 printable characters without comma and |; None if there is none."""
    if share is None:
        return None
    if not isinstance(share, str) or not printable(share, SHARE_LIMIT) or set(share) & set(",|"):
        raise InputError(
            f"share must be a string of 1 to {SHARE_LIMIT} printable characters without comma or |, not {share!r:.80}"
        )
    return share


def lane_of(queue: str, functions: Sequence[str] | None, share: str | None = None) -> str:
    """The lane of a job: its queue, the set of functions that it names, and its share.

    As in `default`, `default:embed,train`, `default|team-a` and `default:embed,train|team-a`.
    """
    lane = queue if functions is None else f"{queue}:{','.join(sorted(set(functions)))}"
    if share is not None:
        lane += SHARE_MARK + share
    if (functions is not None or share is not None) and len(lane.encode()) > LANE_LIMIT:
        raise InputError(
            f"functions: the names are too long; together with queue and share they may take up to {LANE_LIMIT} bytes"
        )
    return lane


def group_of(lane: str) -> str:
    """A lane without its share."""
    return lane.partition(SHARE_MARK)[0]


def share_of(lane: str) -> str | None:
    """The share of a lane's jobs; None if they have none."""
    return lane.partition(SHARE_MARK)[2] or None


def queue_of(lane: str) -> str:
    """The queue of a lane."""
    return group_of(lane).partition(":")[0]


def functions_of(lane: str) -> frozenset[str]:
    """The functions that a lane's jobs name; empty if they name none."""
    _, _, names = group_of(lane).partition(":")
    return frozenset(names.split(",")) if names else frozenset()
