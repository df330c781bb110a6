"""When the renewer's next round is due: as usual, at once if somebody hurries it, or when a retry is due."""

import threading
import time

LEAST = 0.05  # shortest rest in seconds: many retries that are due must not cause a busy loop


class RoundClock:
    """Rests between rounds. Safe to use from any thread."""

    def __init__(self) -> None:
        """No retry is expected."""
        self._retry_at: float | None = None  # when the next retry is due, by the monotonic clock
        self._hurried = False
        self._changed = threading.Condition()

    @property
    def retry_at(self) -> float | None:
        """When the next known retry of this namespace is due, by the monotonic clock."""
        return self._retry_at

    def retry_in(self, seconds: float) -> None:
        """A retry is due in `seconds`."""
        at = time.monotonic() + seconds
        with self._changed:
            if self._retry_at is None or at < self._retry_at:
                self._retry_at = at
                self._changed.notify()

    def retries_moved(self, retry_at: float | None) -> None:
        """The retry that was due at `retry_at` was moved to its lane; one that was scheduled meanwhile stays."""
        with self._changed:
            if self._retry_at == retry_at:
                self._retry_at = None

    def hurry(self) -> None:
        """Have a round begin at once."""
        with self._changed:
            self._hurried = True
            self._changed.notify()

    def rest(self, until: float) -> bool:
        """Wait; True if a round is due before `until`, because somebody hurries it or a retry is due."""
        soonest = time.monotonic() + LEAST
        with self._changed:
            while not self._hurried:
                due = until if self._retry_at is None else max(soonest, min(until, self._retry_at))
                left = due - time.monotonic()
                if left <= 0:
                    return due < until
                self._changed.wait(left)
            self._hurried = False
            return True
