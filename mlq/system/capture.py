"""Captures what a job prints and logs, in addition to where that goes anyway.

A context variable says whose output it is, so threads and tasks are told apart. Output of threads that a listener
starts itself, and of C code, is not captured.
"""

import contextlib
import contextvars
import logging
import sys
import threading
from typing import Any, Protocol, TextIO


class LogSink(Protocol):
    """What takes the output of one attempt."""

    job_id: str

    def log(self, words: str) -> None:
        """Keep the text if possible. Must not raise: printing must not fail because nobody can take the output."""


_sink: contextvars.ContextVar[LogSink | None] = contextvars.ContextVar("mlq_speaker", default=None)
# Whether `logging` handlers are running. What they print is not captured: `_handle` captures the record itself.
_handling: contextvars.ContextVar[bool] = contextvars.ContextVar("mlq_handling", default=False)


class capturing:  # noqa: N801 - used as `with capturing(...)`; a generator would cost each job 1 us more
    """Within this context manager, what is printed and logged goes to the sink."""

    __slots__ = ("_sink", "_token")

    def __init__(self, sink: LogSink) -> None:
        """`sink`: takes the output of an attempt."""
        self._sink = sink

    def __enter__(self) -> None:
        """Begin."""
        self._token = _sink.set(self._sink)

    def __exit__(self, *_: object) -> None:
        """End."""
        _sink.reset(self._token)


def capturing_job() -> str | None:
    """The id of the job whose code runs in this context, if any."""
    sink = _sink.get()
    return None if sink is None else sink.job_id


def capture_nothing() -> None:
    """Capture no more output in this context: it does not belong to a job."""
    _sink.set(None)


def _keep(words: str) -> None:
    sink = _sink.get()
    if sink is not None:
        sink.log(words)


class _Tee:
    """A stream that also captures what jobs write to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, words: str) -> int:
        if not _handling.get() and isinstance(words, str):
            _keep(words)
        return self._stream.write(words)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_FORMAT = logging.Formatter()
_call_handlers: Any = None  # the original `Logger.callHandlers`


def _handle(self: logging.Logger, record: logging.LogRecord) -> None:
    """Handle a record, and capture it if it comes from a job and reaches the root logger.

    Replaces `Logger.callHandlers`, which gets exactly the records that pass the logger's level and filters. A handler
    on the root logger would make `logging.basicConfig` do nothing, and be removed by `dictConfig` and
    `basicConfig(force=True)`; a record factory would see records that filters reject.
    """
    sink = _sink.get()
    if sink is None:
        _call_handlers(self, record)
        return
    before = _handling.get()
    try:
        _handling.set(True)
        _call_handlers(self, record)
    finally:
        _handling.set(before)
    if not record.name.startswith("mlq.") and _reaches_root(self):
        words = ""
        with contextlib.suppress(Exception):  # bad arguments: `logging` reports those where it formats the record
            words = _words(record)
        _keep(words)


def _reaches_root(logger: logging.Logger | None) -> bool:
    while logger is not None and logger is not logging.root:
        logger = logger.parent if logger.propagate else None
    return logger is not None


def _words(record: logging.LogRecord) -> str:
    """The text to keep of a record. Leaves the record unchanged: formatters would reuse a cached `exc_text`."""
    parts = [f"{record.levelname} {record.name}: {record.getMessage()}"]
    if record.exc_text:
        parts.append(record.exc_text)
    elif record.exc_info:
        parts.append(_FORMAT.formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts) + "\n"


_lock = threading.Lock()
_users = 0
# Never freed: up to Python 3.11 at least, `print` holds no reference of its own to `sys.stdout` while it writes, and
# crashes if another thread, whose worker stops, puts the original stream back meanwhile.
_tees: list[_Tee] = []
_hooked = False  # `_handle` is `Logger.callHandlers`, or is called by what somebody else has put there


def begin() -> None:
    """Capture from now on. Handlers that were created before keep writing to the original stream."""
    global _users, _hooked, _call_handlers  # noqa: PLW0603 - a process has one pair of streams
    with _lock:
        _users += 1
        if _users > 1:
            return
        if not _hooked:
            _hooked, _call_handlers = True, logging.Logger.callHandlers
            logging.Logger.callHandlers = _handle  # type: ignore[method-assign]
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None:
                _tees.append(_Tee(stream))
                setattr(sys, name, _tees[-1])


def end() -> None:
    """Undo `begin`, except where somebody else has since installed a replacement."""
    global _users, _hooked  # noqa: PLW0603 - as above
    with _lock:
        _users -= 1
        if _users:
            return
        if logging.Logger.callHandlers is _handle:
            _hooked, logging.Logger.callHandlers = False, _call_handlers  # type: ignore[method-assign]
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, _Tee):
                setattr(sys, name, stream._stream)  # noqa: SLF001 - ours
