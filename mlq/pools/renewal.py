"""Replaces the children of a process pool one by one, each when its runs have ended."""

from collections import deque
from collections.abc import Iterable, Sequence

from mlq.pools.child_process import Child


class Renewal:
    """Used with the pool's lock held."""

    def __init__(self) -> None:
        """Nothing to replace yet."""
        self._left: deque[Child] = deque()

    def begin(self, children: Iterable[Child]) -> None:
        """Replace all of these."""
        self._left = deque(sorted(children, key=lambda child: bool(child.runs)))  # a long job delays no others

    def next(self, children: Sequence[Child], *, complete: bool) -> Child | None:
        """The child that is to end now; it changed if it did not end yet. `complete`: none is missing or starting."""
        while self._left and self._left[0] not in children and complete:
            self._left.popleft()
        if not self._left or not self._left[0].ready:  # a child that still loads the listeners does not read
            return None
        self._left[0].retire()
        return self._left[0]
