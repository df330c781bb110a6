"""Logs as JSON, one object a line, for machines that read them."""

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
