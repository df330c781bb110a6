"""Does by hand what a worker does, step by step."""

import time

from mlq.core import codec
from mlq.core.job_options import PLAIN
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass
from mlq.running.outcomes import failure


class Hand:
    """Does by hand what a worker does, step by step."""

    def __init__(self, shell, keys):
        self._shell, self._keys, self._calls = shell, keys, 0

    def claim(self):
        served = WorkerClass.of(["default"], [], [])
        while not self._shell.run(work_ops.register(self._keys, served, 60)):
            pass
        self._calls += 1
        return self._shell.run(work_ops.claim(self._keys, "hand", self._calls, served.name, 60, 1))[0]

    def say(self, one, number, value, kind="chunk"):
        data = value.encode() if kind == "log" else codec.pack(value)
        assert self._shell.run(work_ops.report(self._keys, one, b"", [(number, kind, data)]))

    def progress(self, one, value):
        assert self._shell.run(work_ops.report(self._keys, one, codec.pack(value), []))

    def end(self, one, outcome, **verdict):
        assert self._shell.run(settle_ops.settle(self._keys, [Ending(one, outcome, PLAIN, **verdict)], 2)) == [True]

    def retry(self, one):
        """It fails and is due again at once; the next attempt."""
        self.end(one, failure(ValueError("not yet"), again=True), retry_in=0.0)
        give_up = time.monotonic() + 10
        while not self._shell.run(job_ops.counts(self._keys)).waiting and time.monotonic() < give_up:
            self._shell.run(work_ops.reap(self._keys, 3, 2, 2))
        return self.claim()
