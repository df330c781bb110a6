"""The op that counts the jobs of a queue whose length is limited."""

from typing import NamedTuple

from mlq.core.keys import Keys
from mlq.ops import Op, call
from mlq.ops.jobs import LANES
from mlq.ops.posting import Uncounted, full
from mlq.ops.scripts import script


class Counting(NamedTuple):
    """How far a count has come."""

    cursor: str = "0"  # also at its end
    jobs: int = 0
    began: str = ""  # jobs that had been posted when it began
    limit: int | None = None

    def check(self, asked: Uncounted) -> None:
        """Raises QueueFull if the queue has no room for the post, by this count, which has come to its end."""
        if self.limit is not None and self.limit - self.jobs < asked.wanted:
            raise full(asked.queue, self.jobs, self.limit)


def length(keys: Keys, queue: str, so_far: Counting | None = None) -> Op[Counting]:
    """Count some more; at the end, the server knows how many jobs more the queue takes."""
    cursor, jobs, began, _ = so_far or Counting()

    def parse(reply: list[bytes]) -> Counting:
        cursor, jobs, began, limit = reply
        return Counting(cursor.decode(), int(jobs), str(int(began)), int(limit) or None)

    names = (keys.lanes, keys.lane, keys.limits, keys.room + queue)
    args = (queue, cursor, jobs, began, LANES)
    return call(script("length"), names, args, parse, f"the length of queue {queue!r}")
