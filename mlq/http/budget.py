"""Limits the memory that the bodies of all current requests, or of all current answers, may take together."""

from typing import Self

FREE = 65_536  # bytes; smaller bodies are not counted: that much for each connection is safe, and small posts get in
SHARE = 4  # how many bodies of the largest size fit at a time


class Budget:
    """A number of bytes that requests reserve and release. For the greenlets of one thread."""

    def __init__(self, total: int) -> None:
        """`total`: bytes."""
        self.total = total
        self.left = total


class Share:
    """What one request has reserved of a budget, until the end of its `with` block at most."""

    def __init__(self, budget: Budget) -> None:
        """Reserves nothing yet."""
        self._budget = budget
        self.held = 0  # bytes

    def hold(self, size: int) -> bool:
        """Reserve `size` more bytes, if there is room; whether there was."""
        if size > self._budget.left:
            return False
        self._budget.left -= size
        self.held += size
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back(self.held)

    def give_back(self, size: int) -> None:
        """Hold `size` bytes less."""
        self._budget.left += size
        self.held -= size
