"""`MLQ`, what users hold: a client, and the worker of this process."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

from mlq.client import Client
from mlq.errors import InputError
from mlq.listeners import Listeners
from mlq.options import check_seconds

log = logging.getLogger("mlq.reaper")

F = TypeVar("F", bound=Callable[..., Any])

GRACE = 20.0  # seconds that running jobs get at a stop; Kubernetes kills after 30 s, and handing back takes some


class MLQ(Client):
    """A job queue: post jobs from here, or run them here. See `Client` for all that a poster can do."""

    def __init__(
        self,
        namespace: str = "mlq_default",
        redis_host: str | None = None,
        redis_port: int | None = None,
        redis_db: int = 0,
        *,
        url: str | None = None,
    ) -> None:
        """Connects to nothing and starts nothing. Arguments win over `MLQ_URL`; see `shell.target`."""
        super().__init__(namespace, redis_host, redis_port, redis_db, url=url)
        self.listeners = Listeners()
        self._worker: Any = None
        self._started_in = 0  # the process: a forked child has no threads of its parent's worker
        self._reaper: Any = None
        self._starting = threading.Lock()

    @overload
    def listener(self, function: F) -> F: ...

    @overload
    def listener(self) -> Callable[[F], F]: ...

    def listener(self, function: F | None = None) -> F | Callable[[F], F]:
        """Declare a listener, as a decorator. It stays an ordinary function; a worker that is started runs it."""
        if function is None:
            return self.listener
        self.listeners.add(function)
        return function

    def create_listener(
        self, function: Callable[..., Any] | None = None, *, concurrency: int = 1, grace: float = GRACE
    ) -> bool:
        """Add a listener, and start this process's worker when it does not run yet.

        The process goes on working when its main program has ended, until SIGTERM, SIGINT or `shutdown`.
        `concurrency` (jobs at a time) and `grace` (seconds that running jobs get at a signal) count when the worker
        starts.
        """
        if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
            raise InputError(f"concurrency must be a whole number from 1, not {concurrency!r}")
        seconds = check_seconds("grace", grace, zero=True) or 0.0
        if function is not None:
            self.listeners.add(function)
        with self._starting:
            if self._started_in == os.getpid() and not self._worker.stopping.is_set():
                self._worker.listeners_changed()
                return True
            self._start(concurrency, seconds)
        return True

    def _start(self, concurrency: int, grace: float) -> None:
        from mlq.worker import exit as way_out  # a program that only posts loads none of the worker
        from mlq.worker.worker import Worker

        self._worker = Worker(self._keys, self._shell.chosen, self.listeners, concurrency)
        self._started_in = os.getpid()
        way_out.keep(self._worker, grace)  # first, so that no signal finds a worker that nobody stops
        self._worker.start()

    def remove_listener(self, function: Callable[..., Any] | str) -> bool:
        """Remove a listener, by itself or by its name; whether it was there."""
        removed = self.listeners.remove(function)
        if removed and self._started_in == os.getpid():
            self._worker.listeners_changed()
        return removed

    def shutdown(self, grace: float = GRACE) -> None:
        """Stop this process's worker: no new jobs, up to `grace` seconds for running ones, the rest is handed back.

        `create_listener` starts a new one. Does nothing where none runs.
        """
        seconds = check_seconds("grace", grace, zero=True) or 0.0
        if self._started_in == os.getpid():
            self._worker.stop(seconds)
        if self._reaper is not None:
            self._reaper.stop()

    def create_reaper(self, call_how_often: float = 60, job_timeout: float = 300, max_retries: int = 5) -> None:
        """Limit how long an attempt may take: look every `call_how_often` seconds for one over `job_timeout` seconds.

        Such a job is requeued, `max_retries` times at most; then it is a dead letter. A second call
        replaces the first one's limits. Recovery from dead workers needs no reaper.
        """
        from mlq.reaper import Reaper
        from mlq.worker import exit as way_out

        interval, timeout = check_seconds("call_how_often", call_how_often), check_seconds("job_timeout", job_timeout)
        if (
            interval is None
            or timeout is None
            or isinstance(max_retries, bool)
            or not isinstance(max_retries, int)
            or max_retries < 0
        ):
            raise InputError("create_reaper takes two durations in seconds and a whole number of retries from 0")
        with self._starting:
            if self._reaper is not None:
                self._reaper.stop()
            self._reaper = Reaper(self._keys, self._shell, interval, timeout, max_retries)
            self._reaper.start()
            log.info("looking every %g s for jobs that run longer than %g s", interval, timeout)
            way_out.keep(self._reaper, 0.0)
