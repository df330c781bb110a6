"""The asyncio twin of `waiting.py`."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from mlq.client.arguments import LISTEN, PAGE, WORTH_ASKING, given_to, state_of, value_of
from mlq.client.handle import AsyncJobHandle, converted
from mlq.client.purging import AsyncPurging
from mlq.client.unserved import with_server
from mlq.core.checks import check_seconds
from mlq.core.identity import JobId
from mlq.core.job import ANY_JOB
from mlq.core.states import State
from mlq.errors import MLQError, WaitTimeout
from mlq.ops import following as follow_ops
from mlq.ops import jobs as job_ops
from mlq.ops.following import Followed

if TYPE_CHECKING:
    from mlq.client.aio import AsyncMLQ
    from mlq.shell.aio_inbox import AsyncInbox


class AsyncWaiting(AsyncPurging):
    """The part of the client that waits for jobs and follows them."""

    _inbox: "AsyncInbox"

    async def get_result(self, job_id: str) -> Any:
        """The result, or None if there is none yet (`wait` waits). Raises JobFailed, JobCancelled, UnknownJob."""
        wanted = await self._named(job_id)
        fields = await self._complete(wanted, await self._shell.run(job_ops.outcome(self._keys, wanted)))
        if other := given_to(fields):
            return await self.get_result(other)
        return None if fields is None else value_of(job_id, fields, original=False)

    async def wait(self, job_id: str, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - the sync twin's signature
        """Wait for the result. `timeout` in seconds. Raises as the sync twin does."""
        began = time.monotonic()
        fields = await self._ended(await self._named(job_id), timeout)
        if other := given_to(fields):  # a step: another job got its result, and may not have ended
            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
            job_id, fields = other, await self._ended(await self._named(other), left)
        return value_of(str(job_id), fields, original=True)

    async def wait_end(self, job_id: str, timeout: float | None = None) -> State:  # noqa: ASYNC109 - as `wait`
        """The state in which the job ended, when it has, without its result. Raises WaitTimeout, UnknownJob."""
        return state_of(await self._ended(await self._named(job_id), timeout, whole=False))

    async def _ended(self, job_id: JobId, timeout: float | None, *, whole: bool = True) -> dict[str, bytes]:  # noqa: ASYNC109
        give_up = None if timeout is None else time.monotonic() + (check_seconds("timeout", timeout, zero=True) or 0.0)
        with self._inbox.listen(job_id) as heard:
            while True:
                heard.clear()  # before asking: the job may have ended, been requeued, and be waiting again
                fields = await self._shell.run(job_ops.wait(self._keys, job_id, self._inbox.name, LISTEN, whole=whole))
                if (complete := await self._complete(job_id, fields)) is not None:
                    return complete
                left = LISTEN if give_up is None else give_up - time.monotonic()
                if left <= 0:
                    raise WaitTimeout(f"job {job_id} did not end within {timeout} s{await self._why(job_id, timeout)}")
                await _is_set(heard, min(left, LISTEN))
                if heard.fields is not None:
                    return heard.fields

    async def _why(self, job_id: JobId, timeout: float | None) -> str:  # noqa: ASYNC109 - as above
        """What to add to the message of a WaitTimeout."""
        lacking = None
        if timeout is not None and timeout >= WORTH_ASKING:
            with suppress(MLQError):
                lacking = await self.missing(job_id)
                lacking = lacking and with_server(lacking, await self.workers(), await self.server())
        return f": {lacking}" if lacking else ""

    async def _complete(self, job_id: JobId, fields: dict[str, bytes] | None) -> dict[str, bytes] | None:
        """With a large result, which no script touches; None if the job has changed since."""
        rest = None if fields is None else job_ops.large_result(self._keys, job_id, fields)
        return fields if rest is None else await self._shell.run(rest)

    async def as_completed(
        self,
        jobs: Iterable[AsyncJobHandle | str],
        timeout: float | None = None,  # noqa: ASYNC109 - the sync twin's signature
    ) -> AsyncIterator[AsyncJobHandle]:
        """Yield a handle on each job when it has ended, well or badly, in the order of their ends.

        `jobs`: handles, ids or references; `timeout`: seconds for all of them. Raises WaitTimeout, UnknownJob.
        """
        left = {handle.id: handle for handle in self._handles(jobs)}
        count, asks = len(left), max(LISTEN, len(left) // 1000)  # seconds until it asks again about all of them
        give_up = None if timeout is None else time.monotonic() + (check_seconds("timeout", timeout, zero=True) or 0.0)
        with self._inbox.listen_to_many([JobId(name) for name in left]) as heard:
            told, again = {ANY_JOB}, 0.0
            while True:
                if ANY_JOB in told or time.monotonic() >= again:
                    told, again = set(left), time.monotonic() + asks
                async for name in self._ended_of({name: left[name] for name in told & left.keys()}, asks):
                    yield left.pop(name)
                if not left:
                    return
                now, until = time.monotonic(), again if give_up is None else min(again, give_up)
                if give_up is not None and now >= give_up:
                    first = await self._named(next(iter(left.values())).reference)
                    why = await self._why(first, timeout)
                    raise WaitTimeout(f"{len(left)} of {count} jobs did not end within {timeout} s{why}")
                await _is_set(heard, max(0.0, until - now))
                told = heard.take()

    async def _ended_of(self, handles: dict[str, AsyncJobHandle], asks: int) -> AsyncIterator[str]:
        """The names of those that have ended; the inbox is notified when another one ends."""
        names = list(handles)
        for page in (names[start : start + PAGE] for start in range(0, len(names), PAGE)):
            ops = [
                job_ops.wait(
                    self._keys, await self._named(handles[name].reference), self._inbox.name, asks, whole=False
                )
                for name in page
            ]
            for name, fields in zip(page, await self._shell.run_many(ops), strict=True):
                if fields is not None:
                    yield name

    async def wait_many(
        self,
        jobs: Iterable[AsyncJobHandle | str],
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        return_exceptions: bool = False,
    ) -> list[Any]:
        """The results of jobs, in the same order, when all of them have ended.

        `jobs`: handles, ids or references; `timeout`: seconds for all of them. Raises WaitTimeout, UnknownJob, and for
        the first job in the list that failed what `wait` raises; with `return_exceptions`, the exceptions of failed and
        cancelled jobs take the places of their results instead.
        """
        handles = self._handles(jobs)
        async for _ in self.as_completed(handles, timeout):
            pass
        results: list[Any] = []
        for page in (handles[start : start + PAGE] for start in range(0, len(handles), PAGE)):
            wanted = [await self._named(handle.reference) for handle in page]
            ended = await self._shell.run_many([job_ops.outcome(self._keys, job_id) for job_id in wanted])
            for handle, job_id, fields in zip(page, wanted, ended, strict=True):
                results.append(await self._value(handle, job_id, fields, errors=return_exceptions))
        return results

    async def _value(
        self, handle: AsyncJobHandle, job_id: JobId, fields: dict[str, bytes] | None, *, errors: bool
    ) -> Any:
        """The result of a job that had ended, or with `errors` its exception; one that was requeued is waited for."""
        try:
            complete = await self._complete(job_id, fields)
            if complete is None or given_to(complete):
                return await handle.result()
            return converted(handle, value_of(str(job_id), complete, original=True))
        except Exception as error:
            if not errors:
                raise
            return error

    def _handles(self, jobs: Iterable[AsyncJobHandle | str]) -> list[AsyncJobHandle]:
        return [job if isinstance(job, AsyncJobHandle) else AsyncJobHandle(cast("AsyncMLQ", self), job) for job in jobs]

    async def follow(
        self, job_id: str, after: tuple[int, int] = (0, 0), *, every: float | None = None, whole: bool = True
    ) -> AsyncIterator[Followed]:
        """Yield a job's partial results, logs and progress, and how it ends, live; as the sync twin."""
        wanted, known = await self._named(job_id), ("", b"")
        asks = max(LISTEN, math.ceil(every or 0))  # seconds until it asks again, at most
        with self._inbox.listen(wanted) as heard:
            while True:
                heard.clear()  # before asking, so that no later message is missed
                op = follow_ops.follow(self._keys, wanted, self._inbox.name, asks, known, after, whole=whole)
                news = await self._shell.run(op)
                is_new = bool(news.entries or news.ended or known != (news.state, news.progress))
                if is_new:
                    yield news
                if news.ended:
                    return
                known, after = news.following(after)
                if not is_new and not await _is_set(heard, every or LISTEN) and every:
                    yield news

    async def get_logs(self, job_id: str) -> str:
        """What a job printed and logged, in all its attempts, up to 64 KiB each. Kept for a day. Raises UnknownJob."""
        wanted, words, after = await self._named(job_id), b"", (0, 0)
        while True:
            op = follow_ops.follow(self._keys, wanted, "", 0, ("", b""), after)
            news = await self._shell.run(op)
            words += b"".join(said.data for said in news.entries if said.kind == "log")
            if not news.entries:
                return words.decode("utf-8", "replace")
            after = news.following(after)[1]


async def _is_set(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set within so many seconds."""
    try:
        return await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
