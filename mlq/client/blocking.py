"""The blocking client: one short method per operation. `aio.py` is its asyncio twin."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from mlq.client.arguments import chunks, data_key, options_of_many
from mlq.client.handle import JobHandle
from mlq.client.known_models import Known
from mlq.client.models import Model
from mlq.client.schedules import Schedules
from mlq.client.unserved import LaneChecks
from mlq.client.waiting import Waiting
from mlq.core import codec
from mlq.core.checks import check_key, check_seconds, check_size
from mlq.core.file_job import FileJob, own_options
from mlq.core.job_options import JobOptions, PostOptions, options_of
from mlq.core.progress import progress_of, progress_words
from mlq.core.states import State
from mlq.errors import MLQError
from mlq.ops import Op
from mlq.ops import data as data_ops
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops.posting import Posted
from mlq.shell.known_ids import post
from mlq.shell.target import from_arguments

if TYPE_CHECKING:
    import redis


class Client(Waiting):
    """A namespace on a server. Creating one connects to nothing; the first operation does."""

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
        super().__init__(namespace, from_arguments(url, redis_host, redis_port, redis_db))
        self._lanes = LaneChecks()
        self._models = Known()

    def __enter__(self) -> Self:
        """The client itself; nothing is contacted yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        self.close()

    @property
    def _redis(self) -> "redis.Redis":
        """A redis-py client, for programs that were written for the first MLQ."""
        import redis

        return redis.Redis(connection_pool=self._shell.pool)

    def post(
        self,
        msg: Any,
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[PostOptions],
    ) -> str:
        """Post one job; returns its id.

        `queue`: where it waits. `ttl`: seconds that it is kept after it succeeds, forever if None. `timeout`: seconds
        that one attempt may take; `retries`: further attempts after one that raised or timed out; `backoff`: seconds
        before the first retry, doubled for each further one. Options that are left out are as the listener declares.
        `callback`, `webhook`: URLs that get a GET or a signed POST when the job ends.
        `delay`: seconds until it may begin; or `at`: when, as a datetime with a time zone or in seconds since 1970; up
        to a minute ago is now, earlier is refused. `expires`: seconds after which it is cancelled if no worker has
        begun it. `priority`: from -100 to 100; of the jobs that wait, those with a larger one are sooner, and those
        with the same one in the order of their posts. `share`: for whom it runs; shares get equal parts of the workers'
        time, whatever their jobs take (see `share_weight`). Times are by the server's clock.
        `key`: as long as a job of the same functions holds this key, nothing is posted, and the answer is that job;
        `unique`: how long that is: "waiting" (until a worker has taken it), "active" (until it has ended, as if left
        out), or seconds from its post. `replace`: the job that waits with the key gets this message and these options.
        `idempotency_key`: a string; repeating the same post with the same key within a day posts no second job, and
        returns the first one's id. Raises InputError (nothing was written; KeyReused if the key was used for another
        post) or ServerError.
        """
        wanted = options_of(callback, functions, options)
        return str(self._post_one(wanted, wanted.body(msg), idempotency_key).first)

    def _post_one(self, wanted: JobOptions, body: bytes, idempotency_key: str | None) -> Posted:
        """Post one job."""
        if idempotency_key is None:
            return self._post(wanted, (body,))
        keys, key, staged = self._keys, check_key(idempotency_key), post_ops.staging_name((body,))
        lane, needs, when, keyed = wanted.lane, wanted.needs, wanted.when, wanted.keyed

        def make(epoch: str) -> "Op[Posted | None]":  # quoted: else each post would build the type
            return post_ops.post_once(keys, key, lane, body, epoch, staged, needs, when, keyed)

        posted = post(self._shell, keys, make, post_ops.stage(keys, staged, lane, (body,)))
        self._check(lane, posted)
        return posted

    def _post(self, wanted: JobOptions, bodies: Sequence[bytes], of: int | None = None) -> Posted:
        keys, staged, lane = self._keys, post_ops.staging_name(bodies), wanted.lane
        needs, when, keyed = wanted.needs, wanted.when, wanted.keyed
        with self._shell.callers.borrow() as caller:
            name, number = caller.name, caller.number

            def make(epoch: str) -> "Op[Posted | None]":  # quoted: else each post would build the type
                return post_ops.post(keys, name, number, lane, bodies, "", epoch, staged, needs, when, keyed, of)

            posted = post(self._shell, keys, make, post_ops.stage(keys, staged, lane, bodies))
        self._check(lane, posted)
        return posted

    def _check(self, lane: str, posted: Posted) -> None:
        """Warn if no live worker serves the lane of a post, or if it is not known which listeners will run."""
        if self._lanes.begins(lane):
            with suppress(MLQError):  # the job is posted, even if the server goes away now
                self._lanes.check(lane, str(posted.first), self._recent_workers(), self.namespace, self.server)

    def _recent_workers(self) -> list[dict[str, str]]:
        recent = self._lanes.recent_workers()
        return self._lanes.remember_workers(self.workers()) if recent is None else recent

    def post_many(
        self,
        msgs: Iterable[Any],
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        **options: Unpack[PostOptions],
    ) -> list[str]:
        """Post many jobs with the same options, in order; returns their ids.

        All are checked before any is sent. Raises InputError, ServerError; in the latter case some may be posted.
        """
        wanted = options_of_many(callback, functions, options)
        ids: list[str] = []
        pages = list(chunks([wanted.body(msg) for msg in msgs], len(wanted.after or ())))
        of = sum(map(len, pages)) if len(pages) > 1 else None
        for bodies in pages:
            ids += map(str, self._post(wanted, bodies, of).ids())
            of = of and 0  # the first call has seen whether the queue takes all of them
        return ids

    def submit(
        self,
        msg: Any,
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[PostOptions],
    ) -> JobHandle:
        """Post one job, as `post` does; returns a handle on it. Its `new` is False if the job was there already."""
        wanted = options_of(callback, functions, options)
        posted = self._post_one(wanted, wanted.body(msg), idempotency_key)
        return JobHandle(self, posted.id, warning=self._lanes.warning(wanted.lane), new=posted.new)

    def predict_file(
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
    ) -> JobHandle:
        """Post a job that predicts each row of a file, and writes a file of the same kind; returns a handle on it.

        `model`: a hosted model or a listener. `input`, `output`, `errors` (of the rows that failed; beside the output
        if left out): paths or URLs as the worker sees them, which must allow them (MLQ_FILE_PLACES). `fields`: the
        columns of fields that have other names. `keep`: columns to carry over. `restart`: predict it anew, although an
        earlier job has left a part of it. Raises InputError, ServerError.
        """
        given = {"model": model, "input": input, "output": output, "errors": errors, "fields": fields, "keep": keep,
                 "restart": restart}  # fmt: skip
        wanted, message = own_options(callback, options), FileJob.of(given).message()
        posted = self._post_one(wanted, wanted.body(message), idempotency_key)
        return JobHandle(self, posted.id, warning=self._lanes.warning(wanted.lane), new=posted.new)

    def model(self, name: str, version: str | None = None) -> Model:
        """A hosted model, to submit predictions to; without `version`, as its traffic says. Raises InputError."""
        return Model(self, name, version)

    @property
    def schedules(self) -> Schedules:
        """The schedules of this namespace: to add, list, run, pause and remove them."""
        return Schedules(self)

    def job(self, job_id: str) -> JobHandle:
        """A handle on any job, by its id or its `reference`. Does not contact the server. Raises InputError."""
        return JobHandle(self, job_id)

    def get_job(self, job_id: str) -> dict[str, Any]:
        """Everything that is known about a job. Raises UnknownJob.

        A mapping: `id`, `state`, `msg`, `timestamp` (of the post), `queue`, `functions`, `timeout`, `worker`,
        `processing_started`, `processing_finished`, `progress`, `short_result`, `result` (of a failed job, the text of
        its error), `due` (when a scheduled one is to run), `expires` (when it is cancelled unless begun), `priority`,
        `share`, `key`, `retries` (runs after the first), `attempts` (a mapping for each of the last 20 runs), `error`,
        `error_type`, `traceback`, `reason`, `callback`, `callback_outcome`, `webhook`, and `deliveries` (the last 20
        tries to send these two). In pipelines: `after`, `on_failure`, `then`, `root` (of a step), `becomes` (the job
        whose outcome it will have), `gave` (the job that got its result), `cause` (the job because of which it failed),
        `steps` (how many it has). Of a schedule's job: `schedule`, its name, and `tick`, the time that the job is for.
        What does not apply, or not yet, is None.
        """
        return self._shell.run(job_ops.read(self._keys, self._named(job_id)))

    def get_info(self, job_id: str) -> dict[str, Any]:
        """As `get_job`, but without message and result, which are not transferred. Raises UnknownJob."""
        return self._shell.run(job_ops.info(self._keys, self._named(job_id)))

    def get_progress(self, job_id: str) -> str:
        """The progress in words, or the value last reported as text. Raises UnknownJob."""
        return progress_words(*self._shell.run(job_ops.glance(self._keys, self._named(job_id))))

    def get_job_progress(self, job_id: str) -> Any:
        """The progress as a value: None, 0, the last report, 100 or -1; a Progress of a pipeline. Raises UnknownJob."""
        return progress_of(*self._shell.run(job_ops.glance(self._keys, self._named(job_id))))

    def get_state(self, job_id: str) -> State:
        """The state; message and result are not transferred. Raises UnknownJob."""
        return self._shell.run(job_ops.glance(self._keys, self._named(job_id)))[0]

    def store_data(self, data: Any, key: str | None = None, expiry: float | None = None) -> str:
        """Store a value for other jobs, for `expiry` seconds or forever; returns the key to fetch it by.

        `data`: any value that a message may have, up to 64 MiB. Raises InputError.
        """
        name = data_key(key)
        packed = check_size("the data", codec.pack(data))
        self._shell.run(data_ops.store(self._keys, name, packed, check_seconds("expiry", expiry)))
        return name

    def fetch_data(self, key: str) -> Any:
        """What `store_data` stored; None if there is nothing, or it has expired."""
        packed = self._shell.run(data_ops.fetch(self._keys, data_key(key)))
        return None if packed is None else codec.unpack(packed)
