"""What the blocking client offers to look after a namespace: counts, lists, changes of jobs, uploads, workers."""

from collections.abc import Callable, Iterator
from typing import Any

from mlq.client.arguments import CHORES, PAGE
from mlq.client.asking import Asking
from mlq.client.gates import Gates
from mlq.client.model_states import ModelState, readable, states_of
from mlq.client.shadows import figures_of, states_in
from mlq.client.shares import Shares
from mlq.client.unserved import unserved, why_waiting
from mlq.core.checks import check_count, check_id
from mlq.core.shadow import ShadowState
from mlq.core.states import State
from mlq.core.tree import STEPS, Growing, Tree
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


class Administration(Asking, Gates, Shares):
    """The part of the client that looks after jobs which others posted."""

    def job_count(self) -> int:
        """Jobs that wait or run."""
        now = self.counts()
        return now.waiting + now.scheduled + now.running + now.blocked

    def counts(self) -> Counts:
        """How many jobs wait (by lane), are scheduled, run, and are dead letters."""
        now = self._shell.run(job_ops.counts(self._keys))
        while now.cursor != "0":
            now = self._shell.run(job_ops.counts(self._keys, now))
        return now

    def stats(self) -> Stats:
        """The numbers for monitoring: jobs, ages, attempts, waiting and running times by queue; workers, slots."""
        found = self._shell.run(stats_ops.stats(self._keys))
        while isinstance(found, stats_ops.Begun):
            found = self._shell.run(stats_ops.stats(self._keys, found))
        return found

    def unserved(self) -> dict[str, int]:
        """Lanes with waiting jobs that no live worker serves (`default:train` needs a `train`), with how many wait."""
        return unserved(self.counts(), self.workers())

    def missing(self, job_id: str) -> str | None:
        """Why no live worker can run a waiting job; None if one can, or if the job does not wait. Raises UnknownJob.

        For a blocked job: for which one it waits, and why that one has not ended.
        """
        place = self._shell.run(job_ops.place(self._keys, self._named(job_id)))
        if place.ahead is None and place.blocker is None:
            return None
        return why_waiting(place, self.workers(), self.namespace)

    def models(self) -> list[ModelState]:
        """All versions of all models that were ever hosted, and where they are loaded; the newest version first."""
        names = self._shell.run(model_ops.names(self._keys))
        asked = self._shell.run_each([model_ops.versions(self._keys, name) for name in names]) if names else []
        return states_of(readable(asked), self.workers(), self.namespace)

    def shadows(self) -> list[ShadowState]:
        """The shadows of all models that have one, and how they compare; `Model.shadow` tells also if one is idle."""
        found = self._shell.run(shadow_ops.settings(self._keys))
        ops = [op for model, shadow in found.items() for op in figures_of(self._keys, model, shadow)]
        return states_in(found, self._shell.run_each(ops) if ops else [])

    def jobs(self, state: State | None = None) -> Iterator[Listed]:
        """All jobs of the namespace, newest first; fetched page by page."""
        below = ""
        while below != "0":
            page, below = self._shell.run(list_ops.listing(self._keys, below, PAGE, state))
            yield from page

    def list_jobs(
        self, state: State | None = None, before: str = "", limit: int = PAGE
    ) -> tuple[list[Listed], str | None]:
        """Up to `limit` jobs posted before the job `before`, newest first, and `before` for the next page, or None.

        A page may be short even if more follow: one call looks at 2,000 jobs at most.
        """
        below = "" if before == "" else check_id(before)
        page, below = self._shell.run(
            list_ops.listing(self._keys, below, check_count("limit", limit, 1) or PAGE, state)
        )
        return page, None if below == "0" else below

    def tree(self, job_id: str, limit: int = STEPS) -> Tree:
        """The pipeline that a job belongs to, from its root on; a job of no pipeline alone, with those it comes after.

        `limit`: most steps; `left_out` says how many more there are. Raises UnknownJob, InputError.
        """
        growing, wanted = Growing(check_count("limit", limit, 1) or STEPS), self._named(job_id)
        while not growing.is_whole:
            growing.add(self._shell.run(pipeline_ops.tree(self._keys, wanted, growing.after, growing.wanted)))
        return growing.tree()

    def last_id(self) -> int:
        """The last id that was assigned, 0 before the first; there has never been a job above it."""
        return self._shell.run(job_ops.last_id(self._keys))

    def position(self, job_id: str) -> int | None:
        """How many jobs are ahead of this one in its lane; None if it does not wait there. Raises UnknownJob.

        With a share, about how many, by the time that the shares have used.
        """
        return self._shell.run(job_ops.place(self._keys, self._named(job_id))).ahead

    def cancel(self, job_id: str) -> None:
        """Take a job out of its queue, or stop it if it runs. Raises WrongState if it has ended, UnknownJob.

        In the process pool its child is killed, in the asyncio pool its coroutine is cancelled; elsewhere the listener
        continues until it checks `context.cancelled`, but can record nothing more.
        """
        self._change(job_ops.cancel(self._keys, self._named(job_id)))

    def redeliver(self, job_id: str) -> None:
        """Send the webhook of a job that ended once more, as the same event. Raises WrongState, UnknownJob."""
        self._shell.run(delivery_ops.redeliver(self._keys, self._named(job_id)))

    def delete(self, job_id: str) -> None:
        """Remove a job that does not run, with its result. Raises WrongState, UnknownJob."""
        self._change(job_ops.delete(self._keys, self._named(job_id)))

    def dead_letters(self, first: int = 0, last: int = -1) -> list[DeadLetter]:
        """The dead letters `first` to `last` (inclusive, from 0; -1 is the last), oldest first."""
        return self._shell.run(list_ops.dead(self._keys, first, last))

    def requeue(self, job_id: str) -> None:
        """Put a dead letter or a cancelled job back into its queue. Raises WrongState, UnknownJob."""
        self._change(job_ops.requeue(self._keys, self._named(job_id)))

    def requeue_all(self) -> int:
        """Put all current dead letters back into their queues; returns how many were requeued."""
        return self._each_dead_letter(job_ops.requeue)

    def discard(self, job_id: str) -> None:
        """Remove a dead letter for good. Raises WrongState, UnknownJob."""
        self._change(job_ops.discard(self._keys, self._named(job_id)))

    def discard_all(self) -> int:
        """Remove all current dead letters for good; returns how many were removed."""
        return self._each_dead_letter(job_ops.discard)

    def _change(self, op: Op[int]) -> None:
        """Run an op that a person requests, and begin what it leaves to do for other jobs; workers do the rest."""
        left, calls = self._shell.run(op), CHORES
        while left and calls:
            left, calls = self._shell.run(job_ops.chores(self._keys)), calls - 1

    def _each_dead_letter(self, change: Any) -> int:
        ids = self._shell.run(list_ops.dead_ids(self._keys))
        changed = 0
        for page in (ids[start : start + PAGE] for start in range(0, len(ids), PAGE)):
            changed += sum(self._shell.run_many([job_ops.try_change(change(self._keys, job_id)) for job_id in page]))
        left, calls = CHORES, CHORES
        while left and calls:
            left, calls = self._shell.run(job_ops.chores(self._keys)), calls - 1
        return changed

    def upload(self, function: Callable[..., Any]) -> str:
        """Send a function to every worker that accepts uploads, as a listener, within a second; returns its name.

        Workers that start later get it, too. It replaces an earlier upload of its name. The code is signed with
        MLQ_UPLOAD_SECRET, or if that is not set, with a secret of this user. Raises InputError if it has no name.
        """
        return self.upload_pickled(*pickled(function))

    def upload_pickled(self, name: str, code: bytes) -> str:
        """`upload`, with `code` that cloudpickle made from the function `name` on this version of Python."""
        head = seal(self.namespace, check_name(name), code)
        self._shell.run(upload_ops.put(self._keys, name, head, code))
        return name

    def remove_upload(self, name: str) -> bool:
        """Remove an uploaded function from all workers; returns whether it existed."""
        return self._shell.run(upload_ops.remove(self._keys, check_name(name)))

    def uploads(self) -> list[dict[str, Any]]:
        """The uploaded functions by name: `name`, `uploaded` (seconds since 1970), `python`, `fingerprint`, `size`."""
        return overview(self._shell.run(upload_ops.heads(self._keys)))

    def workers(self) -> list[dict[str, str]]:
        """The workers that are alive, and what each reports about itself."""
        return self._shell.run(presence_ops.workers(self._keys))

    def clear(self) -> int:
        """Remove everything in this namespace except the counter of ids; returns how many keys were removed."""
        removed, cursor = 0, ""
        while cursor != "0":
            cursor, names = self._shell.run(data_ops.scan(self._keys, cursor or "0"))
            removed += self._shell.run(data_ops.unlink(names)) if names else 0
        return removed
