"""Wakes listeners that wait for another job, when the worker's inbox says that the job has ended."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Inbox:
    """Waiting threads, by the id of the job that they wait for."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._events: defaultdict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()

    @contextmanager
    def listen(self, job_id: str) -> Iterator[threading.Event]:
        """An event that is set when `job_id` ends."""
        heard = threading.Event()
        with self._lock:
            self._events[job_id].add(heard)
        try:
            yield heard
        finally:
            with self._lock:
                self._events[job_id].discard(heard)
                if not self._events[job_id]:
                    del self._events[job_id]

    def hear(self, job_id: str) -> None:
        """Wake the threads that wait for `job_id`."""
        with self._lock:
            for heard in self._events.get(job_id, ()):
                heard.set()

    def awaited(self) -> bool:
        """Whether anybody waits."""
        return bool(self._events)
