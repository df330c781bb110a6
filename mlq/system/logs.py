"""How MLQ's programs log. Records are escaped, so that no job's output can control a terminal or forge a log line."""

import json
import logging
import time
import traceback
from typing import Any

from mlq.system.capture import capturing_job
from mlq.system.terminal import escaped

PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LOGGERS = ("mlq", "mlq.cli", "mlq.client", "mlq.controller", "mlq.delivery", "mlq.http", "mlq.http.access", "mlq.job",
           "mlq.queue", "mlq.reaper", "mlq.server", "mlq.worker")  # fmt: skip


class PlainFormatter(logging.Formatter):
    """For people. Continuation lines of a message are indented, so that none looks like a record of its own."""

    def __init__(self) -> None:
        """Time, level, logger, message."""
        super().__init__(PLAIN)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without the traceback."""
        return super().formatMessage(record).replace("\n", "\n    ")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback if there is one."""
        return escaped(super().format(record))


class JsonFormatter(logging.Formatter):
    """For machines, one object per line: time (UTC), level, logger, message, and the id of the job and the traceback.

    JSON's escapes leave only printable ASCII.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "job": capturing_job(),
            "traceback": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in entry.items() if value is not None}, default=str)


def begin(level: int | str, *, as_json: bool = False) -> None:
    """Log to stderr from now on; a program that has set up its own handlers keeps them."""
    logging.basicConfig(handlers=[to_stderr(as_json=as_json)])
    if as_json:
        for one in logging.getLogger().handlers:
            one.setFormatter(JsonFormatter())
    logging.getLogger().setLevel(level)


def to_stderr(*, as_json: bool) -> logging.Handler:
    """A handler that writes to stderr as MLQ's programs do."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    return handler


class _Escaping(logging.Filter):
    """Escapes MLQ's own records, which may quote jobs: Python's default handler, for one, does not.

    Records without control characters, which is nearly all, stay as they are.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """True, always."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_harmless, record.args))
        if record.exc_info and record.exc_info[0] and not record.exc_text:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if text != escaped(text):
                record.exc_text = escaped(text)
        return True


def _harmless(value: Any) -> Any:
    if not isinstance(value, (str, BaseException)):
        return value
    try:
        text = str(value)
    except Exception:  # noqa: BLE001 - user code: logging reports it where it formats the record
        return value
    safe = escaped(text)
    return value if safe == text else safe


def guard() -> None:
    """Escape MLQ's own records, whichever handler gets them."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_ESCAPING)  # adding it twice has no effect


_ESCAPING = _Escaping()


class _OwnLevel(int):
    """A level that can be distinguished from the same one set by somebody else."""


class Provisional:
    """Logging during the import of a module that may configure logging itself: no record is lost, nothing interferes.

    `logging.basicConfig` does nothing if the root logger has a handler. So ours is Python's handler of last resort
    until the import is done; that one gets the records for which there is no other handler.
    """

    def __init__(self, handler: logging.Handler, level: int) -> None:
        """Log from `level` on to `handler`. MLQ's own loggers keep that level whatever the module configures."""
        self._handler = handler
        self._before = logging.lastResort
        logging.lastResort = handler
        logging.getLogger("mlq").setLevel(level)
        logging.getLogger().setLevel(_OwnLevel(level))

    def settle(self) -> None:
        """Call this after the import: what the module configured stays, and is what it would be without us."""
        root = logging.getLogger()
        logging.lastResort = self._before
        if not root.handlers:
            root.addHandler(self._handler)
        elif type(root.level) is _OwnLevel:
            root.setLevel(logging.WARNING)
