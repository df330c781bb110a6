"""Splits the messages of a batch into calls: by group, by cost, and by the number that memory allows. Pure."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from mlq.errors import InputError

T = TypeVar("T")


class Split(NamedTuple):
    """What messages may share a call. What the functions raise concerns the message that they were called with."""

    cost: Callable[[Any], float] | None = None  # of a message, such as its length; 1 for each if left out
    max_cost: float | None = None  # of a call, if it has more than one message
    # Only messages with equal groups share a call, such as those of one shape. A group needs a hash.
    group: Callable[[Any], Any] | None = None

    @classmethod
    def of(cls, cost: Any, max_cost: Any, group: Any) -> "Split | None":
        """None if all messages may share a call. Raises InputError."""
        if (cost is None) != (max_cost is None):
            raise InputError("max_cost and cost go together: what a call may cost, and what a message does")
        is_number = isinstance(max_cost, (int, float)) and not isinstance(max_cost, bool)
        if max_cost is not None and not (is_number and 0 < max_cost < math.inf):
            raise InputError(f"max_cost must be a number above 0, not {max_cost!r:.80}")
        for name, function in (("cost", cost), ("group", group)):
            if function is not None and not callable(function):
                raise InputError(f"{name} must be a function of a message, not {function!r:.80}")
        return None if cost is None and group is None else cls(cost, max_cost, group)


def portions(members: Sequence[T], groups: Sequence[Any], costs: Sequence[float], most: int, max_cost: float | None
             ) -> Iterator[list[T]]:  # fmt: skip
    """The members of each call, in order; the first call has the group of the first member.

    `groups` (with a hash) and `costs`: of the members; `most`: members of a call.
    """
    open_calls: dict[Any, tuple[list[T], float]] = {}
    for member, group, cost in zip(members, groups, costs, strict=True):
        call, total = open_calls.get(group, ([], 0.0))
        if call and (len(call) >= most or (max_cost is not None and total + cost > max_cost)):
            yield call
            del open_calls[group]  # the next call of this group comes after those that are open
            call, total = [], 0.0
        call.append(member)
        open_calls[group] = call, total + cost
    yield from (call for call, _ in open_calls.values())
