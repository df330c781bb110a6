"""Keeps what a job prints and logs with the job, beside where it goes anyway.

Which job speaks is a context variable: threads and tasks each have their own. Output of threads that a listener starts
itself, and of C code, is not kept.
"""

import contextlib
import contextvars
import logging
import sys
import threading
from typing import Any, Protocol, TextIO


class Speaker(Protocol):
    """The voice of one attempt."""

    job_id: str

    def log(self, words: str) -> None:
        """Keep these words."""


_speaker: contextvars.ContextVar[Speaker | None] = contextvars.ContextVar("mlq_speaker", default=None)


class speaking:  # noqa: N801 - used as `with speaking(...)`; a generator would cost each job 1 us more
    """Within, what is printed and logged is this speaker's."""

    __slots__ = ("_speaker", "_token")

    def __init__(self, speaker: Speaker) -> None:
        """`speaker`: the voice of an attempt."""
        self._speaker = speaker

    def __enter__(self) -> None:
        """Begin."""
        self._token = _speaker.set(self._speaker)

    def __exit__(self, *_: object) -> None:
        """End."""
        _speaker.reset(self._token)


def speaking_job() -> str | None:
    """The id of the job whose code runs here, if any."""
    speaker = _speaker.get()
    return None if speaker is None else speaker.job_id


def hush() -> None:
    """Keep nothing more of what is said in this context: it is no job's."""
    _speaker.set(None)


def _keep(words: str) -> None:
    speaker = _speaker.get()
    if speaker is not None:
        token = _speaker.set(None)  # what keeping logs itself is no part of the job
        try:
            with contextlib.suppress(Exception):  # a print must not fail for want of somebody who listens
                speaker.log(words)
        finally:
            _speaker.reset(token)


class _Tee:
    """A stream that also keeps what jobs write to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, words: str) -> int:
        _keep(words)
        return self._stream.write(words)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_FORMAT = logging.Formatter("%(levelname)s %(name)s: %(message)s")
_make_record: Any = None  # the factory of log records before ours


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """Make a log record, and keep it where a job speaks.

    As a factory, and not as a handler of the root logger: that would make `logging.basicConfig` do nothing.
    """
    record: logging.LogRecord = _make_record(*args, **kwargs)
    if _speaker.get() is not None and not record.name.startswith("mlq."):
        with contextlib.suppress(Exception):  # arguments that don't fit are told of where the record is shown
            _keep(_FORMAT.format(record) + "\n")
    return record


_lock = threading.Lock()
_users = 0


def begin() -> None:
    """Capture from now on. Handlers that were made before go on writing to the stream that they know."""
    global _users, _make_record  # noqa: PLW0603 - a process has one pair of streams
    with _lock:
        _users += 1
        if _users > 1:
            return
        _make_record = logging.getLogRecordFactory()
        logging.setLogRecordFactory(_record)
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None:
                setattr(sys, name, _Tee(stream))


def end() -> None:
    """Undo `begin`, where nobody else has replaced the streams since."""
    global _users  # noqa: PLW0603 - as above
    with _lock:
        _users -= 1
        if _users:
            return
        if logging.getLogRecordFactory() is _record:
            logging.setLogRecordFactory(_make_record)
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, _Tee):
                setattr(sys, name, stream._stream)  # noqa: SLF001 - ours
