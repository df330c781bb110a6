"""The options of a job: one table of their names and checks. `PostOptions` says what they mean."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict

from mlq.core import codec
from mlq.core.checks import (
    DEFAULT_QUEUE,
    check_count,
    check_functions,
    check_id,
    check_queue,
    check_seconds,
    check_size,
    check_stored_queue,
    check_stored_url,
    check_url,
    lane_of,
    nearest,
    queue_of,
)
from mlq.core.destination import destination_of
from mlq.core.identity import JobId, stamp_of
from mlq.core.part import Part
from mlq.core.policy import Policy
from mlq.core.when import check_at, check_priority, check_times
from mlq.errors import InputError

_OF_STEPS = ("then", "priority")  # what differs from step to step of a pipeline
REMEMBERED = 1000  # bytes; a record's packed options are cached once decoded if they are smaller than this


class PostOptions(TypedDict, total=False):
    """Options of a post as keyword arguments. An option that is left out or None is as the listener declares it."""

    queue: str | None  # the queue that the job waits in; "default" if left out
    ttl: float | None  # seconds that the job is kept after it succeeds; forever if left out
    timeout: float | None  # seconds that one attempt may take
    retries: int | None  # further attempts after one that raised or timed out
    backoff: float | None  # seconds before the first retry; doubled for each further one
    webhook: str | None  # URL that gets a signed POST when the job ends
    after: Iterable[Any] | None  # jobs, by handle or id, that must have succeeded before this one runs
    on_failure: Literal["fail", "run"] | None  # "run": it runs when those have ended, well or badly
    then: Iterable[str] | None  # listeners that get the result one after the other; the last one's is the job's result
    delay: float | None  # seconds from the post until it may begin
    at: datetime | float | str | None  # when it may begin: a datetime with a time zone, or seconds since 1970
    expires: float | None  # seconds from the post; it is cancelled if no worker has begun it by then
    priority: int | None  # from -100 to 100; jobs with a larger one are sooner; 0 if left out


class ListenerPostOptions(PostOptions, total=False):
    """Options of a post to a declared listener, which names the function itself."""

    idempotency_key: str | None  # repeating the same post with it within a day posts no second job


def _check_functions(value: object) -> tuple[str, ...] | None:
    names = check_functions(value)
    return None if names is None else tuple(names)


MOST_NEEDED = 1000  # jobs that one job comes after: each costs the script that posts it about 3 us


def _check_after(value: object) -> tuple[JobId, ...] | None:
    if value is None:
        return None
    found: dict[str, JobId] = {}
    for given in value if isinstance(value, (list, tuple)) else [value]:
        job = check_id(getattr(given, "reference", given))
        known = found.get(str(job))
        if known is None or not known.stamp:
            found[str(job)] = job
        elif job.stamp not in ("", known.stamp):
            raise InputError(f"after: two jobs had the id {job}, and the server has lost the first one")
    if len(found) > MOST_NEEDED:
        raise InputError(f"after: a job can come after {MOST_NEEDED:,} others at most, not {len(found):,}")
    return tuple(found.values()) or None


def _check_on_failure(value: object) -> str | None:
    if value not in (None, "fail", "run"):
        raise InputError(f"on_failure must be 'fail' or 'run', not {value!r:.80}")
    return "run" if value == "run" else None


MOST_THEN = 100  # listeners in a row
THEN_LIMIT = 4000  # bytes of their names: each job of a bulk stores them


def _check_then(value: object) -> tuple[str, ...] | None:
    """Lanes with one function each: `phones:extract`, or `extract` for the usual queue."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) > MOST_THEN:
        raise InputError(f"then must be a list of up to {MOST_THEN} listeners, not {value!r:.80}")
    lanes = tuple(_check_one_then(one) for one in value)
    if sum(len(lane.encode()) for lane in lanes) > THEN_LIMIT:
        raise InputError(f"then: the names are too long; together they may take up to {THEN_LIMIT:,} bytes")
    return lanes or None


