"""The options of a job: one table of their names and checks. `PostOptions` says what they mean."""

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypedDict

from mlq.core import codec
from mlq.core.checks import (
    DEFAULT_QUEUE,
    check_count,
    check_functions,
    check_queue,
    check_seconds,
    check_share,
    check_size,
    check_url,
    lane_of,
    nearest,
)
from mlq.core.identity import JobId, stamp_of
from mlq.core.links import check_after, check_on_failure, check_then
from mlq.core.part import Part
from mlq.core.policy import Policy
from mlq.core.tick import Tick
from mlq.core.unique import check_job_key, check_key_options, check_replace, check_unique
from mlq.core.when import check_at, check_priority, check_times

_OF_STEPS = ("then", "priority")  # what differs from step to step of a pipeline


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
    share: str | None  # for whom the job runs: those that wait share the workers' time
    key: str | None  # as long as a job of these functions holds this key, a post is answered with that job
    unique: Literal["waiting", "active"] | float | None  # how long: while it waits, until it has ended, or seconds
    replace: bool | None  # the job that waits with this key gets this message and these options instead


class ListenerPostOptions(PostOptions, total=False):
    """Options of a post to a declared listener, which names the function itself."""

    idempotency_key: str | None  # repeating the same post with it within a day posts no second job


def _check_functions(value: object) -> tuple[str, ...] | None:
    names = check_functions(value)
    return None if names is None else tuple(names)


def _check_delay(value: object) -> float | None:
    return check_seconds("delay", value, zero=True) or None


CHECKS: dict[str, Callable[[object], Any]] = {
    "callback": functools.partial(check_url, "callback"),
    "functions": _check_functions,
    "queue": check_queue,
    "ttl": functools.partial(check_seconds, "ttl"),
    "timeout": functools.partial(check_seconds, "timeout"),
    "retries": functools.partial(check_count, "retries"),
    "backoff": functools.partial(check_seconds, "backoff", zero=True),
    "webhook": functools.partial(check_url, "webhook"),
    "after": check_after,
    "on_failure": check_on_failure,
    "then": check_then,
    "delay": _check_delay,
    "at": check_at,
    "expires": functools.partial(check_seconds, "expires"),
    "priority": check_priority,
    "share": check_share,
    "key": check_job_key,
    "unique": check_unique,
    "replace": check_replace,
}


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
    share: str | None = None
    key: str | None = None
    unique: str | float | None = None
    replace: bool = False
    since: float | None = None  # of a job that may have got its message later than its post: when; set by post.lua
    part: Part | None = None  # set by the worker that posts the step of a pipeline, never by a caller
    tick: Tick | None = None  # set by the worker that posts the job of a schedule

    @classmethod
    def of(cls, given: Mapping[str, object]) -> "JobOptions":
        """Raises InputError for a bad value, and TypeError for an option that does not exist."""
        if unknown := given.keys() - CHECKS.keys():
            name = min(unknown)
            hint = " (declare it with the listener)" if name == "retry_on" else nearest(usual(name), CHECKS)
            raise TypeError(f"a job has no option {name!r}{hint}")
        return made_of(given, CHECKS)

    @functools.cached_property
    def lane(self) -> str:
        """The lane that the job waits in."""
        return lane_of(self.queue, self.functions, self.share)

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
    def keyed(self) -> str:
        """How long it holds its key (`w`, `a` or seconds), or `r` to replace, and the key; empty if it has none."""
        if self.key is None:
            return ""
        held = {None: "a", "waiting": "w"}.get(self.unique) or repr(self.unique)  # type: ignore[arg-type]
        return f"{'r' if self.replace else held} {self.key}"

    @functools.cached_property
    def policy(self) -> Policy:
        """How long an attempt may take, and how often and when it is retried."""
        return Policy(self.timeout, self.retries, self.backoff)

    @functools.cached_property
    def _kept(self) -> dict[str, object]:
        """What is stored, but for queue and share, which the lane has, and what differs from step to step."""
        kept: dict[str, object] = {"since": 0.0 if self.replace else None}  # first: post.lua writes the time there
        kept |= {name: getattr(self, name) for name in CHECKS if name not in ("queue", "share", "replace", *_OF_STEPS)}
        if self.functions is not None:
            kept["functions"] = list(self.functions)
        if self.after is not None:
            kept["after"] = [str(one) for one in self.after]
        return {name: value for name, value in kept.items() if value is not None}

    @functools.cached_property
    def _head(self) -> bytes:
        kept = self._kept | {name: value for name in _OF_STEPS if (value := getattr(self, name))}
        if self.tick is not None:
            kept["tick"] = list(self.tick)
        return pack_body(b"", kept | {"part": self.part.packed()} if self.part else kept)

    def of_step(
        self, part: Part, then: tuple[str, ...] | None, priority: int | None, share: str | None
    ) -> "JobOptions":
        """The same for a step of a pipeline, with what that gets from the job before it.

        `replace` would take 7 us more, and lose all that is cached here.
        """
        made = object.__new__(JobOptions)
        _ = self.lane, self._kept  # each step would make them again
        made.__dict__.update(self.__dict__, part=part, then=then, priority=priority)
        made.__dict__.pop("_head", None)
        return made.of_share(share)

    def of_share(self, share: str | None) -> "JobOptions":
        """The same for another share, which is in nothing that is cached here but the lane."""
        if share == self.share:
            return self
        made = object.__new__(JobOptions)
        made.__dict__.update(self.__dict__, share=share)
        made.__dict__["lane"] = lane_of(self.queue, self.functions, share)
        return made

    def of_tick(self, tick: Tick) -> "JobOptions":
        """The same for the job of a schedule at one tick."""
        return replace(self, tick=tick)

    @property
    def size(self) -> int:
        """Bytes that they take in each record."""
        return len(self._head)

    def body(self, message: object) -> bytes:
        """The record's bytes for one message. Raises Unserializable or TooLarge."""
        return self._head + check_size("the message", codec.pack(message))

    def packed_body(self, message: bytes) -> bytes:
        """The same for a message that is packed already."""
        return self._head + check_size("the message", message)


PLAIN = JobOptions()


def made_of(given: Mapping[str, object], checks: Mapping[str, Callable[[object], Any]]) -> JobOptions:
    """The options as these checks return them. Raises InputError."""
    made = JobOptions(**{name: checks[name](value) for name, value in given.items()})
    lane_of(made.queue, made.functions)  # refuses names that are too long together
    if made.delay is not None or made.expires is not None:
        check_times(made)
    if made.key is not None or made.unique is not None or made.replace:
        check_key_options(made)
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
    share = options.get("share")
    if share is not None:  # there may be thousands, with the same options otherwise
        return options_of(callback, functions, {**options, "share": None}).of_share(check_share(share))
    # ids are equal whatever their stamps, so these can't be remembered; and times and keys would push out all others
    if any(options.get(name) is not None for name in ("after", "at", "key")):
        return JobOptions.of({"callback": callback, "functions": names, **options})
    with contextlib.suppress(TypeError):  # an unhashable value, so neither string nor number: the checks will say so
        return _remembered(callback=callback, functions=names, **options)
    return JobOptions.of({"callback": callback, "functions": names, **options})


@functools.lru_cache(maxsize=256, typed=True)  # saves 10 us
def _remembered(**given: object) -> JobOptions:
    return JobOptions.of(given)
