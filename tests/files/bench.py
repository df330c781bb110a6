"""Jobs of chunks that are predicted at once, in this process, and that survive the run which posted them."""

import csv
import io
import random
from collections import Counter

from mlq.core.chunk import Predicted
from mlq.errors import JobFailed, KeyReused, UnknownJob
from mlq.files.chunk_jobs import Done


class Killed(BaseException):
    """Stands for the end of the process that predicts a file."""


class Bench:
    """Doubles the first column of CSV; rows with `odd` fail, those with `deadly` kill their worker.

    `kill_at`: the call of a run after which its process is gone; `lose`: of 100 jobs that are taken, so many are gone.
    """

    def __init__(self, seed=0, slots=2, lose=0):
        self.random = random.Random(seed)
        self.jobs, self.keys, self.posted = {}, {}, {}
        self.posts, self.calls, self.kill_at, self.lose = Counter(), 0, None, lose
        self.count = slots

    def __call__(self, function):
        return self

    def _pass(self):
        self.calls += 1
        if self.calls == self.kill_at:
            raise Killed

    def post(self, chunk, key):
        self._pass()
        if key in self.keys and self.posted[key] != chunk:
            raise KeyReused(key)
        if key not in self.keys:
            self.posted[key] = chunk
            self.keys[key] = str(len(self.keys))
            self.jobs[self.keys[key]] = chunk
            self.posts.update(range(chunk.line, chunk.line + max(1, chunk.data.count(b"\n"))))
        self._pass()
        return self.keys[key]

    def first_ended(self, references, seconds):
        self._pass()
        return self.random.choice(list(references))

    def take(self, reference):
        self._pass()
        if reference not in self.jobs or self.random.randrange(100) < self.lose:
            self.jobs.pop(reference, None)
            raise UnknownJob("it is gone")
        chunk = self.jobs[reference]
        if b"deadly" in chunk.data:
            raise JobFailed("job 1 failed: JobLost: its worker died", "JobLost", reason="lost")
        return Done(self._predicted(chunk), 0.001 * self.random.randrange(1000))

    def _predicted(self, chunk):
        good, bad = io.StringIO(), io.StringIO()
        reader, line = csv.reader(io.StringIO(chunk.data.decode(), newline="")), chunk.line
        count = failed = 0
        for cells in reader:
            at, line = line, chunk.line + reader.line_num
            if not cells:
                continue
            count += 1
            if cells[0] == "odd":
                failed += 1
                csv.writer(bad, lineterminator="\n").writerow((at, "odd"))
            else:
                csv.writer(good, lineterminator="\n").writerow([cells[0] * 2])
        outputs = ("prediction",) if count > failed else ()
        return Predicted(good.getvalue().encode(), bad.getvalue().encode(), count, failed, outputs)

    def remove(self, reference):
        self._pass()
        self.jobs.pop(reference, None)

    def slots(self):
        return self.count

    def waiting(self):
        return 0

    def lacking(self):
        return None
