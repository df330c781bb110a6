"""What a listener gets beside its message: the old package's dictionary of helpers, with attributes too.

The helpers speak in values and check them; a `Line` carries bytes to the worker, whether that is in this process or at
the other end of a pipe.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable
from typing import Any, Protocol, Unpack

from mlq.client.arguments import data_key, value_of
from mlq.core import codec
from mlq.core.checks import MESSAGE_LIMIT, PROGRESS_LIMIT, check_id, check_seconds, check_size, shown_url
from mlq.core.job import Claimed, Record
from mlq.core.job_options import PostOptions, options_of
from mlq.errors import InputError, LeaseLost, TooLarge
from mlq.system.capture import speaking_job

LOG_LIMIT = 64 * 1024  # bytes of logs and prints kept of one attempt
ROOM = 0.005  # seconds between looks whether there is room for more partial results
ENTRY = 200  # bytes that an entry of a stream costs beside its data, near enough


HELPERS = ("update_progress", "store_data", "fetch_data", "post", "block_until_result", "wait", "emit")


class Line(Protocol):
    """What an attempt's listeners may ask of their worker. Those that write raise LeaseLost once the job is lost."""

    def holds(self) -> bool:
        """Whether the attempt still holds its job, as far as is known here."""

    def report(self, packed: bytes) -> None:
        """Record progress, soon; of several reports the last one counts."""

    def say(self, kind: str, data: bytes) -> None:
        """Add to the job's stream, soon and in order. Waits for nobody."""

    def full(self) -> bool:
        """Whether too much is on its way: whoever can wait should."""

    def store(self, key: str, packed: bytes, expiry: float | None) -> None:
        """Keep a value for other jobs."""

    def fetch(self, key: str) -> bytes | None:
        """What `store` kept."""

    def post(self, lane: str, body: bytes) -> str:
        """Post another job; its id."""

    def wait(self, job_id: str, timeout: float | None) -> dict[str, bytes]:
        """The fields of another job when it has ended; the slot is given away meanwhile."""


class Voice:
    """Bounds what one attempt says. Safe to use from any thread.

    There is no lock: a finaliser or a signal handler may speak amid an `emit` of the same thread (see `turn`). At worst
    a bound is off by one entry.
    """

    def __init__(self, line: Line, job_id: str) -> None:
        """Nothing was said yet."""
        self._line = line
        self.job_id = job_id
        self._size = 0
        self._logged = 0

    def emit(self, chunk: Any) -> None:
        """Add a partial result. Raises LeaseLost, Unserializable, and TooLarge once all of them are above 64 MiB."""
        data = codec.pack(chunk, "the chunk")
        self._size += len(data) + ENTRY
        if self._size > MESSAGE_LIMIT:
            raise TooLarge(f"partial results of job {self.job_id} are above {MESSAGE_LIMIT:,} bytes in total")
        # Only in the listener's own context: a finaliser may run amid the work of the thread that makes room.
        while self._line.full() and speaking_job() == self.job_id and self._line.holds():
            time.sleep(ROOM)
        self._line.say("chunk", data)

    def log(self, words: str) -> None:
        """Add what the job printed or logged, as long as there is room.

        Never waits: a handler of `logging` prints with its lock held, which those that make room may want.
        """
        data = words.encode("utf-8", "replace")
        room = LOG_LIMIT - self._logged
        if room <= 0 or not data:
            return
        self._logged += len(data) + ENTRY
        with contextlib.suppress(LeaseLost):
            self._line.say("log", data[:room])
            if self._logged >= LOG_LIMIT:
                self._line.say("log", b"\n[more was said, and is not kept]\n")


