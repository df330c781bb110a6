"""Handles on jobs: returned by `submit`, and by `job(id)` in any process."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic

from mlq.client.stream import AsyncStream, Stream, Update, Updates
from mlq.core.checks import check_id
from mlq.core.job import is_finished
from mlq.core.states import State
from mlq.core.tree import STEPS, Tree
from mlq.core.why import Why

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # type checkers have it; Python itself has defaults from 3.13 on

    from mlq.client.aio import AsyncMLQ
    from mlq.client.blocking import Client

    R_co = TypeVar("R_co", covariant=True, default=Any)
else:
    from typing import TypeVar

    R_co = TypeVar("R_co", covariant=True)


class JobHandle(Generic[R_co]):
    """Stands for one job in any process: returned by `submit`, and made from an id by `job(id)`. Its result: `R_co`."""

    def __init__(
        self,
        client: "Client",
        job_id: str,
        convert: Callable[[Any], R_co] | None = None,
        warning: str | None = None,
        *,
        new: bool = False,
    ) -> None:
        """Does not check that the job exists. `convert`: makes the result an `R_co`."""
        self._client = client
        self._convert = convert
        self._job = check_id(job_id)
        self.id: str = str(self._job)  # a number in digits; `mlq.job(id)` makes a handle from it
        self.warning = warning  # from `submit`: why no live worker could run the job then; None if one could
        self.new = new  # whether `submit` posted it; False for one that was there, as it holds the key, and elsewhere

    def __repr__(self) -> str:
        """Names the job."""
        return f"<JobHandle {self.id} in {self._client.namespace!r}>"

    @property
    def reference(self) -> str:
        """The id with the job's stamp, which identifies the job forever. `job` accepts it, also in other programs.

        If the handle was made from an id alone, the stamp is added with the first reply.
        """
        return self._job.reference

    def state(self) -> State:
        """The job's state. Raises UnknownJob."""
        return self._client.get_state(self._job)

    def ready(self) -> bool:
        """Whether the job has ended, well or badly. Raises UnknownJob."""
        return is_finished(self.state())

    def missing(self) -> str | None:
        """Why no live worker can run the job while it waits; None if one can. Raises UnknownJob."""
        return self._client.missing(self._job)

    def why(self) -> Why:
        """Why the job does not run, or has not ended: the first reason that holds. Raises UnknownJob."""
        return self._client.why(self._job)

    def tree(self, limit: int = STEPS) -> Tree:
        """The pipeline that the job belongs to, with up to `limit` steps. Raises UnknownJob."""
        return self._client.tree(self._job, limit)

    def progress(self) -> Any:
        """None while it waits, 0 once it started, then the value last reported, 100 when done, -1 when failed.

        Of a pipeline that goes on, a `Progress`: `done`, `failed`, `of`.
        """
        return self._client.get_job_progress(self._job)

    def result(self, timeout: float | None = None) -> R_co:
        """Wait for the result, up to `timeout` seconds. Raises WaitTimeout, and what `MLQ.wait` raises.

        If the listener declares that it returns a dataclass, a model or a struct, and the handle comes from its
        `submit`, the result is made one again. Raises ValidationError if it does not fit.
        """
        return converted(self, self._client.wait(self._job, timeout))

    def stream(self) -> Stream:
        """Iterate over it to get the partial results, from the first one on, live."""
        return Stream(self._client, self._job)

    def follow(self, every: float | None = None) -> Iterator[Update]:
        """Yield an `Update` whenever the job's state, progress, partial results or logs change, until it has ended.

        Does not raise if the job fails: `result` does. `every`: seconds after which the current state is yielded even
        if nothing is new. Raises UnknownJob.
        """
        updates = Updates(every)
        for news in self._client.follow(self._job, every=every):
            yield from updates.of(news)

    def logs(self) -> str:
        """What the job printed and logged, in all its attempts. Raises UnknownJob."""
        return self._client.get_logs(self._job)

    def cancel(self) -> None:
        """Take the job out of its queue, or stop it where it runs. Raises WrongState if it has ended, UnknownJob."""
        self._client.cancel(self._job)

    def requeue(self) -> None:
        """Put the job back into its queue, if it failed or was cancelled. Raises WrongState, UnknownJob."""
        self._client.requeue(self._job)

    def delete(self) -> None:
        """Remove the job with its result, unless it runs. Raises WrongState, UnknownJob."""
        self._client.delete(self._job)