def _check_one_then(value: object) -> str:
    queue, functions = destination_of(value) if callable(value) else (None, [value])
    if queue is None and isinstance(functions[0], str):
        given, colon, name = functions[0].rpartition(":")
        queue, functions = (given if colon else None), [name]
    names = check_functions(functions) or []
    return names[0] if queue is None else lane_of(check_queue(queue), names)


def _check_delay(value: object) -> float | None:
    return check_seconds("delay", value, zero=True) or None


_CHECKS: dict[str, Callable[[object], Any]] = {
    "callback": functools.partial(check_url, "callback"),
    "functions": _check_functions,
    "queue": check_queue,
    "ttl": functools.partial(check_seconds, "ttl"),
    "timeout": functools.partial(check_seconds, "timeout"),
    "retries": functools.partial(check_count, "retries"),
    "backoff": functools.partial(check_seconds, "backoff", zero=True),
    "webhook": functools.partial(check_url, "webhook"),
    "after": _check_after,
    "on_failure": _check_on_failure,
    "then": _check_then,
    "delay": _check_delay,
    "at": check_at,
    "expires": functools.partial(check_seconds, "expires"),
    "priority": check_priority,
}


# Of what was checked when it was posted: anybody who reads it does less.
_STORED = _CHECKS | {name: functools.partial(check_stored_url, name) for name in ("callback", "webhook")}
_STORED |= {"queue": check_stored_queue}  # MLQ's own jobs are in queues that no user may name

# Names that other queues have for these options, and that are not similar enough to be recognized.
_ELSEWHERE = {"result_ttl": "ttl", "result_expires": "ttl", "time_limit": "timeout", "name": "functions"}


def usual(option: str) -> str:
    """The name that an option of another queue has here; others as they are."""
    return _ELSEWHERE.get(option, option)


@dataclass(frozen=True)
class JobOptions:
    """Checked options of a job. Jobs that are posted with the same options share one instance."""

    callback: str | None = None
    functions: tuple[str, ...] | None = None
    queue: str = DEFAULT_QUEUE
    ttl: float | None = None
    timeout: float | None = None
    retries: int | None = None
    backoff: float | None = None
    webhook: str | None = None
    after: tuple[JobId, ...] | None = None
    on_failure: str | None = None
    then: tuple[str, ...] | None = None
    delay: float | None = None
    at: float | None = None  # seconds since 1970
    expires: float | None = None
    priority: int | None = None
    part: Part | None = None  # set by the worker that posts the step of a pipeline, never by a caller

    @classmethod
    def of(cls, given: Mapping[str, object]) -> "JobOptions":
        """Raises InputError for a bad value, and TypeError for an option that does not exist."""
        if unknown := given.keys() - _CHECKS.keys():
            name = min(unknown)
            hint = " (declare it with the listener)" if name == "retry_on" else nearest(usual(name), _CHECKS)
            raise TypeError(f"a job has no option {name!r}{hint}")
        return _made(given, _CHECKS)

    @functools.cached_property
    def lane(self) -> str:
        """The lane that the job waits in."""
        return lane_of(self.queue, self.functions)

    @functools.cached_property
    def needs(self) -> str:
        """The jobs that it comes after, as `post.lua` takes them; empty if there are none."""
        needed = "".join(f" {one}:{stamp_of(one)}" for one in self.after or ())
        return f"{self.on_failure or 'fail'}{needed}" if needed else ""

    @functools.cached_property
    def when(self) -> str:
        """When it may begin and how soon, as `post.lua` takes it; empty if that is at once, and in its turn."""
        given = (self.priority, self.delay, self.at, self.expires)
        return " ".join("-" if one is None else repr(one) for one in given) if any(given) else ""

    @functools.cached_property
    def policy(self) -> Policy:
        """How long an attempt may take, and how often and when it is retried."""
        return Policy(self.timeout, self.retries, self.backoff)

    @functools.cached_property
    def _kept(self) -> dict[str, object]:
        """What is stored, without the queue, which the lane has, and what differs from step to step of a pipeline."""
        kept = {name: getattr(self, name) for name in _CHECKS if name not in ("queue", *_OF_STEPS)}
        if self.functions is not None:
            kept["functions"] = list(self.functions)
        if self.after is not None:
            kept["after"] = [str(one) for one in self.after]
        return {name: value for name, value in kept.items() if value is not None}

    @functools.cached_property
    def _head(self) -> bytes:
        kept = self._kept | {name: value for name in _OF_STEPS if (value := getattr(self, name))}
        return pack_body(b"", kept | {"part": self.part.packed()} if self.part else kept)

    def of_step(self, part: Part, then: tuple[str, ...] | None, priority: int | None) -> "JobOptions":
        """The same for a step of a pipeline, with what that gets from the job before it.

        `replace` would take 7 us more, and lose all that is cached here.
        """
        made = object.__new__(JobOptions)
        _ = self.lane, self._kept  # each step would make them again
        made.__dict__.update(self.__dict__, part=part, then=then, priority=priority)
        made.__dict__.pop("_head", None)
        return made

    @property
    def size(self) -> int:
        """Bytes that they take in each record."""
        return len(self._head)

    def body(self, message: object) -> bytes:
        """The record's bytes for one message. Raises Unserializable or TooLarge."""
        return self._head + check_size("the message", codec.pack(message))


