"""What a listener gets besides its message: the first MLQ's dictionary of helpers, now also with attributes.

The helpers take and check values; a `Channel` carries bytes to the worker, whether that is in this process or at the
other end of a socket pair.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, Unpack

from mlq.client.arguments import data_key, value_of
from mlq.core import codec
from mlq.core.checks import MESSAGE_LIMIT, PROGRESS_LIMIT, check_id, check_seconds, check_size, shown_url
from mlq.core.job import Claimed, Record
from mlq.core.job_options import PostOptions, options_of
from mlq.errors import InputError, LeaseLost, TooLarge
from mlq.running.aside import aside
from mlq.running.results import Results
from mlq.system.capture import capturing_job

LOG_LIMIT = 64 * 1024  # bytes of logs and prints kept of one attempt
ROOM = 0.005  # seconds between checks whether there is room for more partial results
ENTRY = 200  # bytes that an entry of a stream costs besides its data, roughly


HELPERS = ("update_progress", "store_data", "fetch_data", "post", "block_until_result", "wait", "emit")


class Channel(Protocol):
    """What an attempt's listeners can ask of their worker. `report`, `add_entry` and `post` may raise LeaseLost."""

    def holds(self) -> bool:
        """Whether the attempt still holds its job, as far as is known here."""

    def report(self, packed: bytes) -> None:
        """Record progress, with a short delay; of several reports, the last one counts."""

    def add_entry(self, kind: str, data: bytes) -> None:
        """Add to the job's stream, in order and with a short delay. Never blocks."""

    def full(self) -> bool:
        """Whether too many entries are waiting to be sent: callers that can wait should."""

    def store(self, key: str, packed: bytes, expiry: float | None) -> None:
        """Store a value for other jobs."""

    def fetch(self, key: str) -> bytes | None:
        """What `store` stored; None if there is nothing."""

    def post(self, lane: str, body: bytes, needs: str = "", when: str = "", keyed: str = "") -> str:
        """Post another job, with what `JobOptions` has under these names; its id, or that of the one with its key."""

    def post_parts(self, lane: str, bodies: Sequence[bytes]) -> str:
        """Post the next parts of a split, or its join, which comes first; the id of the first one."""

    def parts(self) -> list[tuple[int, int]]:
        """The ranges of ids of the parts that this run joins."""

    def outcomes(self, job_ids: Sequence[str]) -> list[dict[str, bytes]]:
        """The fields of the first of these jobs, which have ended: as many as fit into a reply, one at least."""

    def wait(self, job_id: str, timeout: float | None) -> dict[str, bytes]:
        """The fields of another job when it has ended; the slot is released meanwhile."""

    def leave(self) -> None:
        """Release the slot until `go_on`."""

    def go_on(self) -> None:
        """Take a slot again at once, whether one is free or not."""


class Output:
    """What one attempt emits and logs, within limits. Safe to use from any thread.

    There is no lock, since a finaliser or signal handler may interrupt an `emit` of the same thread, and print (see
    `turn`). At worst, a limit is exceeded by one entry.
    """

    def __init__(self, channel: Channel, job_id: str) -> None:
        """Without output so far."""
        self._channel = channel
        self.job_id = job_id
        self._size = 0
        self._logged = 0

    def emit(self, chunk: Any) -> None:
        """Add a partial result. Raises LeaseLost, Unserializable, and TooLarge once all of them exceed 64 MiB."""
        data = codec.pack(chunk, "the chunk")
        self._size += len(data) + ENTRY
        if self._size > MESSAGE_LIMIT:
            raise TooLarge(f"the partial results of job {self.job_id} exceed {MESSAGE_LIMIT:,} bytes in total")
        # Wait only in the listener's own context: a finaliser may run on the very thread that makes room.
        while self._channel.full() and capturing_job() == self.job_id and self._channel.holds():
            time.sleep(ROOM)
        self._channel.add_entry("chunk", data)

    def log(self, words: str) -> None:
        """Add what the job printed or logged, up to the limit.

        Never waits: a `logging` handler prints while it holds its lock, which the threads that make room may need.
        """
        data = words.encode("utf-8", "replace")
        room = LOG_LIMIT - self._logged
        if room <= 0 or not data:
            return
        self._logged += len(data) + ENTRY
        with contextlib.suppress(LeaseLost):
            self._channel.add_entry("log", data[:room])
            if self._logged >= LOG_LIMIT:
                self._channel.add_entry("log", b"\n[further output is not kept]\n")


