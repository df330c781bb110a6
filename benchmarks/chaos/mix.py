"""The jobs of a run, as pure functions of seed and number: what each does, and how it has to end."""

import random
from enum import StrEnum
from typing import Any, NamedTuple

NAMESPACE = "chaos"
CRASHES = 0.12  # a second: jobs that kill their process once. Each takes its neighbours on a worker of threads along
CRASHES_ALWAYS = 0.08  # a second
BATCH_CRASHES = 0.1  # a second, of each of these two kinds among the jobs of batches
CALLBACKS = 0.1  # share of the jobs that have one
RETRIES = 3  # of the jobs that raise at first; they raise twice at most
BATCH = 8  # jobs of a call
TOGETHER = "work_together"  # the listener that takes batches
TIMEOUT = 1.0  # seconds; jobs that overrun it take 3


class End(StrEnum):
    """How a job has to end."""

    SUCCEEDED = "succeeded"
    RAISED = "raised"
    LOST = "lost"
    TIMED_OUT = "timed out"


class Kind(NamedTuple):
    """Jobs alike."""

    share: float
    shortest: float  # seconds
    longest: float
    end: End = End.SUCCEEDED
    again: bool = False  # it has itself to thank for running again


KINDS = {
    "instant": Kind(0.45, 0.0, 0.0),
    "short": Kind(0.22, 0.001, 0.3),
    "medium": Kind(0.05, 0.3, 2.0),
    "long": Kind(0.008, 2.0, 6.0),
    "longer than a lease": Kind(0.006, 6.5, 8.0),
    "busy": Kind(0.02, 0.01, 0.15),
    "has a helper": Kind(0.03, 0.5, 3.0),
    "raises": Kind(0.04, 0.0, 0.1, End.RAISED),
    "crashes once": Kind(0.0, 0.0, 0.1, again=True),
    "crashes always": Kind(0.0, 0.0, 0.1, End.LOST, again=True),
}
WITH_RETRIES = {
    "raises at first": Kind(0.03, 0.0, 0.1, again=True),
    "raises always": Kind(0.01, 0.0, 0.1, End.RAISED, again=True),
}
WITH_TIMEOUT = {"overruns": Kind(0.002, 3.0, 3.0, End.TIMED_OUT)}
IN_BATCHES = {  # all of them may be retried once, so that they can be posted, and run, together
    "together": Kind(0.14, 0.0, 0.3),
    "together, raises": Kind(0.005, 0.0, 0.1, End.RAISED, again=True),
    "together, raises at first": Kind(0.004, 0.0, 0.1, again=True),
    "together, returns an error": Kind(0.005, 0.0, 0.1, End.RAISED, again=True),
    "together, loses an answer": Kind(0.003, 0.0, 0.1),
    "together, crashes once": Kind(0.0, 0.0, 0.1, again=True),
    "together, crashes always": Kind(0.0, 0.0, 0.1, End.LOST, again=True),
}
EVERY_KIND = KINDS | WITH_RETRIES | WITH_TIMEOUT | IN_BATCHES


class Job(NamedTuple):
    """One job to post."""

    number: int
    kind: str
    seconds: float
    fails: int  # attempts that raise, for those that raise at first
    how: str  # of a crash
    calls_back: bool

    @property
    def message(self) -> dict[str, Any]:
        """What is posted."""
        return {
            "number": self.number, "kind": self.kind, "seconds": self.seconds, "fails": self.fails, "how": self.how,
        }  # fmt: skip

    @property
    def options(self) -> dict[str, Any]:
        """Further arguments of the post; the same for all jobs of batches."""
        if self.is_in_batches:
            return {"functions": [TOGETHER], "retries": 1}
        if self.kind in WITH_RETRIES:
            return {"retries": RETRIES if self.kind == "raises at first" else 1}
        return {"timeout": TIMEOUT, "retries": 0} if self.kind in WITH_TIMEOUT else {}

    @property
    def asks_for_more(self) -> bool:
        """Whether it has itself to thank for running again."""
        return EVERY_KIND[self.kind].again

    @property
    def is_in_batches(self) -> bool:
        """Whether it is for the listener that takes batches."""
        return self.kind in IN_BATCHES

    def crashes(self, attempt: int) -> bool:
        """Whether that attempt ends its process."""
        return crashes(self.kind, attempt)

    @property
    def end(self) -> End:
        """How it has to end."""
        return EVERY_KIND[self.kind].end


def value(number: int, attempt: int) -> list[int]:
    """The result of a job that succeeds; it tells which attempt's outcome was recorded."""
    return [number, attempt]


def crashes(kind: str, attempt: int) -> bool:
    """Whether that attempt of a job of this kind ends its process."""
    return kind.endswith("crashes always") or (kind.endswith("crashes once") and attempt == 1)


class Mix:
    """Job `number` of a seed, whenever and by whomever it is asked for."""

    def __init__(self, seed: int, jobs_per_second: float, *, retries: bool, timeouts: bool, batches: bool) -> None:
        """`retries`, `timeouts`, `batches`: whether this MLQ has them."""
        self._seed = seed
        kinds = KINDS | (WITH_RETRIES if retries else {}) | (WITH_TIMEOUT if timeouts else {})
        kinds |= IN_BATCHES if batches else {}
        shares = {name: kind.share for name, kind in kinds.items()}
        shares["crashes once"] = CRASHES / jobs_per_second
        shares["crashes always"] = CRASHES_ALWAYS / jobs_per_second
        for name in kinds.keys() & {"together, crashes once", "together, crashes always"}:
            shares[name] = BATCH_CRASHES / jobs_per_second
        self._names, self._shares = list(shares), list(shares.values())

    def job(self, number: int) -> Job:
        """The job of that number."""
        chance = random.Random(f"{self._seed}:{number}")
        name = chance.choices(self._names, self._shares)[0]
        kind = EVERY_KIND[name]
        seconds = round(chance.uniform(kind.shortest, kind.longest), 4)
        how = chance.choice(("exit", "segfault"))
        return Job(number, name, seconds, chance.choice((1, 2)), how, chance.random() < CALLBACKS)
