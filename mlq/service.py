"""The contract of a background duty: one thread, started once, stopped idempotently and for good."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("mlq.worker")


class Service:
    """A duty that runs `turn` again and again on a thread of its own until stopped.

    `turn` must return within seconds of `stopping` being set. An error that it does not handle is a defect: it ends the
    duty and is reported to `died`, since a worker without one of its duties must not look alive.
    """

    def __init__(self, name: str, died: Callable[[], None]) -> None:
        """The thread is a daemon: what keeps the process alive is said in `worker/exit.py`."""
        self.name = name
        self.stopping = threading.Event()
        self._died = died
        self._thread = threading.Thread(target=self._main, name=f"mlq-{name}", daemon=True)

    def turn(self) -> None:
        """One round of the duty; overridden."""
        raise TypeError(f"{type(self).__name__} has no turn")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Ask to end, and wait for it up to `timeout` seconds. Safe to call again and from the thread itself."""
        self.stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _main(self) -> None:
        try:
            while not self.stopping.is_set():
                self.turn()
        except Exception:
            log.critical("the %s of this worker died; the worker stops", self.name, exc_info=True)
            self._died()
