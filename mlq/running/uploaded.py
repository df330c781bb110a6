"""The uploaded ones among a worker's listeners."""

from mlq.running.listeners import Listener, Listeners


class Uploaded:
    """Uploaded listeners. Each hides a listener of the program that has the same name.

    Not thread-safe.
    """

    def __init__(self, listeners: Listeners) -> None:
        """Without uploads at first."""
        self._listeners = listeners
        self._mine: dict[str, tuple[Listener, Listener | None]] = {}  # each with the one that it hides

    def put(self, new: Listener) -> None:
        """Add an uploaded listener, or replace an earlier one of its name."""
        before = self._listeners.add(new)
        mine, hidden = self._mine.get(new.name, (None, None))
        self._mine[new.name] = new, hidden if before is mine and mine is not None else before

    def remove(self, name: str) -> bool:
        """Remove an uploaded listener, and restore the one that it hid; returns whether it existed."""
        if name not in self._mine:
            return False
        return self._listeners.exchange(*self._mine.pop(name))

    def clear(self) -> None:
        """Remove all uploaded listeners."""
        for name in tuple(self._mine):
            self.remove(name)
