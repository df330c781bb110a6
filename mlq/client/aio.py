"""The asyncio twin of `blocking.py`: the same operations, awaited. A test compares the two."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, Unpack

from mlq.client.aio_waiting import AsyncWaiting
from mlq.client.arguments import chunks, data_key, options_of_many
from mlq.client.handle import AsyncJobHandle
from mlq.client.known_models import Known
from mlq.client.models import AsyncModel
from mlq.client.schedules import AsyncSchedules
from mlq.client.unserved import LaneChecks
from mlq.core import codec
from mlq.core.checks import check_key, check_seconds, check_size
from mlq.core.file_job import FileJob, own_options
from mlq.core.job_options import JobOptions, PostOptions, options_of
from mlq.core.keys import Keys
from mlq.core.progress import progress_of, progress_words
from mlq.core.states import State
from mlq.errors import MLQError
from mlq.ops import Op
from mlq.ops import data as data_ops
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops.posting import Posted
from mlq.shell.known_ids import post_aio
from mlq.shell.target import from_arguments


class AsyncMLQ(AsyncWaiting):
    """A namespace on a server, for the tasks of one event loop. Creating one connects to nothing."""

    def __init__(
        self,
        namespace: str = "mlq_default",
        redis_host: str | None = None,
        redis_port: int | None = None,
        redis_db: int = 0,
        *,
        url: str | None = None,
    ) -> None:
        """Connects to nothing. `redis_host`: a host name, or a URL (redis://, rediss://, unix://), as `url`.

        Without arguments: the server in the environment variable `MLQ_URL`, else this user's embedded server if it
        runs, else one on localhost:6379, else a new embedded server. Raises InputError.
        """
        self._keys = Keys(namespace)
        from mlq.shell.aio import AsyncShell  # imports redis-py, which takes 100 ms: not in `import mlq`
        from mlq.shell.aio_inbox import AsyncInbox

        self._shell = AsyncShell(from_arguments(url, redis_host, redis_port, redis_db))
        self._inbox = AsyncInbox(self._shell, self._keys.inbox)
        self._lanes = LaneChecks()
        self._models = Known()

    async def __aenter__(self) -> Self:
        """The client itself; nothing is contacted yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        await self.close()

    @property
    def url(self) -> str | None:
        """The server's URL as it was given to this object; None if the server is chosen when it is needed."""
        return None if self._shell.named is None else self._shell.named.url

    async def post(
        self,
        msg: Any,
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[PostOptions],
    ) -> str:
        """Post one job; returns its id. The options are those of the sync twin."""
        wanted = options_of(callback, functions, options)
        return str((await self._post_one(wanted, wanted.body(msg), idempotency_key)).first)

    async def _post_one(self, wanted: JobOptions, body: bytes, idempotency_key: str | None) -> Posted:
        """Post one job."""
        if idempotency_key is None:
            return await self._post(wanted, (body,))
        keys, key, staged = self._keys, check_key(idempotency_key), post_ops.staging_name((body,))
        lane, needs, when, keyed = wanted.lane, wanted.needs, wanted.when, wanted.keyed

        def make(epoch: str) -> "Op[Posted | None]":  # quoted: else each post would build the type
            return post_ops.post_once(keys, key, lane, body, epoch, staged, needs, when, keyed)

        posted = await post_aio(self._shell, keys, make, post_ops.stage(keys, staged, lane, (body,)))
        await self._check(lane, posted)
        return posted

    async def _post(self, wanted: JobOptions, bodies: Sequence[bytes], of: int | None = None) -> Posted:
        keys, staged, lane = self._keys, post_ops.staging_name(bodies), wanted.lane
        needs, when, keyed = wanted.needs, wanted.when, wanted.keyed
        with self._shell.callers.borrow() as caller:
            name, number = caller.name, caller.number

            def make(epoch: str) -> "Op[Posted | None]":  # quoted: else each post would build the type
                return post_ops.post(keys, name, number, lane, bodies, "", epoch, staged, needs, when, keyed, of)

            posted = await post_aio(self._shell, keys, make, post_ops.stage(keys, staged, lane, bodies))
        await self._check(lane, posted)
        return posted

    async def _check(self, lane: str, posted: Posted) -> None:
        """Warn if no live worker serves the lane of a post, or if it is not known which listeners will run."""
        if self._lanes.begins(lane):
            with suppress(MLQError):  # the job is posted, even if the server goes away now
                workers = await self._recent_workers()
                self._lanes.check(lane, str(posted.first), workers, self.namespace, await self.server())

    async def _recent_workers(self) -> list[dict[str, str]]:
        recent = self._lanes.recent_workers()
        return self._lanes.remember_workers(await self.workers()) if recent is None else recent

    async def post_many(
        self,
        msgs: Iterable[Any],
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        **options: Unpack[PostOptions],
    ) -> list[str]:
        """Post many jobs with the same options, as in the sync twin; returns their ids."""
        wanted = options_of_many(callback, functions, options)
        ids: list[str] = []
        pages = list(chunks([wanted.body(msg) for msg in msgs], len(wanted.after or ())))
        of = sum(map(len, pages)) if len(pages) > 1 else None
        for bodies in pages:
            ids += map(str, (await self._post(wanted, bodies, of)).ids())
            of = of and 0  # the first call has seen whether the queue takes all of them
        return ids

    async def submit(
        self,
        msg: Any,
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[PostOptions],
    ) -> AsyncJobHandle:
        """Post one job; returns a handle on it."""
        wanted = options_of(callback, functions, options)
        posted = await self._post_one(wanted, wanted.body(msg), idempotency_key)
        return AsyncJobHandle(self, posted.id, warning=self._lanes.warning(wanted.lane), new=posted.new)

    async def predict_file(
        self,
        model: str,
        input: str,  # noqa: A002 - its word everywhere
        output: str,
        callback: str | None = None,
        *,
        errors: str | None = None,
        fields: Mapping[str, str] | None = None,
        keep: Iterable[str] = (),
        restart: bool = False,
        idempotency_key: str | None = None,
        **options: Unpack[PostOptions],
    ) -> AsyncJobHandle:
        """Post a job that predicts each row of a file, as the sync twin does."""
        given = {"model": model, "input": input, "output": output, "errors": errors, "fields": fields, "keep": keep,
                 "restart": restart}  # fmt: skip
        wanted, message = own_options(callback, options), FileJob.of(given).message()
        posted = await self._post_one(wanted, wanted.body(message), idempotency_key)
        return AsyncJobHandle(self, posted.id, warning=self._lanes.warning(wanted.lane), new=posted.new)

    def model(self, name: str, version: str | None = None) -> AsyncModel:
        """A hosted model, to submit predictions to; without `version`, as its traffic says. Raises InputError."""
        return AsyncModel(self, name, version)

    @property
    def schedules(self) -> AsyncSchedules:
        """The schedules of this namespace: to add, list, run, pause and remove them."""
        return AsyncSchedules(self)

    def job(self, job_id: str) -> AsyncJobHandle:
        """A handle on any job, by its id or its `reference`. Does not contact the server."""
        return AsyncJobHandle(self, job_id)

    async def get_job(self, job_id: str) -> dict[str, Any]:
        """Everything that is known about a job. Raises UnknownJob."""
        return await self._shell.run(job_ops.read(self._keys, await self._named(job_id)))

    async def get_info(self, job_id: str) -> dict[str, Any]:
        """As `get_job`, but without message and result, which are not transferred. Raises UnknownJob."""
        return await self._shell.run(job_ops.info(self._keys, await self._named(job_id)))

    async def get_progress(self, job_id: str) -> str:
        """The progress in words, or the value last reported as text. Raises UnknownJob."""
        return progress_words(*await self._shell.run(job_ops.glance(self._keys, await self._named(job_id))))

    async def get_job_progress(self, job_id: str) -> Any:
        """The progress as a value: None, 0, the last report, 100 or -1; a Progress of a pipeline. Raises UnknownJob."""
        return progress_of(*await self._shell.run(job_ops.glance(self._keys, await self._named(job_id))))

    async def get_state(self, job_id: str) -> State:
        """The state; message and result are not transferred. Raises UnknownJob."""
        return (await self._shell.run(job_ops.glance(self._keys, await self._named(job_id))))[0]

    async def store_data(self, data: Any, key: str | None = None, expiry: float | None = None) -> str:
        """Store a value for other jobs, for `expiry` seconds or forever; returns the key to fetch it by."""
        name = data_key(key)
        packed = check_size("the data", codec.pack(data))
        await self._shell.run(data_ops.store(self._keys, name, packed, check_seconds("expiry", expiry)))
        return name

    async def fetch_data(self, key: str) -> Any:
        """What `store_data` stored; None if there is nothing, or it has expired."""
        packed = await self._shell.run(data_ops.fetch(self._keys, data_key(key)))
        return None if packed is None else codec.unpack(packed)

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._inbox.close()
        await self._shell.close()
