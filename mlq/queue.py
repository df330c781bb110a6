"""`MLQ`, the class that users create: a client, and the worker of this process."""

import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, TypeVar, Unpack, overload

from mlq.batches.hosting import host_files
from mlq.client.blocking import Client
from mlq.core.checks import check_seconds, nearest
from mlq.core.job_options import PostOptions, usual
from mlq.core.policy import AFFINITY_WAIT, LONGEST_AFFINITY_WAIT, Policy
from mlq.errors import InputError
from mlq.running.declared import Declared, DeclaredBatch, M_contra, P, R_co, declared
from mlq.running.listeners import Listener, Listeners
from mlq.running.portions import Split
from mlq.running.scheduling import Scheduling
from mlq.system import terminal

if TYPE_CHECKING:
    from mlq.models.hosting import ModelOptions
    from mlq.pools.contract import Loader, Pool
    from mlq.running.middleware import Middleware
    from mlq.worker.shadow_runner import Aside
    from mlq.worker.shared import Settings
    from mlq.worker.worker import Worker

log = logging.getLogger("mlq.queue")

M = TypeVar("M", bound="Middleware")

MOST = 1000  # children or threads of one worker: a child is a Python of 25 MB or more, and more threads are not needed
GRACE = 20.0  # seconds that running jobs get at a stop; Kubernetes kills after 30 s, and handing back takes some


_started: "weakref.WeakSet[MLQ]" = weakref.WeakSet()  # the objects that have started a worker


DECLARED = ("name", "queue", "timeout", "retries", "backoff", "retry_on", "batch", "max_wait", "max_cost",
            "cost", "group", "per_worker", "uses")  # options of a listener  # fmt: skip


def _listener(function: Callable[..., Any], **given: Any) -> Listener:
    """Raises InputError for a bad value, and TypeError for an option that does not exist."""
    if unknown := sorted(given.keys() - set(DECLARED)):
        of_jobs = usual(unknown[0]) in PostOptions.__annotations__
        hint = f" (give {usual(unknown[0])!r} with each post)" if of_jobs else nearest(unknown[0], DECLARED)
        raise TypeError(f"a listener has no option {unknown[0]!r}{hint}")
    if str(given.get("name")).startswith("#"):
        raise InputError(f"a listener's name must not begin with #, as those of MLQ do: {given['name']!r:.80}")
    policy = Policy.of(given.get("timeout"), given.get("retries"), given.get("backoff"))
    split = Split.of(given.get("cost"), given.get("max_cost"), given.get("group"))
    if split is not None and given.get("batch") is None:
        raise InputError("cost and group are of listeners that take batches: declare batch=, too")
    return Listener.of(
        function, given.get("name"), given.get("queue"), policy, given.get("retry_on"), given.get("batch"),
        given.get("max_wait"), split, given.get("per_worker"), given.get("uses"),
    )  # fmt: skip


def _nothing(_msg: object) -> None:
    """Stands for a function that is about to be declared."""


