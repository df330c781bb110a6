"""The inbox through which a client's threads learn about the jobs that they follow: one connection for all of them."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from mlq.core.job import ANY_JOB, announced
from mlq.errors import ServerError
from mlq.shell.callers import Caller
from mlq.shell.sync import Shell
from mlq.system.importing import refuse_to_wait

LISTEN = 5.0  # seconds per blocking wait
AGAIN = 1.0  # seconds before the next try if the server is away; meanwhile, followers ask again by themselves


class Heard(threading.Event):
    """The event that something happened to one of the jobs that somebody listens to."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        super().__init__()
        self._told: set[str] = set()
        self._swap = threading.Lock()  # else an id could be added to a set that `take` has already returned

    def tell(self, job_id: str) -> None:
        """Something happened to that job."""
        with self._swap:
            self._told.add(job_id)
        self.set()

    def take(self) -> set[str]:
        """The ids of jobs to which something happened since the last call; ANY_JOB stands for all."""
        self.clear()  # first: what is told from now on sets it again
        with self._swap:
            told, self._told = self._told, set()
        return told


class Inbox:
    """Reads on its own thread while somebody follows a job. Usable from any thread, and in a forked process."""

    def __init__(self, shell: Shell, key_stem: str) -> None:
        """`key_stem`: the key prefix of inboxes."""
        self._shell = shell
        self._stem = key_stem
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._followed: defaultdict[str, set[Heard]] = defaultdict(set)
        self._reads = False
        self.name = Caller().name

    @contextmanager
    def listen(self, *job_ids: str) -> Iterator[Heard]:
        """An event that is set when a message about one of the jobs comes. Read `name` afterwards: it may change."""
        refuse_to_wait()
        if self._pid != os.getpid():
            self._begin()
        heard = Heard()
        try:
            with self._lock:
                self._add(job_ids, heard)
                if not self._reads:
                    self.name = Caller().name  # messages left in the old inbox may be out of date
                    threading.Thread(target=self._read, name="mlq-inbox", daemon=True).start()
                    self._reads = True
            yield heard
        finally:
            with self._lock:
                self._remove(job_ids, heard)

    def _add(self, job_ids: Sequence[str], heard: Heard) -> None:
        for job_id in job_ids:
            self._followed[job_id].add(heard)

    def _remove(self, job_ids: Sequence[str], heard: Heard) -> None:
        for job_id in job_ids:
            self._followed[job_id].discard(heard)
            if not self._followed[job_id]:
                del self._followed[job_id]

    def _read(self) -> None:
        while True:
            with self._lock:
                if not self._followed:
                    self._reads = False
                    return
            try:
                item = self._shell.pop([self._stem + self.name], LISTEN, lambda: self._tell(ANY_JOB))
            except ServerError:
                time.sleep(AGAIN)
                continue
            if item is not None:
                self._tell(announced(item[1])[0])

    def _tell(self, job_id: str) -> None:
        with self._lock:
            for heard in chain(*self._followed.values()) if job_id == ANY_JOB else self._followed.get(job_id, ()):
                heard.tell(job_id)
