"""What clients offer on shares: their weights, and which of them wait."""

from mlq.client.named import AsyncNamed, Named
from mlq.client.slots import slots_for
from mlq.client.unserved import Worker
from mlq.ops import jobs as job_ops
from mlq.ops import presence as presence_ops
from mlq.ops import shares as share_ops
from mlq.ops.jobs import Place
from mlq.ops.shares import ShareState


def wait_of(place: Place, workers: list[Worker]) -> float | None:
    """About how long a job of a share waits for a slot of these workers."""
    slots = slots_for(workers, place.lane)
    return None if place.seconds is None or not slots else place.seconds / slots


class Shares(Named):
    """The part of the blocking client that is about shares."""

    def about_wait(self, job_id: str) -> float | None:
        """About how many seconds a waiting job of a share waits for a slot, by what the jobs before it usually take.

        Jobs of shares that come meanwhile, and those that run, are not counted. None if it does not wait, has no share,
        or nobody can run it. Raises UnknownJob.
        """
        place = self._shell.run(job_ops.place(self._keys, self._named(job_id)))
        return wait_of(place, self._shell.run(presence_ops.workers(self._keys)))

    def share_weight(self, share: str, weight: float) -> None:
        """Give a share so many times the workers' time that another one gets; 1 as long as nothing is set.

        From 0.001 to 1000. It counts for jobs that workers take from now on. Raises InputError, ServerError.
        """
        self._shell.run(share_ops.set_weight(self._keys, share, weight))

    def shares(self) -> list[ShareState]:
        """The shares with jobs that wait, and those with a weight of their own, by name."""
        found = self._shell.run(share_ops.waiting(self._keys))
        while found.cursor != "0":
            found = self._shell.run(share_ops.waiting(self._keys, found))
        return share_ops.states(found, self._shell.run(share_ops.weights(self._keys)))


class AsyncShares(AsyncNamed):
    """The part of the asyncio client that is about shares."""

    async def about_wait(self, job_id: str) -> float | None:
        """About how many seconds a waiting job of a share waits for a slot, by what the jobs before it usually take.

        Jobs of shares that come meanwhile, and those that run, are not counted. None if it does not wait, has no share,
        or nobody can run it. Raises UnknownJob.
        """
        place = await self._shell.run(job_ops.place(self._keys, await self._named(job_id)))
        return wait_of(place, await self._shell.run(presence_ops.workers(self._keys)))

    async def share_weight(self, share: str, weight: float) -> None:
        """Give a share so many times the workers' time that another one gets; 1 as long as nothing is set.

        From 0.001 to 1000. It counts for jobs that workers take from now on. Raises InputError, ServerError.
        """
        await self._shell.run(share_ops.set_weight(self._keys, share, weight))

    async def shares(self) -> list[ShareState]:
        """The shares with jobs that wait, and those with a weight of their own, by name."""
        found = await self._shell.run(share_ops.waiting(self._keys))
        while found.cursor != "0":
            found = await self._shell.run(share_ops.waiting(self._keys, found))
        return share_ops.states(found, await self._shell.run(share_ops.weights(self._keys)))