class JobContext(dict[str, Any]):
    """`context["update_progress"]` and `context.update_progress` are the same function."""

    def __init__(self, line: Line, voice: Voice, claimed: Claimed, record: Record, message: Any) -> None:
        """For one attempt."""
        self._line = line
        self._claimed = claimed
        self.voice = voice
        self._loop_thread: int | None = None
        super().__init__(full_message=_full_message(claimed, record, message))
        self.update((name, getattr(self, name)) for name in HELPERS)

    def end(self) -> None:
        """The attempt is through: refer to itself no more, lest its message stay until the collector comes."""
        for name in HELPERS:
            self.pop(name, None)

    def __missing__(self, name: str) -> Any:
        """A helper of an attempt that is through, which says so."""
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
        """The listener runs on the event loop of this thread, and others do, too."""
        self._loop_thread = threading.get_ident()

    @property
    def cancelled(self) -> bool:
        """Whether this attempt is to end: the job was cancelled, ran out of time, or is another worker's by now."""
        return not self._line.holds()

    @property
    def attempt(self) -> int:
        """1 for the first run."""
        return self._claimed.attempt

    def update_progress(self, value: Any) -> bool:
        """Report progress: any value that a message may hold, of up to 64 KiB. True, as the old package answered.

        Raises LeaseLost, Unserializable, TooLarge.
        """
        self._line.report(check_size("progress", codec.pack(value, "progress"), PROGRESS_LIMIT))
        return True

    def emit(self, chunk: Any) -> None:
        """Give a partial result to those that stream this job. Raises LeaseLost, TooLarge."""
        self.voice.emit(chunk)

    def store_data(self, data: Any, key: str | None = None, expiry: float | None = None) -> str:
        """Keep a value for other jobs, for `expiry` seconds or for ever; the key to fetch it by."""
        name = data_key(key)
        packed = check_size("the data", codec.pack(data))
        self._line.store(name, packed, check_seconds("expiry", expiry))
        return name

    def fetch_data(self, key: str) -> Any:
        """What `store_data` kept; None when there is nothing (any more)."""
        packed = self._line.fetch(data_key(key))
        return None if packed is None else codec.unpack(packed)

    def post(
        self, msg: Any, callback: str | None = None, functions: Iterable[str] | None = None,
        **options: Unpack[PostOptions],
    ) -> str:  # fmt: skip
        """Post another job, with the options of `MLQ.post`; its id. Refused when this attempt lost its lease."""
        wanted = options_of(callback, functions, options)
        return self._line.post(wanted.lane, wanted.body(msg))

    def block_until_result(self, job_id: str, timeout: float | None = None) -> Any:
        """Another job's result. The slot is given away meanwhile, so that even a worker of one slot can run that job.

        Raises WaitCircle, WaitTimeout, UnknownJob, JobCancelled; for a failed job its own exception or JobFailed.
        """
        if threading.get_ident() == self._loop_thread:
            raise InputError(
                "block_until_result would hold up all listeners of this event loop: await context.wait(id)"
            )
        return self._result(job_id, timeout)

    async def wait(self, job_id: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as block_until_result
        """The same for `async def` listeners."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

        def run() -> None:
            result: tuple[Any, BaseException | None]
            try:
                result = self._result(job_id, timeout), None
            except BaseException as error:  # noqa: BLE001 - to be raised where it is awaited
                result = None, error
            loop.call_soon_threadsafe(arrive, ended, result)

        threading.Thread(target=run, name="mlq-wait", daemon=True).start()
        value, error = await ended
        if error is not None:
            raise error
        return value

    def _result(self, job_id: str, timeout: float | None) -> Any:
        wanted = check_id(job_id)
        seconds = None if timeout is None else check_seconds("timeout", timeout, zero=True)
        return value_of(wanted, self._line.wait(wanted.reference, seconds), original=True)


def arrive(future: "asyncio.Future[Any]", result: Any) -> None:
    """Give a future its result, if somebody still waits for it."""
    if not future.done():
        future.set_result(result)


def lost(claimed: Claimed) -> LeaseLost:
    """The error of an attempt that may write nothing more."""
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
