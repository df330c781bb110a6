"""Posters that each use a queue of their own once, and take the job back: thousands of names that come and go."""

import contextlib
import itertools
import threading
from collections import deque

from benchmarks.chaos.mix import NAMESPACE
from mlq import MLQ, MLQError, State

PER_SECOND = 15.0
OPEN = 200  # jobs that wait at a time before the first is taken back


class Passersby:
    """Posts to queues, and for functions, that no worker serves. One thread."""

    def __init__(self, url: str) -> None:
        """Begins at once."""
        self._mlq = MLQ(NAMESPACE, url=url)
        self._stop = threading.Event()
        self.queues = 0  # names that were used
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take back what waits, and end."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            for job in self._mlq.jobs(State.QUEUED):  # those whose post failed, though it was carried out, too
                if job.lane.startswith(("passing-", "default:nobody_")):
                    self._mlq.delete(job.id)
            self._mlq.close()

    def _work(self) -> None:
        waiting: deque[str] = deque()
        for number in itertools.count():
            if self._stop.wait(1 / PER_SECOND):
                return
            named = {"queue": f"passing-{number}"} if number % 2 else {"functions": [f"nobody_{number}"]}
            try:
                job_id = self._mlq.post({"number": -1}, **named)
            except MLQError:  # it may be there or not
                continue
            self.queues += 1
            waiting.append(job_id)
            while len(waiting) > OPEN:
                with contextlib.suppress(MLQError):  # the server is in trouble: at the end
                    self._mlq.delete(waiting.popleft())
