"""How programs of ours log: as JSON where machines read it, and as the listeners' module configures it, if it does."""

import json
import logging
import time

from mlq.capture import speaking_job


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, message, and where there are: the job that speaks, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "job": speaking_job(),
            "traceback": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in told.items() if value is not None}, default=str)


class _Ours(int):
    """A level that is told from the same one set by somebody else."""


class Provisional:
    """Logging while a module is imported that may configure it: as if nobody had, but nothing is lost.

    `logging.basicConfig` does nothing where the root logger has a handler. So ours is Python's last resort at first,
    which gets what no other handler takes.
    """

    def __init__(self, handler: logging.Handler, level: int) -> None:
        """Show by `handler` what is of this level; for MLQ's own loggers that holds whatever the module does."""
        self._handler = handler
        self._before = logging.lastResort
        logging.lastResort = handler
        logging.getLogger("mlq").setLevel(level)
        logging.getLogger().setLevel(_Ours(level))

    def settle(self) -> None:
        """The module is imported: what it configured stays, and is what it would be without us."""
        root = logging.getLogger()
        logging.lastResort = self._before
        if not root.handlers:
            root.addHandler(self._handler)
        elif type(root.level) is _Ours:
            root.setLevel(logging.WARNING)
