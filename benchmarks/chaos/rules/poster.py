"""Posts jobs under rules at a steady rate, and pauses and resumes a queue meanwhile."""

import itertools
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.chaos.mix import NAMESPACE
from benchmarks.chaos.rules import plans
from benchmarks.chaos.rules.plans import Post, plan
from benchmarks.chaos.rules.told import Told, set_limits
from mlq import MLQ, MLQError
from mlq.errors import QueueFull

SHARE = 1 / 4  # plans among the other jobs
PATIENCE = 0.3  # seconds that a post waits for a server that went away
AGAIN = 0.3  # seconds until something is tried once more
PAUSE_EACH, PAUSED_FOR = 3.0, 1.2  # seconds


class Rules:
    """The poster. One thread, which goes on after `stop` until the queue is resumed and the schedules are paused."""

    def __init__(self, url: str, seed: int, jobs_per_second: float) -> None:
        """Sets the limits, and begins at once."""
        self._mlq = MLQ(NAMESPACE, url=url)
        self._mlq._shell.patience = PATIENCE
        self._seed, self._rate = seed, SHARE * jobs_per_second
        self._stop, self._give_up = threading.Event(), threading.Event()
        self._may_be_paused = False
        self._paused_from: float | None = None  # it is, and has been since then
        self.told = Told()
        self.broken: BaseException | None = None
        set_limits(self._mlq)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Post no more."""
        self._stop.set()

    def to_do(self) -> dict[str, int]:
        """What is still to be done after `stop`."""
        return {"a queue to resume, and schedules to pause": 1} if self._thread.is_alive() else {}

    def end(self) -> None:
        """Whatever is still to be done. Raises what went wrong here."""
        self._stop.set()
        self._give_up.set()
        self._thread.join()
        self._mlq.close()
        if self.broken:
            raise self.broken

    def _work(self) -> None:
        try:
            self._until_done(self._add_beats)
            began = time.monotonic()
            for number in itertools.count():
                if self._stop.wait(max(0.0, began + number / self._rate - time.monotonic())):
                    break
                for post in plan(self._seed, number):
                    self._post(post)
                self._pause_or_resume()
            stopped = time.time()
            self._until_done(self._resume)
            for name in plans.EVERY:
                self._until_done(partial(self._end_schedule, name, stopped))
        except BaseException as error:  # noqa: BLE001 - told by end()
            self.broken = error

    def _until_done(self, deed: Callable[[], bool]) -> None:
        """Try until it says that it is done, unless it is time to give up."""
        while not self._give_up.is_set():
            try:
                if deed():
                    return
            except MLQError:  # the server is in trouble
                pass
            self._give_up.wait(AGAIN)

    def _post(self, post: Post) -> None:
        self.told.sent[post.number] = post
        try:
            job = self._mlq.submit(post.message, **post.options)
            self.told.acknowledged[post.number] = (job.id, job.new)
        except QueueFull:
            self.told.full.add(post.number)
        except MLQError:  # it may be there or not
            pass

    def _add_beats(self) -> bool:
        message = plans.message(plans.BEATS, -1, plans.SECONDS[plans.BEATS])
        to: dict[str, Any] = {"functions": [plans.BEATS], "queue": plans.QUEUE}
        self._mlq.schedules.add(plans.BEATS, every=plans.EVERY[plans.BEATS], msg=message, **to, **plans.BEATS_RULES)
        return True

    def _pause_or_resume(self) -> None:
        """What is due of these. A try that fails may have been carried out, and is made again."""
        phase = time.monotonic() % PAUSE_EACH
        try:
            if phase < PAUSED_FOR and self._paused_from is None:
                self._may_be_paused = True
                self._mlq.pause(queue=plans.PAUSED_QUEUE)
                self._paused_from = time.time()
            elif phase >= PAUSED_FOR and self._may_be_paused:
                self._resume()
        except MLQError:
            pass

    def _resume(self) -> bool:
        """From the first try on, jobs may begin."""
        if self._paused_from is not None:
            self.told.pauses.append((self._paused_from, time.time()))
            self._paused_from = None
        self._mlq.resume(queue=plans.PAUSED_QUEUE)
        self._may_be_paused = False
        return True

    def _end_schedule(self, name: str, stopped: float) -> bool:
        """Pause it once it has fired in peace."""
        state = self._mlq.schedules.get(name)
        if state.paused is None and (state.last or 0.0) <= stopped:
            return False
        self._mlq.schedules.pause(name)
        self.told.schedules[name] = self._mlq.schedules.get(name)
        return True
