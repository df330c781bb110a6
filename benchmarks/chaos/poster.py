"""The posters: threads that post the mix at its rate, and remember which posts were acknowledged."""

import threading
import time

from benchmarks.chaos.mix import NAMESPACE, Job, Mix
from benchmarks.chaos.receiver import Receiver
from mlq import MLQ, MLQError

BURST = 12  # jobs of batches that are posted at once: one after the other, idle workers would take each alone


class Poster:
    """Posts numbers first, first + step, ... each at its time; late ones at once. One thread."""

    def __init__(
        self, url: str, mix: Mix, receiver: Receiver, first: int, step: int, jobs_per_second: float, patience: float
    ) -> None:
        """Begins at once. `patience`: seconds that a post waits for a server that went away."""
        self._mlq = MLQ(NAMESPACE, url=url)
        self._mlq._shell.patience = patience
        self._mix, self._receiver = mix, receiver
        self._numbers = (first, step)
        self._rate = jobs_per_second
        self._burst: list[Job] = []
        self._stop = threading.Event()
        self.acknowledged: dict[int, tuple[str, float]] = {}  # number: id, and when by the monotonic clock
        self.unknown: set[int] = set()
        self.broken: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Post no more; returns when the post under way is decided."""
        self._stop.set()
        self._thread.join()
        self._mlq.close()
        if self.broken:
            raise self.broken

    def _work(self) -> None:
        number, step = self._numbers
        began = time.monotonic()
        try:
            while not self._stop.wait(max(0.0, began + number / self._rate - time.monotonic())):
                self._post(number)
                number += step
        except BaseException as error:  # noqa: BLE001 - told by stop()
            self.broken = error

    def _post(self, number: int) -> None:
        job = self._mix.job(number)
        if job.is_in_batches:
            self._burst.append(job)
            if len(self._burst) == BURST:
                self._post_burst()
            return
        callback = self._receiver.url(number) if job.calls_back else None
        try:
            job_id = self._mlq.post(job.message, callback=callback, **job.options)
            self.acknowledged[number] = (job_id, time.monotonic())
        except MLQError:  # it may have been carried out, or not
            self.unknown.add(number)

    def _post_burst(self) -> None:
        """They have a callback if the first one has."""
        jobs, self._burst = self._burst, []
        callback = self._receiver.url(jobs[0].number) if jobs[0].calls_back else None
        try:
            ids = self._mlq.post_many([job.message for job in jobs], callback=callback, **jobs[0].options)
            now = time.monotonic()
            self.acknowledged |= {job.number: (job_id, now) for job, job_id in zip(jobs, ids, strict=True)}
        except MLQError:  # some may have been carried out
            self.unknown.update(job.number for job in jobs)
