"""What the blocking client offers to wait for jobs: for one, for many, and to follow one live."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from mlq.client.arguments import LISTEN, PAGE, WORTH_ASKING, given_to, state_of, value_of
from mlq.client.handle import JobHandle, converted
from mlq.client.purging import Purging
from mlq.client.unserved import with_server
from mlq.core.checks import check_seconds
from mlq.core.identity import JobId, same
from mlq.core.job import ANY_JOB, announced
from mlq.core.states import State
from mlq.errors import MLQError, WaitTimeout
from mlq.ops import following as follow_ops
from mlq.ops import jobs as job_ops
from mlq.ops.following import Followed
from mlq.system.importing import refuse_to_wait

if TYPE_CHECKING:
    from mlq.client.blocking import Client

LOOK = 1.0  # seconds between two calls of `between`
Between = Callable[[], None] | None  # is called again and again while a client waits; what it raises ends the wait


class Waiting(Purging):
    """The part of the client that waits for jobs and follows them."""

    def get_result(self, job_id: str) -> Any:
        """The result, or None if there is none yet (`wait` waits). Raises JobFailed, JobCancelled, UnknownJob."""
        wanted = self._named(job_id)
        fields = self._complete(wanted, self._shell.run(job_ops.outcome(self._keys, wanted)))
        if other := given_to(fields):
            return self.get_result(other)
        return None if fields is None else value_of(job_id, fields, original=False)

    def wait(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for the result. `timeout` in seconds.

        Raises WaitTimeout (a TimeoutError), UnknownJob, JobCancelled, and for a failed job the listener's own
        exception if a copy with the same message can be made here; otherwise, and for MLQ's own errors, JobFailed.
        """
        began = time.monotonic()
        fields = self._ended(self._named(job_id), timeout)
        if other := given_to(fields):  # a step: another job got its result, and may not have ended
            left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
            job_id, fields = other, self._ended(self._named(other), left)
        return value_of(str(job_id), fields, original=True)

    def wait_end(self, job_id: str, timeout: float | None = None) -> State:
        """The state in which the job ended, when it has, without its result. Raises WaitTimeout, UnknownJob."""
        return state_of(self._ended(self._named(job_id), timeout, whole=False))

    def _ended(
        self, job_id: JobId, timeout: float | None, *, whole: bool = True, large: bool = True, between: Between = None
    ) -> dict[str, bytes]:
        """The fields of a job when it has ended: with its result if `whole`, but with a large one only if `large`."""
        longest = LISTEN if between is None else LOOK
        give_up = None if timeout is None else time.monotonic() + (check_seconds("timeout", timeout, zero=True) or 0.0)
        refuse_to_wait()
        with self._shell.callers.borrow() as caller:
            while True:
                left = LISTEN if give_up is None else give_up - time.monotonic()
                seconds = max(0.001, min(left, longest))
                op = job_ops.wait(self._keys, job_id, caller.name, LISTEN, alone=True, whole=whole)
                fields, item = self._shell.run_and_pop(op, [self._keys.inbox + caller.name], seconds)
                if fields is None and item is not None:
                    ended, ending = announced(item[1])
                    fields = ending if same(ended, job_id) else None  # else ask again
                if (complete := self._complete(job_id, fields) if large else fields) is not None:
                    return complete
                if give_up is not None and time.monotonic() >= give_up:
                    raise WaitTimeout(f"job {job_id} did not end within {timeout} s{self._why(job_id, timeout)}")
                if between is not None:
                    between()

    def _why(self, job_id: JobId, timeout: float | None) -> str:
        """What to add to the message of a WaitTimeout."""
        lacking = None
        if timeout is not None and timeout >= WORTH_ASKING:
            with suppress(MLQError):
                lacking = self.missing(job_id)
                lacking = lacking and with_server(lacking, self.workers(), self.server)
        return f": {lacking}" if lacking else ""

    def _complete(self, job_id: JobId, fields: dict[str, bytes] | None) -> dict[str, bytes] | None:
        """With a large result, which no script touches; None if the job has changed since."""
        rest = None if fields is None else job_ops.large_result(self._keys, job_id, fields)
        return fields if rest is None else self._shell.run(rest)

    def as_completed(self, jobs: Iterable[JobHandle | str], timeout: float | None = None) -> Iterator[JobHandle]:
        """Yield a handle on each job when it has ended, well or badly, in the order of their ends.

        `jobs`: handles, ids or references; `timeout`: seconds for all of them. Raises WaitTimeout, UnknownJob.
        """
        yield from self._completed(jobs, timeout)

    def _completed(
        self, jobs: Iterable[JobHandle | str], timeout: float | None, between: Between = None
    ) -> Iterator[JobHandle]:
        left = {handle.id: handle for handle in self._handles(jobs)}
        count, asks = len(left), max(LISTEN, len(left) // 1000)  # seconds until it asks again about all of them
        give_up = None if timeout is None else time.monotonic() + (check_seconds("timeout", timeout, zero=True) or 0.0)
        with self._inbox.listen(*left) as heard:
            told, again = {ANY_JOB}, 0.0
            while True:
                if ANY_JOB in told or time.monotonic() >= again:
                    told, again = set(left), time.monotonic() + asks
                for name in self._ended_of({name: left[name] for name in told & left.keys()}, asks):
                    yield left.pop(name)
                if not left:
                    return
                now, until = time.monotonic(), again if give_up is None else min(again, give_up)
                if give_up is not None and now >= give_up:
                    first = self._named(next(iter(left.values())).reference)
                    why = self._why(first, timeout)
                    raise WaitTimeout(f"{len(left)} of {count} jobs did not end within {timeout} s{why}")
                heard.wait(max(0.0, until - now if between is None else min(until - now, LOOK)))
                told = heard.take()
                if between is not None:
                    between()

    def _ended_of(self, handles: dict[str, JobHandle], asks: int) -> Iterator[str]:
        """The names of those that have ended; the inbox is notified when another one ends."""
        names = list(handles)
        for page in (names[start : start + PAGE] for start in range(0, len(names), PAGE)):
            wanted = [self._named(handles[name].reference) for name in page]
            ops = [job_ops.wait(self._keys, job_id, self._inbox.name, asks, whole=False) for job_id in wanted]
            for name, fields in zip(page, self._shell.run_many(ops), strict=True):
                if fields is not None:
                    yield name

    def wait_many(
        self, jobs: Iterable[JobHandle | str], timeout: float | None = None, *, return_exceptions: bool = False
    ) -> list[Any]:
        """The results of jobs, in the same order, when all of them have ended.

        `jobs`: handles, ids or references; `timeout`: seconds for all of them. Raises WaitTimeout, UnknownJob, and for
        the first job in the list that failed what `wait` raises; with `return_exceptions`, the exceptions of failed and
        cancelled jobs take the places of their results instead.
        """
        handles = self._handles(jobs)
        for _ in self.as_completed(handles, timeout):
            pass
        results: list[Any] = []
        for page in (handles[start : start + PAGE] for start in range(0, len(handles), PAGE)):
            wanted = [self._named(handle.reference) for handle in page]
            ended = self._shell.run_many([job_ops.outcome(self._keys, job_id) for job_id in wanted])
            for handle, job_id, fields in zip(page, wanted, ended, strict=True):
                results.append(self._value(handle, job_id, fields, errors=return_exceptions))
        return results

    def _value(self, handle: JobHandle, job_id: JobId, fields: dict[str, bytes] | None, *, errors: bool) -> Any:
        """The result of a job that had ended, or with `errors` its exception; one that was requeued is waited for."""
        try:
            complete = self._complete(job_id, fields)
            if complete is None or given_to(complete):
                return handle.result()
            return converted(handle, value_of(str(job_id), complete, original=True))
        except Exception as error:
            if not errors:
                raise
            return error

    def _handles(self, jobs: Iterable[JobHandle | str]) -> list[JobHandle]:
        return [job if isinstance(job, JobHandle) else JobHandle(cast("Client", self), job) for job in jobs]

    def follow(
        self, job_id: str, after: tuple[int, int] = (0, 0), *, every: float | None = None, whole: bool = True
    ) -> Iterator[Followed]:
        """Yield a job's partial results, logs and progress, and how it ends, live and across reconnects.

        Begins after entry `after` (attempt and number). `every`: seconds after which it yields the current state even
        if nothing is new. `whole`: with the bytes of entries above 64 KiB. Raises UnknownJob.
        """
        wanted, known = self._named(job_id), ("", b"")
        asks = max(LISTEN, math.ceil(every or 0))  # seconds until it asks again, at most
        with self._inbox.listen(wanted) as heard:
            while True:
                heard.clear()  # before asking, so that no later message is missed
                op = follow_ops.follow(self._keys, wanted, self._inbox.name, asks, known, after, whole=whole)
                news = self._shell.run(op)
                is_new = bool(news.entries or news.ended or known != (news.state, news.progress))
                if is_new:
                    yield news
                if news.ended:
                    return
                known, after = news.following(after)
                if not is_new and not heard.wait(every or LISTEN) and every:
                    yield news

    def get_logs(self, job_id: str) -> str:
        """What a job printed and logged, in all its attempts, up to 64 KiB each. Kept for a day. Raises UnknownJob."""
        wanted, words, after = self._named(job_id), b"", (0, 0)
        while True:
            op = follow_ops.follow(self._keys, wanted, "", 0, ("", b""), after)
            news = self._shell.run(op)
            words += b"".join(said.data for said in news.entries if said.kind == "log")
            if not news.entries:
                return words.decode("utf-8", "replace")
            after = news.following(after)[1]