class AsyncJobHandle(Generic[R_co]):
    """A handle on one job, for asyncio."""

    def __init__(
        self,
        client: "AsyncMLQ",
        job_id: str,
        convert: Callable[[Any], R_co] | None = None,
        warning: str | None = None,
        *,
        new: bool = False,
    ) -> None:
        """Does not check that the job exists. `convert`: makes the result an `R_co`."""
        self._client = client
        self._convert = convert
        self._job = check_id(job_id)
        self.id: str = str(self._job)  # a number in digits; `mlq.job(id)` makes a handle from it
        self.warning = warning  # from `submit`: why no live worker could run the job then; None if one could
        self.new = new  # whether `submit` posted it; False for one that was there, as it holds the key, and elsewhere

    def __repr__(self) -> str:
        """Names the job."""
        return f"<AsyncJobHandle {self.id} in {self._client.namespace!r}>"

    @property
    def reference(self) -> str:
        """The id with the job's stamp, as in the sync twin."""
        return self._job.reference

    async def state(self) -> State:
        """The job's state. Raises UnknownJob."""
        return await self._client.get_state(self._job)

    async def ready(self) -> bool:
        """Whether the job has ended, well or badly. Raises UnknownJob."""
        return is_finished(await self.state())

    async def missing(self) -> str | None:
        """Why no live worker can run the job while it waits; None if one can. Raises UnknownJob."""
        return await self._client.missing(self._job)

    async def why(self) -> Why:
        """Why the job does not run, or has not ended: the first reason that holds. Raises UnknownJob."""
        return await self._client.why(self._job)

    async def tree(self, limit: int = STEPS) -> Tree:
        """The pipeline that the job belongs to, with up to `limit` steps. Raises UnknownJob."""
        return await self._client.tree(self._job, limit)

    async def progress(self) -> Any:
        """None while it waits, 0 once it started, then the value last reported, 100 when done, -1 when failed.

        Of a pipeline that goes on, a `Progress`: `done`, `failed`, `of`.
        """
        return await self._client.get_job_progress(self._job)

    async def result(self, timeout: float | None = None) -> R_co:  # noqa: ASYNC109 - the same signature as the sync twin's
        """The result when it is there; re-raises the listener's exception. `timeout` in seconds (WaitTimeout)."""
        return converted(self, await self._client.wait(self._job, timeout))

    def stream(self) -> AsyncStream:
        """Iterate over it with `async for` to get the partial results, from the first one on, live."""
        return AsyncStream(self._client, self._job)

    async def follow(self, every: float | None = None) -> AsyncIterator[Update]:
        """Yield an `Update` whenever something about the job changes, until it has ended; as in the sync twin."""
        updates = Updates(every)
        async for news in self._client.follow(self._job, every=every):
            for update in updates.of(news):
                yield update

    def __await__(self) -> Generator[Any, Any, R_co]:
        """`await handle` is `await handle.result()`."""
        return self.result().__await__()

    async def logs(self) -> str:
        """What the job printed and logged."""
        return await self._client.get_logs(self._job)

    async def cancel(self) -> None:
        """Take the job out of its queue, or stop it where it runs. Raises WrongState when it has ended."""
        await self._client.cancel(self._job)

    async def requeue(self) -> None:
        """Put the job back into its queue, if it failed or was cancelled. Raises WrongState, UnknownJob."""
        await self._client.requeue(self._job)

    async def delete(self) -> None:
        """Remove the job with its result, unless it runs. Raises WrongState, UnknownJob."""
        await self._client.delete(self._job)


def converted(handle: JobHandle[R_co] | AsyncJobHandle[R_co], value: Any) -> R_co:
    """A job's result as its listener declares it."""
    convert = handle._convert  # noqa: SLF001 - both handles have it
    return value if convert is None else convert(value)
