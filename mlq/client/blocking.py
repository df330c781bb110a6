"""The blocking client: one short method per operation. `aio.py` is its asyncio twin."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from mlq.client.arguments import LISTEN, PAGE, chunks, data_key, state_of, unserved, value_of
from mlq.client.handle import JobHandle
from mlq.core import codec
from mlq.core.checks import check_count, check_id, check_key, check_seconds, check_size
from mlq.core.identity import JobId, same
from mlq.core.job import announced, progress_of, progress_words
from mlq.core.job_options import PostOptions, options_of
from mlq.core.keys import Keys
from mlq.core.states import State
from mlq.errors import WaitTimeout
from mlq.ops import data as data_ops
from mlq.ops import deliveries as delivery_ops
from mlq.ops import following as follow_ops
from mlq.ops import jobs as job_ops
from mlq.ops import posting as post_ops
from mlq.ops import stats as stats_ops
from mlq.ops import uploads as upload_ops
from mlq.ops import work as work_ops
from mlq.ops.following import Followed
from mlq.ops.jobs import Counts, DeadLetter, Listed
from mlq.ops.posting import Posted
from mlq.ops.stats import Stats
from mlq.shell.known import known_of, post
from mlq.shell.target import from_arguments
from mlq.uploads.functions import check_name, pickled
from mlq.uploads.sealed import overview, seal

if TYPE_CHECKING:
    import redis


class Client:
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
        """`redis_host` may also be a URL (redis://, rediss://, unix://). Without arguments: see `shell.target`."""
        self._keys = Keys(namespace)
        from mlq.shell.inbox import Inbox  # redis-py takes 100 ms to import, and `import mlq` need not wait for it
        from mlq.shell.sync import Shell
        from mlq.shell.watch import Watch

        self._shell = Shell(from_arguments(url, redis_host, redis_port, redis_db), watch=Watch())
        self._inbox = Inbox(self._shell, self._keys.inbox)

    def __enter__(self) -> Self:
        """The client itself; nothing is contacted yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        self.close()

    @property
    def namespace(self) -> str:
        """The namespace's name."""
        return self._keys.namespace

    @property
    def url(self) -> str | None:
        """The server's URL as it was given to this object; None if the server is chosen when it is needed."""
        return None if self._shell.named is None else self._shell.named.url

    @property
    def server(self) -> str:
        """The server in use, without its password, and why it was chosen. Chooses it if that has not happened yet."""
        return str(self._shell.target)

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
        `idempotency_key`: a string; repeating the same post with the same key within a day posts no second job, and
        returns the first one's id. Raises InputError (nothing was written; KeyReused if the key was used for another
        post) or ServerError.
        """
        wanted = options_of(callback, functions, options)
        return str(self._post_one(wanted.lane, wanted.body(msg), idempotency_key))

    def _post_one(self, lane: str, body: bytes, idempotency_key: str | None) -> JobId:
        """Post one job."""
        keys = self._keys
        if idempotency_key is not None:
            key = check_key(idempotency_key)
            return post(self._shell, keys, lambda epoch: post_ops.post_once(keys, key, lane, body, epoch)).id
        return self._post(lane, (body,)).id

    def _post(self, lane: str, bodies: Sequence[bytes]) -> Posted:
        keys = self._keys
        with self._shell.callers.borrow() as caller:
            name, number = caller.name, caller.number
            return post(self._shell, keys, lambda epoch: post_ops.post(keys, name, number, lane, bodies, "", epoch))

    def post_many(
        self,
        msgs: Iterable[Any],
        callback: str | None = None,
        functions: Iterable[str] | None = None,
        **options: Unpack[PostOptions],
    ) -> list[str]:
        """Post many jobs with the same options, in order; returns their ids. All are checked before any is sent."""
        wanted = options_of(callback, functions, options)
        ids: list[str] = []
        for bodies in chunks([wanted.body(msg) for msg in msgs]):
            ids += map(str, self._post(wanted.lane, bodies).ids())
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
        """Post one job; returns a handle on it."""
        wanted = options_of(callback, functions, options)
        return JobHandle(self, self._post_one(wanted.lane, wanted.body(msg), idempotency_key))

    def job(self, job_id: str) -> JobHandle:
        """A handle on any job, by its id or its `reference`. Does not contact the server."""
        return JobHandle(self, job_id)

    def _named(self, job_id: object) -> JobId:
        """The id that the user gave, with the job's stamp if this process knows it. Raises InputError."""
        wanted = check_id(job_id)
        return wanted if wanted.stamp else known_of(self._shell.target, self._keys).meant(wanted)

    def get_job(self, job_id: str) -> dict[str, Any]:
        """Everything that is known about a job. Raises UnknownJob."""
        return self._shell.run(job_ops.read(self._keys, self._named(job_id)))

    def get_info(self, job_id: str) -> dict[str, Any]:
        """As `get_job`, but without message and result, which are not transferred. Raises UnknownJob."""
        return self._shell.run(job_ops.info(self._keys, self._named(job_id)))

    def get_progress(self, job_id: str) -> str:
        """The progress in words, or the value last reported as text. Raises UnknownJob."""
        return progress_words(*self._shell.run(job_ops.glance(self._keys, self._named(job_id))))

    def get_job_progress(self, job_id: str) -> Any:
        """The progress as a value: None, 0, the last report, 100 or -1. Raises UnknownJob."""
        return progress_of(*self._shell.run(job_ops.glance(self._keys, self._named(job_id))))

    def get_state(self, job_id: str) -> State:
        """The state; message and result are not transferred. Raises UnknownJob."""
        return self._shell.run(job_ops.glance(self._keys, self._named(job_id)))[0]

    def get_result(self, job_id: str) -> Any:
        """The result, or None if there is none yet (`wait` waits). Raises JobFailed, JobCancelled, UnknownJob."""
        fields = self._shell.run(job_ops.outcome(self._keys, self._named(job_id)))
        return None if fields is None else value_of(job_id, fields, original=False)

    def wait(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for the result. `timeout` in seconds.

        Raises WaitTimeout (a TimeoutError), UnknownJob, JobCancelled, and for a failed job the listener's own
        exception if a copy with the same message can be made here; otherwise, and for MLQ's own errors, JobFailed.
        """
        return value_of(str(job_id), self._ended(self._named(job_id), timeout), original=True)

    def wait_end(self, job_id: str, timeout: float | None = None) -> State:
        """The state in which the job ended, when it has, without its result. Raises WaitTimeout, UnknownJob."""
        return state_of(self._ended(self._named(job_id), timeout, whole=False))

    def _ended(self, job_id: JobId, timeout: float | None, *, whole: bool = True) -> dict[str, bytes]:
        give_up = None if timeout is None else time.monotonic() + (check_seconds("timeout", timeout, zero=True) or 0.0)
        with self._shell.callers.borrow() as caller:
            while True:
                left = LISTEN if give_up is None else give_up - time.monotonic()
                seconds = max(0.001, min(left, LISTEN))
                op = job_ops.wait(self._keys, job_id, caller.name, LISTEN, alone=True, whole=whole)
                fields, item = self._shell.run_and_pop(op, [self._keys.inbox + caller.name], seconds)
                if fields is None and item is not None:
                    ended, ending = announced(item[1])
                    fields = ending if same(ended, job_id) else None  # else ask again
                if fields is not None:
                    return fields
                if give_up is not None and time.monotonic() >= give_up:
                    raise WaitTimeout(f"job {job_id} did not end within {timeout} s")

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
                is_new = bool(news.said or news.ended or known != (news.state, news.progress))
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
            words += b"".join(said.data for said in news.said if said.kind == "log")
            if not news.said:
                return words.decode("utf-8", "replace")
            after = news.following(after)[1]

    def job_count(self) -> int:
        """Jobs that wait or run."""
        now = self.counts()
        return now.waiting + now.scheduled + now.running

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

    def jobs(self, state: State | None = None) -> Iterator[Listed]:
        """All jobs of the namespace, newest first; fetched page by page."""
        below = ""
        while below != "0":
            page, below = self._shell.run(job_ops.listing(self._keys, below, PAGE, state))
            yield from page

    def list_jobs(
        self, state: State | None = None, before: str = "", limit: int = PAGE
    ) -> tuple[list[Listed], str | None]:
        """Up to `limit` jobs posted before the job `before`, newest first, and `before` for the next page, or None.

        A page may be short even if more follow: one call looks at 2,000 jobs at most.
        """
        below = "" if before == "" else check_id(before)
        page, below = self._shell.run(job_ops.listing(self._keys, below, check_count("limit", limit, 1) or PAGE, state))
        return page, None if below == "0" else below

    def last_id(self) -> int:
        """The last id that was assigned, 0 before the first; there has never been a job above it."""
        return self._shell.run(job_ops.last_id(self._keys))

    def position(self, job_id: str) -> int | None:
        """How many jobs are ahead of this one in its lane; None if it does not wait there. Raises UnknownJob."""
        return self._shell.run(job_ops.place(self._keys, self._named(job_id))).ahead

    def cancel(self, job_id: str) -> None:
        """Take a job out of its queue, or stop it if it runs. Raises WrongState if it has ended, UnknownJob.

        In the process pool its child is killed, in the asyncio pool its coroutine is cancelled; elsewhere the listener
        continues until it checks `context.cancelled`, but can record nothing more.
        """
        self._shell.run(job_ops.cancel(self._keys, self._named(job_id)))

    def redeliver(self, job_id: str) -> None:
        """Send the webhook of a job that ended once more, as the same event. Raises WrongState, UnknownJob."""
        self._shell.run(delivery_ops.redeliver(self._keys, self._named(job_id)))

    def delete(self, job_id: str) -> None:
        """Remove a job that does not run, with its result. Raises WrongState, UnknownJob."""
        self._shell.run(job_ops.delete(self._keys, self._named(job_id)))

    def dead_letters(self, first: int = 0, last: int = -1) -> list[DeadLetter]:
        """The dead letters `first` to `last` (inclusive, from 0; -1 is the last), oldest first."""
        return self._shell.run(job_ops.dead(self._keys, first, last))

    def requeue(self, job_id: str) -> None:
        """Put a dead letter or a cancelled job back into its queue. Raises WrongState, UnknownJob."""
        self._shell.run(job_ops.requeue(self._keys, self._named(job_id)))

    def requeue_all(self) -> int:
        """Put all current dead letters back into their queues; returns how many were requeued."""
        return self._each_dead_letter(job_ops.requeue)

    def discard(self, job_id: str) -> None:
        """Remove a dead letter for good. Raises WrongState, UnknownJob."""
        self._shell.run(job_ops.discard(self._keys, self._named(job_id)))

    def discard_all(self) -> int:
        """Remove all current dead letters for good; returns how many were removed."""
        return self._each_dead_letter(job_ops.discard)

    def _each_dead_letter(self, change: Any) -> int:
        ids = self._shell.run(job_ops.dead_ids(self._keys))
        changed = 0
        for page in (ids[start : start + PAGE] for start in range(0, len(ids), PAGE)):
            changed += sum(self._shell.run_many([job_ops.try_change(change(self._keys, job_id)) for job_id in page]))
        return changed

    def store_data(self, data: Any, key: str | None = None, expiry: float | None = None) -> str:
        """Store a value for other jobs, for `expiry` seconds or forever; returns the key to fetch it by."""
        name = data_key(key)
        packed = check_size("the data", codec.pack(data))
        self._shell.run(data_ops.store(self._keys, name, packed, check_seconds("expiry", expiry)))
        return name

    def fetch_data(self, key: str) -> Any:
        """What `store_data` stored; None if there is nothing, or it has expired."""
        packed = self._shell.run(data_ops.fetch(self._keys, data_key(key)))
        return None if packed is None else codec.unpack(packed)

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
        return self._shell.run(work_ops.workers(self._keys))

    def clear(self) -> int:
        """Remove everything in this namespace except the counter of ids; returns how many keys were removed."""
        removed, cursor = 0, ""
        while cursor != "0":
            cursor, names = self._shell.run(data_ops.scan(self._keys, cursor or "0"))
            removed += self._shell.run(data_ops.unlink(names)) if names else 0
        return removed

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._shell.close()
