"""One attempt of a chunk's job, and its rows as members of the listener's calls."""

import contextlib
import time
from typing import Any

from mlq.core import codec
from mlq.core.job import Claimed, Record
from mlq.errors import InputError, LeaseLost, NotLoaded
from mlq.files.rows import Row
from mlq.running.context import Channel, JobContext, Output, lost
from mlq.running.listeners import Listener
from mlq.running.pipeline import Forward, Split
from mlq.running.results import Results

EVERY = 1.0  # seconds between reports of progress


class ChunkAttempt:
    """One attempt of a chunk's job."""

    shares_a_loop = False  # with other jobs

    def __init__(self, channel: Channel, claimed: Claimed, record: Record, listeners: tuple[Listener, ...]) -> None:
        """Nothing is done yet."""
        self._channel = channel
        self._claimed = claimed
        self.record = record
        self.listeners = listeners
        self.output = Output(channel, claimed.id)
        self._told = time.monotonic()
        self.done = 0  # rows
        self.is_plain = False  # the listener gives values that JSON can hold
        self.no_model: NotLoaded | None = None  # no row of the chunk can be predicted

    def context(self, message: Any) -> JobContext:
        """For middleware, or for the row whose input is `message`."""
        made = JobContext(self._channel, self.output, self._claimed, self.record, message)
        if self.shares_a_loop:
            made.shares_a_loop()
        return made

    def holds(self) -> bool:
        """Whether it is of use to predict more rows."""
        return self.no_model is None and self._channel.holds()

    def check(self) -> None:
        """Report progress now and then. Raises if it is of no use to go on."""
        if self.no_model is not None:
            raise self.no_model
        if not self._channel.holds():
            raise lost(self._claimed)
        if time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            with contextlib.suppress(LeaseLost):
                self._channel.report(codec.pack({"rows": self.done}))


class FileRow(Row):
    """A row as a member of a call."""

    __slots__ = ("_attempt", "context", "cost", "group", "message")

    def __init__(self, attempt: ChunkAttempt, line: int) -> None:
        """`line`: of the file, where it begins."""
        super().__init__(line)
        self._attempt = attempt
        self.message: Any = None
        self.group: Any = None
        self.cost = 1.0
        self.context: JobContext | None = None

    def holds(self) -> bool:
        """Whether it is of use to predict it."""
        return self._attempt.holds()

    def fail(self, error: BaseException) -> None:
        """Its prediction raised that."""
        if isinstance(error, NotLoaded):
            self._attempt.no_model = error
        self._attempt.done += 1
        super().fail(error)

    def succeed(self, value: Any) -> None:
        """That is its prediction."""
        attempt = self._attempt
        attempt.done += 1
        try:
            self.value = value if attempt.is_plain else _result(value)
        except Exception as error:  # noqa: BLE001 - a value may have code of its own
            super().fail(error)


def _result(value: Any) -> Any:
    """What the job of a single message would have as its result."""
    if isinstance(value, (Forward, Split, Results)):
        raise InputError("this listener hands its message on to another one, which is not followed for rows of files")
    value = value[1] if isinstance(value, tuple) and len(value) == 2 else value  # a short result, and the result
    return codec.unpack(codec.pack(value, "the prediction"))
