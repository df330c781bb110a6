"""The inbox through which the tasks of an asyncio client learn about jobs: one connection for all of them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain

from mlq.core.identity import JobId, same
from mlq.core.job import ANY_JOB, announced
from mlq.errors import ServerError
from mlq.shell.aio import AsyncShell
from mlq.shell.callers import Caller
from mlq.system.importing import refuse_to_wait


class Heard(asyncio.Event):
    """The event that something happened to a job, with how it ended if that is known."""

    def __init__(self, job_id: JobId) -> None:
        """Nothing has happened yet."""
        super().__init__()
        self._id = job_id
        self.fields: dict[str, bytes] | None = None

    def tell(self, job_id: JobId, fields: dict[str, bytes] | None = None) -> None:
        """Something happened to `job_id`, which may be another job with the same number."""
        self.fields = fields if same(job_id, self._id) else None
        self.set()

    def clear(self) -> None:
        """Reset the event, to wait again."""
        self.fields = None
        super().clear()


class HeardMany(asyncio.Event):
    """The event that something happened to some of many jobs, with their ids."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        super().__init__()
        self._told: set[str] = set()

    def tell(self, job_id: JobId, _fields: dict[str, bytes] | None = None) -> None:
        """Something happened to `job_id`."""
        self._told.add(str(job_id))
        self.set()

    def take(self) -> set[str]:
        """The ids of jobs to which something happened since the last call; ANY_JOB stands for all."""
        self.clear()
        told, self._told = self._told, set()
        return told


class AsyncInbox:
    """Where an asyncio client is notified that jobs ended. Reads only while somebody waits."""

    LISTEN = 5.0  # seconds per blocking wait

    def __init__(self, shell: AsyncShell, key_stem: str) -> None:
        """`key_stem`: the key prefix of inboxes."""
        self._main = shell
        self._shell = AsyncShell(shell.named, most=1)
        self.name = Caller().name
        self._stem = key_stem
        self._waiting: defaultdict[str, set[Heard | HeardMany]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def listen(self, job_id: JobId) -> Iterator[Heard]:
        """An event that is set when a message about `job_id` comes. Read `name` only afterwards: it may change."""
        heard = Heard(job_id)
        with self._listening([job_id], heard):
            yield heard

    @contextlib.contextmanager
    def listen_to_many(self, job_ids: Sequence[JobId]) -> Iterator[HeardMany]:
        """One event for many jobs, which collects their ids."""
        heard = HeardMany()
        with self._listening(job_ids, heard):
            yield heard

    @contextlib.contextmanager
    def _listening(self, job_ids: Sequence[JobId], heard: Heard | HeardMany) -> Iterator[None]:
        refuse_to_wait()
        for job_id in job_ids:
            self._waiting[job_id].add(heard)
        if self._reader is None or self._reader.done() or self._reader.get_loop() is not asyncio.get_running_loop():
            self.name = Caller().name  # messages left in the old inbox may be out of date
            self._reader = asyncio.create_task(self._read())
        try:
            yield
        finally:
            for job_id in job_ids:
                self._waiting[job_id].discard(heard)
                if not self._waiting[job_id]:
                    del self._waiting[job_id]

    async def _read(self) -> None:
        while self._waiting:
            try:
                self._shell.named = await self._main.target()
                item = await self._shell.pop([self._stem + self.name], self.LISTEN, lambda: self._tell(JobId(ANY_JOB)))
            except ServerError:
                await asyncio.sleep(1.0)  # meanwhile, waiters ask again by themselves
                continue
            if item is not None:
                job_id, fields = announced(item[1])
                self._tell(job_id, fields)

    def _tell(self, job_id: JobId, fields: dict[str, bytes] | None = None) -> None:
        for heard in chain(*self._waiting.values()) if job_id == ANY_JOB else self._waiting.get(job_id, ()):
            heard.tell(job_id, fields)

    async def close(self) -> None:
        """Stop reading."""
        if self._reader is not None and self._reader.get_loop() is asyncio.get_running_loop():
            while not self._reader.done():  # Python 3.11's wait_for may swallow a cancellation: cancel until it is done
                self._reader.cancel()
                await asyncio.wait([self._reader], timeout=0.1)
        await self._shell.close()
