"""When the renewer's next round is due: as usual, at once if somebody hurries it, or at the time of a job."""

import threading
import time

LEAST = 0.05  # shortest rest in seconds: many retries that are due must not cause a busy loop


class RoundClock:
    """Rests between rounds. Safe to use from any thread."""

    def __init__(self) -> None:
        """No job is expected."""
        self._retry_at: float | None = None  # when the next job comes due, by the monotonic clock
        self._expiry_at: float | None = None  # when the next one expires
        self._tick_at: float | None = None  # when the next schedule is due
        self._hurried = False
        self._changed = threading.Condition()

    @property
    def retry_at(self) -> float | None:
        """When the next job of this namespace comes due that is known, by the monotonic clock."""
        return self._retry_at

    def retry_in(self, seconds: float) -> None:
        """A job comes due in `seconds`."""
        at = time.monotonic() + seconds
        with self._changed:
            if self._retry_at is None or at < self._retry_at:
                self._retry_at = at
                self._changed.notify()

    def expiry_in(self, seconds: float | None) -> None:
        """The next job expires in `seconds`; None if none does. Called by the thread that rests."""
        self._expiry_at = None if seconds is None else time.monotonic() + seconds

    def tick_in(self, seconds: float | None) -> None:
        """The next schedule is due in `seconds`; None if none is, or not known when."""
        with self._changed:
            self._tick_at = None if seconds is None else time.monotonic() + seconds
            self._changed.notify()

    def retries_moved(self, retry_at: float | None) -> None:
        """The job that was due at `retry_at` was moved to its lane; one that was scheduled meanwhile stays."""
        with self._changed:
            if self._retry_at == retry_at:
                self._retry_at = None

    def hurry(self) -> None:
        """Have a round begin at once."""
        with self._changed:
            self._hurried = True
            self._changed.notify()

    def rest(self, until: float) -> bool:
        """Wait; True if a round is due before `until`, because somebody hurries it, or of a job's time."""
        soonest = time.monotonic() + LEAST
        with self._changed:
            while not self._hurried:
                times = [at for at in (self._retry_at, self._expiry_at, self._tick_at) if at is not None]
                due = max(soonest, min(until, *times)) if times else until
                left = due - time.monotonic()
                if left <= 0:
                    return due < until
                self._changed.wait(left)
            self._hurried = False
            return True
