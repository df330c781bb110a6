"""The reaper: ends attempts that run longer than its limit, anywhere in the namespace.

Recovery from dead workers does not need it: every worker looks for expired leases by itself.
"""

import logging
import threading

from mlq.core.keys import Keys
from mlq.errors import ServerError
from mlq.ops import work as work_ops
from mlq.shell.sync import Shell
from mlq.system.service import Service

log = logging.getLogger("mlq.reaper")


class Reaper(Service):
    """Looks at all running jobs every `interval` seconds."""

    def __init__(self, keys: Keys, shell: Shell, interval: float, timeout: float, retries: int) -> None:
        """`timeout`: seconds an attempt may take; `retries`: attempts after the first, before it is a dead letter."""
        self.stopped = threading.Event()
        self.broken = False
        super().__init__("reaper", self._break)
        self._keys = keys
        self._shell = shell
        self._interval = interval
        self._timeout = timeout
        self._retries = retries

    def _break(self) -> None:
        self.broken = True
        self.stopped.set()

    def turn(self) -> None:
        """Pause, then look once."""
        if self.stopping.wait(self._interval):
            return
        try:
            self.look()
        except ServerError as error:
            log.warning("can't look for overdue jobs: %s", error)

    def look(self) -> list[str]:
        """End the attempts that are over the limit; returns the ids of their jobs."""
        ended: list[str] = []
        cursor = ""
        while cursor != "0":
            op = work_ops.overrun(self._keys, self._timeout, self._retries, cursor or "0")
            cursor, ids = self._shell.run(op)
            ended += ids
        if ended:
            log.warning("jobs over %g s were ended: %s", self._timeout, ", ".join(ended))
        return ended

    def stop(self, grace: float | None = None) -> None:
        """End; without a grace period, wait for a look that is under way."""
        super().stop(None if grace is None else 0.0)
        self.stopped.set()