PLAIN = JobOptions()


def _made(given: Mapping[str, object], checks: Mapping[str, Callable[[object], Any]]) -> JobOptions:
    made = JobOptions(**{name: checks[name](value) for name, value in given.items()})
    lane_of(made.queue, made.functions)  # refuses names that are too long together
    if made.delay is not None or made.expires is not None:
        check_times(made)
    return made


def pack_body(message: bytes, options: Mapping[str, object]) -> bytes:
    """The client's part of a record: a packed message with packed options before it."""
    packed = codec.pack(dict(options)) if options else b""
    return b"%d\n%b%b" % (len(packed), packed, message)


def options_of(callback: object, functions: object, options: Mapping[str, object]) -> JobOptions:
    """The options of a post. Most posts have none; most others have the same as an earlier one, so those are cached."""
    if callback is functions is None and not options:
        return PLAIN
    names = tuple(functions) if isinstance(functions, list) else functions
    # ids are equal whatever their stamps, so these can't be remembered; and each `at` is another one
    if options.get("after") is not None or options.get("at") is not None:
        return JobOptions.of({"callback": callback, "functions": names, **options})
    with contextlib.suppress(TypeError):  # an unhashable value, so neither string nor number: the checks will say so
        return _remembered(callback=callback, functions=names, **options)
    return JobOptions.of({"callback": callback, "functions": names, **options})


@functools.lru_cache(maxsize=256, typed=True)  # saves 10 us
def _remembered(**given: object) -> JobOptions:
    return JobOptions.of(given)


def read_options(lane: str, packed: bytes) -> JobOptions:
    """The options in a record. Raises ValueError: whoever can write to Redis may have put anything there."""
    if len(packed) >= REMEMBERED:
        return _read(lane, packed)
    # Parts of a split are alike. Other steps, and times, are not, and would push out what all other jobs need.
    is_rare = b"\xa4part" in packed or b"\xa2at\xcb" in packed
    return _known_steps(lane, packed) if is_rare else _known(lane, packed)


def _read(lane: str, packed: bytes) -> JobOptions:
    kept: Any = codec.unpack(packed) if packed else {}
    try:
        if isinstance(kept, dict) and "part" in kept:
            # each pipeline has parts of its own, but the rest is known: this saves 8 us a step
            part = Part.read(kept.pop("part"))
            options = read_options(lane, codec.pack(kept))
            return options.of_step(part, options.then, options.priority)
        return _made({name: kept[name] for name in kept.keys() & _STORED.keys()} | {"queue": queue_of(lane)}, _STORED)
    except InputError as error:
        raise ValueError(str(error)) from None


_known = functools.lru_cache(maxsize=256)(_read)
_known_steps = functools.lru_cache(maxsize=64)(_read)
