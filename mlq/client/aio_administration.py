"""The asyncio twin of `administration.py`."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from mlq.client.aio_gates import AsyncGates
from mlq.client.arguments import CHORES, PAGE
from mlq.client.asking import AsyncAsking
from mlq.client.model_states import ModelState, states_of
from mlq.client.shadows import figures_of
from mlq.client.shares import AsyncShares
from mlq.client.unserved import unserved, why_waiting
from mlq.core.checks import check_count, check_id
from mlq.core.shadow import ShadowState, state_of
from mlq.core.states import State
from mlq.core.tree import STEPS, Growing, Tree
from mlq.core.versions import Versions
from mlq.errors import MLQError
from mlq.ops import Op
from mlq.ops import data as data_ops
from mlq.ops import deliveries as delivery_ops
from mlq.ops import jobs as job_ops
from mlq.ops import lists as list_ops
from mlq.ops import models as model_ops
from mlq.ops import pipelines as pipeline_ops
from mlq.ops import presence as presence_ops
from mlq.ops import shadows as shadow_ops
from mlq.ops import stats as stats_ops
from mlq.ops import uploads as upload_ops
from mlq.ops.jobs import Counts
from mlq.ops.lists import DeadLetter, Listed
from mlq.ops.stats import Stats
from mlq.uploads.functions import check_name, pickled
from mlq.uploads.sealed import overview, seal


class AsyncAdministration(AsyncAsking, AsyncGates, AsyncShares):
    """The part of the client that looks after jobs which others posted."""

    async def job_count(self) -> int:
        """Jobs that wait or run."""
        now = await self.counts()
        return now.waiting + now.scheduled + now.running + now.blocked

    async def models(self) -> list[ModelState]:
        """All versions of all models that were ever hosted, and where they are loaded; the newest version first."""
        names = await self._shell.run(model_ops.names(self._keys))
        asked = [await self._read(name) for name in names]
        return states_of(asked, await self.workers(), self.namespace)

    async def shadows(self) -> list[ShadowState]:
        """The shadows of all models that have one, and how they compare; `Model.shadow` tells also if one is idle."""
        found, states = await self._shell.run(shadow_ops.settings(self._keys)), []
        for model, shadow in found.items():
            with suppress(MLQError):
                counts, last = await self._shell.run_many(figures_of(self._keys, model, shadow))
                states.append(state_of(model, shadow, counts, last, None))
        return states

    async def _read(self, name: str) -> Versions:
        """The versions of a model; none if they can't be read, which must not hide all other models."""
        try:
            return await self._shell.run(model_ops.versions(self._keys, name))
        except MLQError:
            return Versions([])

    async def counts(self) -> Counts:
        """How many jobs wait (by lane), are scheduled, run, and are dead letters."""
        now = await self._shell.run(job_ops.counts(self._keys))
        while now.cursor != "0":
            now = await self._shell.run(job_ops.counts(self._keys, now))
        return now

    async def stats(self) -> Stats:
        """The numbers for monitoring: jobs, ages, attempts, waiting and running times by queue; workers, slots."""
        found = await self._shell.run(stats_ops.stats(self._keys))
        while isinstance(found, stats_ops.Begun):
            found = await self._shell.run(stats_ops.stats(self._keys, found))
        return found

    async def unserved(self) -> dict[str, int]:
        """Lanes with waiting jobs that no live worker serves (`default:train` needs a `train`), with how many wait."""
        return unserved(await self.counts(), await self.workers())

    async def missing(self, job_id: str) -> str | None:
        """Why no live worker can run a waiting job; None if one can, or if the job does not wait. Raises UnknownJob."""
        place = await self._shell.run(job_ops.place(self._keys, await self._named(job_id)))
        if place.ahead is None and place.blocker is None:
            return None
        return why_waiting(place, await self.workers(), self.namespace)

    async def jobs(self, state: State | None = None) -> AsyncIterator[Listed]:
        """All jobs of the namespace, newest first; fetched page by page."""
        below = ""
        while below != "0":
            page, below = await self._shell.run(list_ops.listing(self._keys, below, PAGE, state))
            for listed in page:
                yield listed

    async def list_jobs(
        self, state: State | None = None, before: str = "", limit: int = PAGE
    ) -> tuple[list[Listed], str | None]:
        """Up to `limit` jobs posted before the job `before`, newest first, and `before` for the next page, or None."""
        below = "" if before == "" else check_id(before)
        op = list_ops.listing(self._keys, below, check_count("limit", limit, 1) or PAGE, state)
        page, below = await self._shell.run(op)
        return page, None if below == "0" else below

    async def tree(self, job_id: str, limit: int = STEPS) -> Tree:
        """The pipeline that a job belongs to, from its root on; a job of no pipeline alone, with those it comes after.

        `limit`: most steps; `left_out` says how many more there are. Raises UnknownJob, InputError.
        """
        growing, wanted = Growing(check_count("limit", limit, 1) or STEPS), await self._named(job_id)
        while not growing.is_whole:
            growing.add(await self._shell.run(pipeline_ops.tree(self._keys, wanted, growing.after, growing.wanted)))
        return growing.tree()

    async def last_id(self) -> int:
        """The last id that was assigned, 0 before the first; there has never been a job above it."""
        return await self._shell.run(job_ops.last_id(self._keys))

    async def position(self, job_id: str) -> int | None:
        """How many jobs are ahead of this one in its lane; None if it does not wait there. Raises UnknownJob.

        With a share, about how many, by the time that the shares have used.
        """
        return (await self._shell.run(job_ops.place(self._keys, await self._named(job_id)))).ahead

    async def cancel(self, job_id: str) -> None:
        """Take a job out of its queue, or stop it if it runs. Raises WrongState if it has ended, UnknownJob."""
        await self._change(job_ops.cancel(self._keys, await self._named(job_id)))

    async def redeliver(self, job_id: str) -> None:
        """Send the webhook of a job that ended once more, as the same event. Raises WrongState, UnknownJob."""
        await self._shell.run(delivery_ops.redeliver(self._keys, await self._named(job_id)))

    async def delete(self, job_id: str) -> None:
        """Remove a job that does not run, with its result. Raises WrongState, UnknownJob."""
        await self._change(job_ops.delete(self._keys, await self._named(job_id)))

    async def dead_letters(self, first: int = 0, last: int = -1) -> list[DeadLetter]:
        """The dead letters `first` to `last` (inclusive, from 0; -1 is the last), oldest first."""
        return await self._shell.run(list_ops.dead(self._keys, first, last))

    async def requeue(self, job_id: str) -> None:
        """Put a dead letter or a cancelled job back into its queue. Raises WrongState, UnknownJob."""
        await self._change(job_ops.requeue(self._keys, await self._named(job_id)))

    async def requeue_all(self) -> int:
        """Put all current dead letters back into their queues; returns how many were requeued."""
        return await self._each_dead_letter(job_ops.requeue)

    async def discard(self, job_id: str) -> None:
        """Remove a dead letter for good. Raises WrongState, UnknownJob."""
        await self._change(job_ops.discard(self._keys, await self._named(job_id)))

    async def discard_all(self) -> int:
        """Remove all current dead letters for good; returns how many were removed."""
        return await self._each_dead_letter(job_ops.discard)

    async def _change(self, op: Op[int]) -> None:
        """Run an op that a person requests, and begin what it leaves to do for other jobs; workers do the rest."""
        left, calls = await self._shell.run(op), CHORES
        while left and calls:
            left, calls = await self._shell.run(job_ops.chores(self._keys)), calls - 1

    async def _each_dead_letter(self, change: Any) -> int:
        ids = await self._shell.run(list_ops.dead_ids(self._keys))
        changed = 0
        for page in (ids[start : start + PAGE] for start in range(0, len(ids), PAGE)):
            changed += sum(
                await self._shell.run_many([job_ops.try_change(change(self._keys, job_id)) for job_id in page])
            )
        left, calls = CHORES, CHORES
        while left and calls:
            left, calls = await self._shell.run(job_ops.chores(self._keys)), calls - 1
        return changed

    async def upload(self, function: Callable[..., Any]) -> str:
        """Send a function to every worker that accepts uploads, as a listener; as the sync twin."""
        return await self.upload_pickled(*pickled(function))

    async def upload_pickled(self, name: str, code: bytes) -> str:
        """`upload`, with `code` that cloudpickle made from the function `name` on this version of Python."""
        head = seal(self.namespace, check_name(name), code)
        await self._shell.run(upload_ops.put(self._keys, name, head, code))
        return name

    async def remove_upload(self, name: str) -> bool:
        """Remove an uploaded function from all workers; returns whether it existed."""
        return await self._shell.run(upload_ops.remove(self._keys, check_name(name)))

    async def uploads(self) -> list[dict[str, Any]]:
        """The uploaded functions by name: `name`, `uploaded` (seconds since 1970), `python`, `fingerprint`, `size`."""
        return overview(await self._shell.run(upload_ops.heads(self._keys)))

    async def workers(self) -> list[dict[str, str]]:
        """The workers that are alive, and what each reports about itself."""
        return await self._shell.run(presence_ops.workers(self._keys))

    async def clear(self) -> int:
        """Remove everything in this namespace except the counter of ids; returns how many keys were removed."""
        removed, cursor = 0, ""
        while cursor != "0":
            cursor, names = await self._shell.run(data_ops.scan(self._keys, cursor or "0"))
            removed += await self._shell.run(data_ops.unlink(names)) if names else 0
        return removed
