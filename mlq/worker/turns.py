"""Whose turn it is: from which of a worker's queues its next jobs come, if these have weights or a strict order.

A round is what fills the free slots: one claim after the other, each of one queue, until the slots are taken or all
queues are empty. Pure: the claims are made elsewhere.

By weights, each queue has a time, which its jobs move by the inverse of its weight; the queue with the earliest time is
next. One that was empty comes back at the present time: it has no credit for having been away, and no debt.
"""

import math

from mlq.core.queue_order import QueueOrder


class Turns:
    """The turns of one worker's queues. Call it with `claiming` held."""

    def __init__(self, order: QueueOrder) -> None:
        """Without an order, there is one group of all queues, whose turn it always is."""
        self.groups = order.groups
        self.number = 0  # of the group whose turn it is
        self.again: float | None = None  # seconds until a job that a claim of this round passed over is for any worker
        self.asked: set[str] = set()  # the classes as which jobs were claimed in this round
        self._strict = order.strict
        whole = math.lcm(*order.weights) if order.weights else 1
        self._steps = [whole // weight for weight in order.weights]
        self._times = [0] * self.groups
        self._now = 0  # the time of the last job
        self._empty: set[int] = set()

    def begin(self) -> None:
        """Begin a round: any queue may have jobs."""
        self.again = None
        self.asked.clear()
        self._empty.clear()

    def over(self) -> bool:
        """Whether all queues were found empty in this round."""
        return len(self._empty) == self.groups

    def portion(self, wanted: int) -> int:
        """Turn to the next queue; returns how many of the `wanted` jobs are to come from it. Not if it is `over`."""
        if self.groups == 1:
            return wanted
        others = [one for one in range(self.groups) if one not in self._empty]
        if self._strict or len(others) == 1:
            self.number = others[0]
            return wanted
        times = {one: max(self._times[one], self._now) for one in others}
        self.number = self._next(times)
        count = 0
        for _ in range(wanted):
            one = self._next(times)
            count += one == self.number
            times[one] += self._steps[one]
        return count

    def took(self, asked: int, taken: int, again: float | None) -> None:
        """The queue whose turn it is was asked for so many jobs, and gave `taken`."""
        if taken < asked:
            self._empty.add(self.number)
        if again is not None:
            self.again = again if self.again is None else min(again, self.again)
        if self._steps and taken:
            begins = max(self._times[self.number], self._now)
            self._times[self.number] = begins + taken * self._steps[self.number]
            self._now = begins

    def _next(self, times: dict[int, int]) -> int:
        """The queue with the earliest time; of several, the one with the largest weight, then the first one."""
        return min(times, key=lambda one: (times[one], self._steps[one], one))
