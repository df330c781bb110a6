"""Gets the large records that claims leave out, a few at a time, while leases are renewed and other jobs run."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from mlq.errors import ServerError
from mlq.ops import work as work_ops
from mlq.running.spare_threads import Threads
from mlq.shell.trouble import pause
from mlq.system.service import TroubleLog
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.shared import Shared

log = logging.getLogger("mlq.worker")

AT_A_TIME = 4  # records: each has 64 KiB to 64 MiB, and a batch may have a thousand of them

Fetched = Callable[[Attempt, Exception | None], None]


class Fetches:
    """The fetches of one worker."""

    def __init__(self, shared: Shared) -> None:
        """Threads start when they are needed."""
        self._shared = shared
        self._threads = Threads("mlq-fetch")
        self._waiting: deque[tuple[Attempt, Fetched]] = deque()
        self._running = 0
        self._lock = threading.Lock()

    def begin(self, attempt: Attempt, fetched: Fetched) -> None:
        """Get an attempt's record; `fetched` is called on another thread, with what prevented it."""
        with self._lock:
            self._waiting.append((attempt, fetched))
            if self._running == AT_A_TIME:
                return
            self._running += 1
        self._threads.submit(self._fetch_all)

    def stop(self) -> None:
        """Let the threads end."""
        self._threads.stop()

    def _fetch_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                attempt, fetched = self._waiting.popleft()
            self._fetch(attempt, fetched)
            del attempt  # frees its message while this thread waits

    def _fetch(self, attempt: Attempt, fetched: Fetched) -> None:
        try:
            record = self._record_of(attempt)
        except Exception as error:  # such as a lack of memory; without an end the attempt would be held forever
            log.exception("can't get the message of job %s", attempt.claimed.id)
            fetched(attempt, error)
            return
        attempt.fetched(record)
        self._shared.note_size(attempt.size)
        if self._shared.has_large_buffers:  # as in `Shared.hold`
            self._shared.shell.close()
        fetched(attempt, None)

    def _record_of(self, attempt: Attempt) -> bytes:
        """The attempt's record; empty if it is gone, or the attempt is over."""
        failures, trouble = 0, TroubleLog(f"can't get the message of job {attempt.claimed.id}")
        while attempt.stage is Stage.CLAIMED:
            try:
                record = self._shared.shell.run(work_ops.record(self._shared.keys, attempt.claimed.id))
            except ServerError as error:
                if "WRONGTYPE" in str(error):  # somebody else wrote there
                    break
                failures += 1
                trouble.log(error)
                time.sleep(pause(failures))
            else:
                trouble.over()
                return record or b""
        return b""
