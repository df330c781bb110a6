"""Slots: how many jobs a worker may have running, and who gets a slot that becomes free."""

import threading

AHEAD = 0.005  # seconds of work that may be claimed ahead; a job of a dead worker that never began costs no more
SHORT = 0.001  # seconds that jobs take on average when some are claimed ahead
MOST_AHEAD = 100  # jobs


class Slots:
    """Counts free slots. A listener that waited for another job and goes on comes before new jobs."""

    def __init__(self) -> None:
        """None yet: the pool says how many there are."""
        self._free = 0
        self._total = 0
        self.ahead = 0  # jobs that may be claimed beyond the free slots, since the running ones end so soon
        self._returning = 0
        self._closed = False
        self._changed = threading.Condition()

    def take(self, most: int) -> int:
        """Take up to `most` free slots for new jobs; how many it got."""
        with self._changed:
            taken = self._allowed(most)
            self._free -= taken
            return taken

    def give(self, count: int = 1) -> None:
        """Make slots free."""
        with self._changed:
            self._free += count
            self._changed.notify_all()

    def swap(self, freed: int, most: int) -> int:
        """Make `freed` slots free and take up to `most` for new jobs in one step: nobody is woken for nothing."""
        with self._changed:
            self._free += freed
            taken = self._allowed(most)
            self._free -= taken
            if self._free > 0:
                self._changed.notify_all()
            return taken

    def _allowed(self, most: int) -> int:
        """New jobs that may come; none ahead while somebody waits to go on."""
        if self._closed:
            return 0
        spare = self.ahead if not self._returning else 0
        return max(0, min(most, self._free + spare - self._returning))

    def retake(self) -> None:
        """Wait for a slot, ahead of new jobs."""
        with self._changed:
            self._returning += 1
            while self._free < 1:
                self._changed.wait()
            self._returning -= 1
            self._free -= 1

    def overdraw(self, count: int = 1) -> None:
        """Take slots that may not be there: new jobs wait until the debt is paid."""
        with self._changed:
            self._free -= count

    def resize(self, change: int) -> None:
        """So many slots more, or fewer."""
        with self._changed:
            self._total += change
            self._free += change
            self._changed.notify_all()

    def total(self) -> int:
        """How many there are."""
        return self._total

    def look_ahead(self, seconds: float) -> None:
        """Let jobs be claimed ahead, as many as end within 5 ms where one takes `seconds`; none where that is long."""
        self.ahead = min(MOST_AHEAD, int(AHEAD / seconds * self._total)) if 0 < seconds < SHORT else 0

    def overdrawn(self) -> bool:
        """Whether more jobs are here than slots."""
        return self._free < 0

    def free(self) -> int:
        """Slots that new jobs may take now."""
        return 0 if self._closed else max(0, self._free - self._returning)

    def take_one(self) -> bool:
        """Take a free slot, if there is one, though no new jobs may come."""
        with self._changed:
            taken = self._free - self._returning > 0
            self._free -= taken
            return taken

    def close(self) -> bool:
        """Let no new jobs come, whatever is free; whether it was so before."""
        closed, self._closed = self._closed, True
        return closed

    def open(self) -> bool:
        """Let them come again; whether that was closed."""
        with self._changed:
            closed, self._closed = self._closed, False
            self._changed.notify_all()
        return closed

    def wait(self, timeout: float) -> bool:
        """Wait until a slot is free or `touch` is called; False when `timeout` seconds went by instead."""
        with self._changed:
            return self.free() > 0 or self._changed.wait(timeout)

    def touch(self) -> None:
        """Wake those that `wait`."""
        with self._changed:
            self._changed.notify_all()
