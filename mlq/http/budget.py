"""What all bodies under way may take together, of requests and of answers, so that many do not exhaust the memory."""

from typing import Self

FREE = 65_536  # bytes of a body that is not counted: so many for each connection are no danger, and small posts pass
SHARE = 4  # bodies of the largest size that fit at a time


class Budget:
    """Bytes, handed out to requests and given back. For one thread, whose greenlets share it."""

    def __init__(self, total: int) -> None:
        """`total`: bytes."""
        self.total = total
        self.left = total


class Share:
    """What one request holds of a budget, until the end of its `with` at most."""

    def __init__(self, budget: Budget) -> None:
        """Nothing yet."""
        self._budget = budget
        self.held = 0  # bytes

    def hold(self, size: int) -> bool:
        """Whether there is room for `size` bytes more; then they are held."""
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
