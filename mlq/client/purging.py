"""What both clients offer to remove or cancel many jobs at once."""

from collections.abc import AsyncIterator, Iterator

from mlq.client.administration import Administration
from mlq.client.aio_administration import AsyncAdministration
from mlq.client.arguments import CHORES, PAGE
from mlq.core.checks import check_functions, check_queue, check_seconds
from mlq.core.states import FINISHED, State
from mlq.errors import InputError
from mlq.ops import jobs as job_ops
from mlq.ops import lists as list_ops
from mlq.ops import purging as purge_ops
from mlq.ops.lists import Listed
from mlq.ops.purging import Purged, lanes_of


def _check(older: float | None, state: State | None, queue: str | None, function: str | None) -> float | None:
    """The age if jobs are to be removed; None if they are to be cancelled. Raises InputError."""
    waiting = queue is not None or function is not None
    if waiting == (older is not None) or (waiting and state is not None):
        raise InputError(
            "purge takes either older= (and state=), to remove jobs that ended, or queue= and function=, to cancel "
            "jobs that wait"
        )
    if state is not None and state not in FINISHED:
        raise InputError(f"state must be one in which a job has ended ({', '.join(sorted(FINISHED))}), not {state}")
    if queue is not None:
        check_queue(queue)
    check_functions(None if function is None else [function])
    return check_seconds("older", older, zero=True)


def _old(page: list[Listed], age: float) -> list[Listed]:
    """Those that ended more than `age` seconds ago."""
    return [
        job for job in page
        if job.finished is not None and job.age - (job.finished - job.posted) > age and job.state in FINISHED
    ]  # fmt: skip


class Purging(Administration):
    """The part of the blocking client that does so."""

    def purge(
        self, older: float | None = None, state: State | None = None, *, queue: str | None = None,
        function: str | None = None,
    ) -> int:  # fmt: skip
        """Remove jobs that ended, or cancel jobs that wait; returns how many.

        `older`: those that ended more than so many seconds ago are removed with their results; `state`: only those that
        ended in it. All jobs of the namespace are looked at, 2,000 per call to the server.
        `queue`, `function`: all jobs that wait in that queue, that name that listener, or both, are cancelled with the
        reason `purged`, 100 per call. What is posted after the call began stays, and so do jobs that are scheduled,
        wait for others, or run. Raises InputError.
        """
        age = _check(older, state, queue, function)
        if age is None:
            return sum(self._purge(queue, function))
        removed, below = 0, ""
        while below != "0":
            page, below = self._shell.run(list_ops.listing(self._keys, below, PAGE, state))
            ops = [job_ops.purge(self._keys, job.id, job.state) for job in _old(page, age)]
            removed += sum(self._shell.run_many(ops)) if ops else 0
        return removed

    def _lanes_with_jobs(self) -> set[str]:
        found, cursor = set[str](), ""
        while cursor != "0":
            cursor, lanes = self._shell.run(purge_ops.lanes(self._keys, cursor or "0"))
            found.update(lanes)
        return found

    def _purge(self, queue: str | None, function: str | None, last: int | None = None) -> Iterator[int]:
        """Cancel the jobs that wait there, with ids up to `last`; yields how many, page by page."""
        last, left, calls = self.last_id() if last is None else last, 0, CHORES
        for lane in lanes_of(self._lanes_with_jobs(), queue, function):
            found = Purged()
            while not found.is_over:
                found = self._shell.run(purge_ops.purge(self._keys, lane, last, found))
                left = found.chores
                yield found.cancelled
        while left and calls:  # workers do the rest
            left, calls = self._shell.run(job_ops.chores(self._keys)), calls - 1


class AsyncPurging(AsyncAdministration):
    """The same for asyncio."""

    async def purge(
        self, older: float | None = None, state: State | None = None, *, queue: str | None = None,
        function: str | None = None,
    ) -> int:  # fmt: skip
        """Remove jobs that ended, or cancel jobs that wait; returns how many. As the sync twin."""
        age = _check(older, state, queue, function)
        if age is None:
            return sum([cancelled async for cancelled in self._purge(queue, function)])
        removed, below = 0, ""
        while below != "0":
            page, below = await self._shell.run(list_ops.listing(self._keys, below, PAGE, state))
            ops = [job_ops.purge(self._keys, job.id, job.state) for job in _old(page, age)]
            removed += sum(await self._shell.run_many(ops)) if ops else 0
        return removed

    async def _lanes_with_jobs(self) -> set[str]:
        found, cursor = set[str](), ""
        while cursor != "0":
            cursor, lanes = await self._shell.run(purge_ops.lanes(self._keys, cursor or "0"))
            found.update(lanes)
        return found

    async def _purge(self, queue: str | None, function: str | None) -> AsyncIterator[int]:
        """Cancel the jobs that wait there; yields how many, page by page."""
        last, left, calls = await self.last_id(), 0, CHORES
        for lane in lanes_of(await self._lanes_with_jobs(), queue, function):
            found = Purged()
            while not found.is_over:
                found = await self._shell.run(purge_ops.purge(self._keys, lane, last, found))
                left = found.chores
                yield found.cancelled
        while left and calls:  # workers do the rest
            left, calls = await self._shell.run(job_ops.chores(self._keys)), calls - 1
