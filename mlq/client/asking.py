"""What both clients offer to ask why a job does not run."""

from contextlib import suppress

from mlq.client.named import AsyncNamed, Named
from mlq.client.reasons import answer
from mlq.client.seen import Seen
from mlq.core.why import Why
from mlq.errors import MLQError
from mlq.ops import presence as presence_ops
from mlq.ops import why as why_ops


class Asking(Named):
    """The part of the blocking client that asks."""

    def why(self, job_id: str) -> Why:
        """Why a job does not run, or has not ended: the first reason that holds, in words and as data.

        Raises UnknownJob.
        """
        keys = self._keys
        facts, workers = self._shell.run_many([why_ops.facts(keys, self._named(job_id)), presence_ops.workers(keys)])
        beneath = None
        if facts.blocker is not None:
            with suppress(MLQError):  # it is gone by now, or damaged
                beneath = self._shell.run(why_ops.facts(keys, facts.blocker))
        return answer(Seen(facts, workers, self.namespace, beneath))


class AsyncAsking(AsyncNamed):
    """The same for asyncio."""

    async def why(self, job_id: str) -> Why:
        """Why a job does not run, or has not ended: the first reason that holds, in words and as data.

        Raises UnknownJob.
        """
        keys, wanted = self._keys, await self._named(job_id)
        facts, workers = await self._shell.run_many([why_ops.facts(keys, wanted), presence_ops.workers(keys)])
        beneath = None
        if facts.blocker is not None:
            with suppress(MLQError):  # it is gone by now, or damaged
                beneath = await self._shell.run(why_ops.facts(keys, facts.blocker))
        return answer(Seen(facts, workers, self.namespace, beneath))
