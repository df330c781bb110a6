"""The order in which a worker takes the jobs of several queues, as a user gives it: `gpu:3,cpu:1`."""

from collections.abc import Sequence
from typing import NamedTuple, Self

from mlq.core.checks import check_queue
from mlq.errors import InputError

MOST = 1000  # of a weight


class QueueOrder(NamedTuple):
    """The queues of a worker, and their order."""

    queues: tuple[str, ...] = ()  # if empty: the default one, and those that listeners declare
    weights: tuple[int, ...] = ()  # of the jobs that it takes, by queue; if empty, by their places whatever the queue
    strict: bool = False  # jobs of a queue are taken only while those before it have none

    @classmethod
    def parse(cls, given: Sequence[str], *, strict: bool = False) -> Self:
        """Read `gpu:3` and `cpu:1`, or names alone; a name without a weight has 1 if others have one.

        Raises InputError.
        """
        pairs = [one.partition(":") for one in given]
        names = tuple(check_queue(name) for name, _, _ in pairs)
        if len(set(names)) < len(names):
            raise InputError(f"a queue is named twice: {', '.join(names)}")
        weighted = any(colon for _, colon, _ in pairs)
        if strict and weighted:
            raise InputError("queues have either weights or a strict order, not both")
        if strict and len(names) < 2:
            raise InputError("a strict order needs the queues, in that order: --queues urgent,usual")
        weights = tuple(_weight(name, number) if colon else 1 for name, colon, number in pairs) if weighted else ()
        return cls(names, weights, strict)

    @property
    def groups(self) -> int:
        """How many queues take turns; 1 if they are served together."""
        return len(self.queues) if self.weights or self.strict else 1

    def __str__(self) -> str:
        """In words; empty if the queues are served together."""
        if self.strict:
            return " before ".join(self.queues)
        return ", ".join(f"{name}:{weight}" for name, weight in zip(self.queues, self.weights, strict=False))


def _weight(name: str, number: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) < 5 and 1 <= int(number) <= MOST):
        raise InputError(f"the weight of queue {name!r} must be a whole number from 1 to {MOST:,}, not {number!r:.40}")
    return int(number)