class MLQ(Scheduling, Client):
    """A job queue: post jobs from this process, or run them in it."""

    def __init__(
        self,
        namespace: str = "mlq_default",
        redis_host: str | None = None,
        redis_port: int | None = None,
        redis_db: int = 0,
        *,
        url: str | None = None,
    ) -> None:
        """Connects to nothing and starts nothing.

        `redis_host`: a host name, or a URL (redis://, rediss://, unix://), as `url`. Without arguments: the server in
        the environment variable `MLQ_URL`, else this user's embedded server if it runs, else one on localhost:6379,
        else a new embedded server. Raises InputError.
        """
        super().__init__(namespace, redis_host, redis_port, redis_db, url=url)
        self.listeners = Listeners()
        self._worker: Any = None
        self._started_in = 0  # the process id: a forked child does not have the threads of its parent's worker
        self._reaper: Any = None
        self._starting = threading.Lock()

    @overload
    def listener(self, function: Callable[Concatenate[M_contra, P], R_co]) -> Declared[M_contra, P, R_co]: ...

    @overload
    def listener(
        self,
        *,
        name: str | None = None,
        queue: str | None = None,
        timeout: float | None = None,
        retries: int | None = None,
        backoff: float | None = None,
        retry_on: Any = None,
        per_worker: int | None = None,
        uses: str | Sequence[str] | None = None,
    ) -> Callable[[Callable[Concatenate[M_contra, P], R_co]], Declared[M_contra, P, R_co]]: ...

    @overload
    def listener(
        self,
        *,
        batch: int,
        max_wait: float | None = None,
        max_cost: float | None = None,
        cost: Callable[[Any], float] | None = None,
        group: Callable[[Any], Any] | None = None,
        name: str | None = None,
        queue: str | None = None,
        timeout: float | None = None,
        retries: int | None = None,
        backoff: float | None = None,
        retry_on: Any = None,
        per_worker: int | None = None,
        uses: str | Sequence[str] | None = None,
    ) -> Callable[[Callable[Concatenate[list[M_contra], P], R_co]], DeclaredBatch[M_contra, P, R_co]]: ...

    def listener(self, function: Any = None, **options: Any) -> Any:
        """Declare a listener, as a decorator. The worker of this `MLQ` object runs it, even if it has already started.

        The function stays an ordinary one, with methods `post` and `submit` that post jobs for it. If it can't have
        these (a bound method, a builtin, an object with slots or with methods of these names), a wrapper is returned.
        If its first parameter is annotated with a dataclass, a pydantic model or a msgspec struct, or a list or dict
        of these, messages are validated and converted to that.
        `name`: the function's own if left out; `queue`: where its jobs wait; `timeout`: seconds that one attempt may
        take; `retries`: further attempts after one that raised or timed out; `backoff`: seconds before the first retry,
        doubled for each further one; `retry_on`: the exceptions, by class or name, after which to retry. Options of a
        job override these. `batch`: how many jobs it takes in one call, up to 1,000. It gets a list of messages, and
        returns a list with a result for each, in the same order; an exception in the place of a result fails that job
        alone. `max_wait`: the longest pause after a batch, in seconds, for clients that come back at once; 5 ms if left
        out. `max_cost`: what the messages of a call may cost together, by `cost`, a function of a message, such as
        `len`; `group`: only messages for which this function gives the same share a call. `per_worker`: how many of its
        jobs (or batches, if it takes batches) one worker runs at a time; as many as the worker has slots if left out.
        `uses`: resources, by any names, of which `limit` says how many jobs may use them. Raises InputError.
        """
        listener = _listener(_nothing if function is None else function, **options)  # wrong options are refused here
        if function is None:
            return partial(self.listener, **options)
        self.listeners.add(listener)
        return declared(self, listener)

    def add_model(self, model: type | str, **options: "Unpack[ModelOptions]") -> None:
        """Host a model: the worker of this `MLQ` object loads it when its first job comes, and runs its predictions.

        `model`: a class with `name`, `version`, `Input` and `Output` (types that pydantic knows), and
        `predict(self, x)`, `predict_batch(self, xs)` or both; `load(self, device)` if there is something to load.
        Or "folder/file.py:Class", with `python`, the path of another interpreter, in which it then runs. That is asked
        at once; if the model is not available there, the reason is logged, and the worker goes on without it. Raises
        InputError.
        """
        from mlq.models.foreign.hosting import hosting_of_foreign, source_of_file  # it needs pydantic
        from mlq.models.hosting import hosting_of

        loads = self.listeners.loads
        if isinstance(model, str):
            hosting = hosting_of_foreign(source_of_file(model, options), model, options, loads)
        else:
            hosting = hosting_of(model, f"{getattr(model, '__qualname__', model)}", options, loads)
        if hosting is not None:
            self.listeners.add(hosting.listener)
            self._models.add_own(hosting.declared.info)

    def middleware(self, hook: M) -> M:
        """Wrap every attempt of this `MLQ` object's listeners in a context manager, as a decorator.

        `hook` takes the `JobContext`, and returns a context manager that is entered before the listeners run and left
        after them; the first hook that was declared is the outermost. It sees what a listener raises, and may raise
        something else instead, but can't suppress it. An exception of the hook itself fails the job without a retry.
        Raises InputError.
        """
        if not callable(hook):
            raise InputError(f"middleware must be a function that returns a context manager, not {hook!r:.80}")
        self.listeners.wrap(hook)
        return hook

    def create_listener(
        self,
        function: Callable[..., Any] | None = None,
        *,
        concurrency: int = 1,
        grace: float = GRACE,
        per_worker: int | None = None,
        affinity_wait: float = AFFINITY_WAIT,
    ) -> bool:
        """Add a listener, and start this process's worker if it does not run yet.

        The process continues to work after its main program has ended, until SIGTERM, SIGINT or `shutdown`.
        `concurrency` (jobs at a time), `grace` (seconds that running jobs get at a signal) and `affinity_wait` (up to
        60 seconds for which a model's job is left to workers that have the model loaded) only have an effect when the
        worker starts. `per_worker`: as for `listener`. Returns True. Raises InputError.
        """
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or not 1 <= concurrency <= MOST:
            raise InputError(f"concurrency must be a whole number from 1 to {MOST:,}, not {concurrency!r}")
        seconds = check_seconds("grace", grace, zero=True) or 0.0
        wait = check_seconds("affinity_wait", affinity_wait, zero=True) or 0.0
        if wait > LONGEST_AFFINITY_WAIT:
            raise InputError(f"affinity_wait must be at most {LONGEST_AFFINITY_WAIT:g} seconds, not {wait:g}")
        if function is not None:
            self.listeners.add(_listener(function, per_worker=per_worker))
        with self._starting:
            if not self._works():
                self._start(concurrency, seconds, wait)
        return True

    def _works(self) -> bool:
        return self._started_in == os.getpid() and not self._worker.stopping.is_set()

    def _start(self, concurrency: int, grace: float, affinity_wait: float) -> None:
        from mlq.pools.loading import LocalLoader
        from mlq.pools.thread import ThreadPool
        from mlq.worker import exit as way_out  # here, since a program that only posts need not import the worker
        from mlq.worker.shared import Settings

        if any((one.namespace, one.url) == (self.namespace, self.url) and one._works() for one in tuple(_started)):  # noqa: SLF001
            log.warning(  # in a notebook, the cell that creates the queue was probably run again
                "another MLQ object in this process already has a worker for namespace %r; each worker runs only the "
                "listeners that were declared on its own object: shut one of them down, unless you want both",
                self.namespace,
            )
        host_files(self, self.listeners)
        _started.add(self)
        how = Settings(affinity_wait=affinity_wait)
        self._worker = self.make_worker(ThreadPool(concurrency), settings=how, loader=LocalLoader())
        self._started_in = os.getpid()
        way_out.keep(self._worker, grace)  # before the start, so that a signal at any time stops the worker
        self._worker.start()
        if not log.isEnabledFor(logging.INFO) and len(_started) == 1:  # else it is logged, or somebody makes many
            names = ", ".join(self.listeners.names()) or "no listeners yet"
            terminal.write(
                f"mlq: a worker of namespace {self.namespace!r} runs in this process ({names}); "
                "SIGTERM, Ctrl-C or shutdown() ends it",
                err=True,
            )

    def make_worker(
        self, pool: "Pool", listeners: Listeners | None = None, settings: "Settings | None" = None,
        loader: "Loader | None" = None, aside: "Aside | None" = None,
    ) -> "Worker":  # fmt: skip
        """A worker of this namespace, not yet started. `listeners`: instead of those declared on this object.

        `loader`: loads uploaded listeners; without one, they are not accepted. `aside`: where shadows of models run.
        """
        from mlq.worker.worker import Worker

        return Worker(self._keys, self._shell.chosen, listeners or self.listeners, pool, settings, loader, aside)

    def remove_listener(self, function: Callable[..., Any] | str) -> bool:
        """Remove a listener, given as the function or its name; returns whether it existed."""
        return self.listeners.remove(function if isinstance(function, str) else self.listeners.called(function))

    def shutdown(self, grace: float = GRACE) -> None:
        """Stop this process's worker: no new jobs, up to `grace` seconds for running ones, the rest is handed back.

        `create_listener` starts a new one. Does nothing if none runs.
        """
        seconds = check_seconds("grace", grace, zero=True) or 0.0
        if self._started_in == os.getpid():
            self._worker.stop(seconds)
        if self._reaper is not None:
            self._reaper.stop()

    def create_reaper(self, call_how_often: float = 60, job_timeout: float = 300, max_retries: int = 5) -> None:
        """Limit how long attempts may take: every `call_how_often` seconds, end those over `job_timeout` seconds.

        Their jobs are requeued, at most `max_retries` times each; then they become dead letters. A second call
        replaces the limits of the first. Recovery from dead workers needs no reaper. Raises InputError.
        """
        from mlq.worker import exit as way_out
        from mlq.worker.overruns import Reaper

        interval, timeout = check_seconds("call_how_often", call_how_often), check_seconds("job_timeout", job_timeout)
        if (
            interval is None
            or timeout is None
            or isinstance(max_retries, bool)
            or not isinstance(max_retries, int)
            or max_retries < 0
        ):
            raise InputError("create_reaper takes two durations in seconds, and a whole number of retries, at least 0")
        with self._starting:
            if self._reaper is not None:
                self._reaper.stop()
            self._reaper = Reaper(self._keys, self._shell, interval, timeout, max_retries)
            self._reaper.start()
            log.info("checking every %g s for jobs that run longer than %g s", interval, timeout)
            way_out.keep(self._reaper, GRACE)
