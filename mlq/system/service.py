"""The base class of background duties: one thread, started once, stopped for good; stopping twice is harmless."""

import logging
import threading
import time
from collections.abc import Callable

from mlq.errors import Undecodable

log = logging.getLogger("mlq.worker")

TELL_AGAIN = 30.0  # seconds between warnings about a problem that lasts
DAMAGED = 1.0  # seconds to rest after a reply that can't be read


class TroubleLog:
    """Logs a problem when it begins, now and then while it lasts, and when it is over."""

    def __init__(self, what: str) -> None:
        """`what`: the problem, as a phrase such as "can't claim"."""
        self._what = what
        self._since: float | None = None
        self._logged = 0.0

    def log(self, error: Exception) -> None:
        """The problem exists, or still exists."""
        now = time.monotonic()
        if self._since is None:
            self._since, self._logged = now, now
            log.warning("%s: %s", self._what, error)
        elif now - self._logged >= TELL_AGAIN:
            self._logged = now
            log.warning("%s for %.0f s: %s", self._what, now - self._since, error)

    def over(self) -> None:
        """The problem does not exist, or no longer does."""
        if self._since is not None:
            log.info("%s: over after %.1f s", self._what, time.monotonic() - self._since)
            self._since = None


class Service:
    """A duty that runs `turn` again and again on a thread of its own until stopped.

    `turn` must return within seconds after `stopping` is set. An error that it does not handle is a defect: the duty
    ends and calls `died`, since a worker that lacks one of its duties must not look alive.
    """

    def __init__(self, name: str, died: Callable[[], None]) -> None:
        """The thread is a daemon; `worker/exit.py` keeps the process alive."""
        self.name = name
        self.stopping = threading.Event()
        self._died = died
        self._thread = threading.Thread(target=self._main, name=f"mlq-{name}", daemon=True)

    def turn(self) -> None:
        """One round of the duty; subclasses override this."""
        raise TypeError(f"{type(self).__name__} does not override turn()")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def start_once(self) -> None:
        """Begin with the first thing to do: few workers need some duties. One thread at a time may call it."""
        if self._thread.ident is None:
            self.start()

    def stop(self, timeout: float | None = None) -> None:
        """Ask the thread to end, and wait up to `timeout` seconds. Safe to call again, and from the thread itself."""
        self.stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _main(self) -> None:
        try:
            while not self.stopping.is_set():
                try:
                    self.turn()
                except Undecodable as error:  # damaged data in Redis is not a defect; the next round may not meet it
                    log.warning("the %s of this worker goes on after an error: %s", self.name, error)
                    self.stopping.wait(DAMAGED)
        except Exception:
            log.critical("the %s of this worker died; the worker stops", self.name, exc_info=True)
            self._died()
