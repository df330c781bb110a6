"""Slots: how many jobs a worker may have running, and who gets a slot that becomes free."""

import threading


class Slots:
    """Counts free slots. A listener that waited for another job and goes on comes before new jobs."""

    def __init__(self, total: int) -> None:
        """`total`: jobs that may run at once."""
        self._free = total
        self._returning = 0
        self._changed = threading.Condition()

    def take(self, most: int) -> int:
        """Take up to `most` free slots for new jobs; how many it got."""
        with self._changed:
            taken = max(0, min(most, self._free - self._returning))
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
            taken = max(0, min(most, self._free - self._returning))
            self._free -= taken
            if self._free:
                self._changed.notify_all()
            return taken

    def retake(self) -> None:
        """Wait for a slot, ahead of new jobs."""
        with self._changed:
            self._returning += 1
            while self._free < 1:
                self._changed.wait()
            self._returning -= 1
            self._free -= 1

    def overdraw(self) -> None:
        """Take a slot that may not be there: new jobs wait until the debt is paid."""
        with self._changed:
            self._free -= 1

    def free(self) -> int:
        """Slots that new jobs may take now."""
        return max(0, self._free - self._returning)

    def wait(self, timeout: float) -> None:
        """Wait until a slot is free, `touch` is called, or `timeout` seconds went by."""
        with self._changed:
            if self._free - self._returning < 1:
                self._changed.wait(timeout)

    def touch(self) -> None:
        """Wake those that `wait`."""
        with self._changed:
            self._changed.notify_all()