class JobContext(dict[str, Any]):
    """What a listener gets as its second argument: the job, and functions that concern it.

    A mapping whose entries are also attributes: `context["update_progress"]` and `context.update_progress` are the same
    function. The entry `full_message` is the job: `id`, `msg`, `timestamp`, `worker`, `processing_started`, `retries`,
    `functions`, `callback` and the other entries that `MLQ.get_job` had in `mlq` 0.2.
    """

    def __init__(self, channel: Channel, output: Output, claimed: Claimed, record: Record, message: Any) -> None:
        """The context of one attempt."""
        self._channel = channel
        self._claimed = claimed
        self.output = output
        self._loop_thread: int | None = None
        self._options = record.options
        super().__init__(full_message=_full_message(claimed, record, message))
        self.update((name, getattr(self, name)) for name in HELPERS)

    def end(self) -> None:
        """Call this after the attempt: breaks reference cycles, so that the message is freed without the collector."""
        for name in HELPERS:
            self.pop(name, None)

    def __missing__(self, name: str) -> Any:
        """A helper that is looked up after the attempt has ended: it still exists, but most raise LeaseLost."""
        if name in HELPERS:
            return getattr(self, name)
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        """An entry as an attribute."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def shares_a_loop(self) -> None:
        """Note that the listener shares the event loop of this thread with others."""
        self._loop_thread = threading.get_ident()

    @property
    def cancelled(self) -> bool:
        """Whether this attempt should end: the job was cancelled, timed out, or is now another worker's."""
        return not self._channel.holds()

    @property
    def joins(self) -> bool:
        """Whether this job joins the parts of a split: its message is their results."""
        return self._options.part is not None and self._options.part.joins

    @property
    def tick(self) -> float | None:
        """Of a schedule's job: the time that it is for, in seconds since 1970. It may run later, and be retried."""
        return self._options.tick and self._options.tick.at

    @functools.cached_property
    def results(self) -> Results:
        """The results of the jobs that this one comes after, in the order of `after`; of a join, those of the parts."""
        return Results(self._channel, self._options)

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._claimed.attempt

    def update_progress(self, value: Any) -> bool:
        """Report progress: any value that a message may have, up to 64 KiB. Returns True, as the first MLQ did.

        Raises LeaseLost, Unserializable, TooLarge.
        """
        self._channel.report(check_size("progress", codec.pack(value, "progress"), PROGRESS_LIMIT))
        return True

    def emit(self, chunk: Any) -> None:
        """Send a partial result to everybody who streams this job.

        Raises LeaseLost, Unserializable, and TooLarge once all of this attempt's exceed 64 MiB.
        """
        self.output.emit(chunk)

    def store_data(self, data: Any, key: str | None = None, expiry: float | None = None) -> str:
        """Store a value for other jobs, for `expiry` seconds or forever; returns the key to fetch it by.

        `data`: any value that a message may have, up to 64 MiB. Raises InputError.
        """
        name = data_key(key)
        packed = check_size("the data", codec.pack(data))
        self._channel.store(name, packed, check_seconds("expiry", expiry))
        return name

    def fetch_data(self, key: str) -> Any:
        """What `store_data` stored; None if there is nothing, or it has expired."""
        packed = self._channel.fetch(data_key(key))
        return None if packed is None else codec.unpack(packed)

    def post(
        self, msg: Any, callback: str | None = None, functions: Iterable[str] | None = None,
        **options: Unpack[PostOptions],
    ) -> str:  # fmt: skip
        """Post another job, with the options of `MLQ.post`; returns its id. Raises LeaseLost."""
        wanted = options_of(callback, functions, options)
        return self._channel.post(wanted.lane, wanted.body(msg), wanted.needs, wanted.when, wanted.keyed)

    def block_until_result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for another job's result. This attempt's slot is released meanwhile, so even a single slot is enough.

        Raises WaitCircle, WaitTimeout, UnknownJob, JobCancelled; for a failed job its own exception or JobFailed.
        """
        if threading.get_ident() == self._loop_thread:
            raise InputError(
                "block_until_result would block all listeners on this event loop: use `await context.wait(id)` instead"
            )
        return self._result(job_id, timeout)

    async def wait(self, job_id: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as block_until_result
        """As `block_until_result`, for `async def` listeners."""
        return await aside(lambda: self._result(job_id, timeout))

    @contextlib.contextmanager
    def without_slot(self) -> Iterator[None]:
        """Release the slot for the whole block, which does little but wait for jobs that may need the slot."""
        self._channel.leave()
        try:
            yield
        finally:
            self._channel.go_on()

    def _result(self, job_id: str, timeout: float | None) -> Any:
        wanted = check_id(job_id)
        seconds = None if timeout is None else check_seconds("timeout", timeout, zero=True)
        return value_of(wanted, self._channel.wait(wanted.reference, seconds), original=True)


def lost(claimed: Claimed) -> LeaseLost:
    """The error for an attempt that may not write anything more."""
    return LeaseLost(f"attempt {claimed.attempt} no longer holds job {claimed.id}")


def _full_message(claimed: Claimed, record: Record, message: Any) -> dict[str, Any]:
    options = record.options
    return {
        "id": claimed.id,
        "timestamp": record.posted,
        "worker": claimed.worker,
        "processing_started": claimed.started,
        "processing_finished": None,
        "progress": 0,
        "short_result": None,
        "result": None,
        "callback": shown_url(options.callback),
        "retries": claimed.attempt - 1,
        "functions": options.functions and list(options.functions),
        "msg": message,
    }
