"""The chaos suite's reckoning of pipelines: it accepts what may become of them, and reports what must not."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.chaos.effects import Run
from benchmarks.chaos.evidence import Evidence, Piece
from benchmarks.chaos.mix import Mix
from benchmarks.chaos.pipelines import plans
from benchmarks.chaos.pipelines.plans import GATHER, JOIN, STEP, WRAP, Root, Spec
from benchmarks.chaos.pipelines.poster import Fate
from benchmarks.chaos.trouble import Troubles
from benchmarks.chaos.verify import problems

MIX = Mix(1, 60.0, retries=True, timeouts=True, batches=True)
WORKER = 10


class Story:
    """Evidence of pipelines that ran one after the other, to which nothing was done."""

    def __init__(self, *roots: Root) -> None:
        self.evidence = Evidence(MIX, 1.0, Troubles())
        ids: list[str] = []
        for root in roots:
            ids.append(self._lay_root(root, [ids[i] for i in root.needs]))

    @property
    def fate(self) -> Fate:
        """Of the last root."""
        return list(self.evidence.fates.values())[-1]

    @property
    def root(self) -> str:
        """The id of the last root."""
        return str(self.fate.job_id)

    def one(self, listener: str) -> str:
        """The id of the last job that this listener ran."""
        return [job_id for job_id, piece in self.evidence.pieces.items() if piece.listener == listener][-1]

    def change(self, job_id: str, **fields: Any) -> None:
        """What the server tells of a job."""
        self.evidence.pieces[job_id] = self.evidence.pieces[job_id]._replace(**fields)
        failed = (at for at, piece in self.evidence.pieces.items() if piece.state == "failed")
        self.evidence.dead = set(failed)

    def run(self, job_id: str, attempt: int, *, answered: bool = True, at: float | None = None) -> None:
        """One run of a job, by default after all others."""
        begin = float(sum(map(len, self.evidence.runs.values()))) if at is None else at
        mine = self.evidence.runs.setdefault(job_id, [])
        mine.append(Run(job_id, attempt, WORKER, WORKER, begin, begin + 0.5, 1, answered))

    def _lay_root(self, root: Root, needed: list[str]) -> str:
        job_id = self._lay(GATHER if needed else STEP, root.spec, "", key=root.key)
        for _ in range(root.wraps):
            self._add(WRAP, job_id, "")
        values = [self.evidence.pieces[one].result for one in needed]
        own = plans.result(root.spec)
        result = [own, *values] if needed else plans.wrapped(own, root.wraps)
        self.change(job_id, result=result, after=needed)
        self.evidence.fates[root.key] = Fate(root, job_id)
        return job_id

    def _lay(self, listener: str, spec: Spec, root: str, into: str = "", key: str | None = None) -> str:
        job_id = self._add(listener, root, into, key=key, path=spec["path"], fails=spec["fails"])
        if "next" in spec:
            self._lay(STEP, spec["next"], root or job_id)
        if "parts" in spec:
            join = f"{job_id}-join"
            for part in spec["parts"]:
                self._lay(STEP, part, root or job_id, into=join)
            self._add(JOIN, root or job_id, "", name=join)
        return job_id

    def _add(
        self, listener: str, root: str, into: str, key: str | None = None, path: str | None = None, name: str = "",
        fails: int = 0,
    ) -> str:  # fmt: skip
        job_id = name or str(len(self.evidence.pieces) + 1)
        self.evidence.pieces[job_id] = Piece(
            key, root or job_id, path, listener, into, [], "succeeded", None, None, None, fails, 0, 1.0, callback=False
        )
        for attempt in range(1, fails + 1):
            self.run(job_id, attempt, answered=False)
        self.run(job_id, fails + 1)
        return job_id


def roots_of(kind: str) -> Iterator[list[Root]]:
    """Plans of a kind, without callbacks."""
    for number in range(1000):
        found = plans.plan(1, number)
        if found.kind == kind:
            yield [root._replace(calls_back=False) for root in found.roots]


def leaf(path: str, raises: str = "") -> Spec:
    """A step."""
    return {"path": path, "seconds": 0.0, "fails": 0, "raises": raises}


SPLIT = leaf("r") | {"parts": [leaf("r.0"), leaf("r.1")], "at_once": None, "on_failure": "fail"}
BROKEN = SPLIT | {"parts": [leaf("r.0"), leaf("r.1", "always")]}


@pytest.mark.parametrize("kind", ["chain", "forwards", "split", "two levels", "after"])
def test_pipelines_that_succeed(kind: str) -> None:
    """Ten of each kind."""
    for roots, _ in zip(roots_of(kind), range(10), strict=False):
        assert problems(Story(*roots).evidence) == []


def broken() -> Story:
    """A split of which the second part failed."""
    story = Story(Root("7", BROKEN))
    join, bad = story.one(JOIN), story.one(STEP)
    story.evidence.runs[join] = []
    story.change(bad, state="failed", reason="error", error="r.1")
    for job_id in (join, story.root):
        story.change(job_id, state="failed", reason="step", error="r.1", result="r.1")
    return story


def cancelled() -> Story:
    """A split that was cancelled when its first part had succeeded."""
    story = Story(Root("7", SPLIT, cancels="root"))
    join, last = story.one(JOIN), story.one(STEP)
    story.fate.cancelled = "root"
    story.evidence.runs[join] = []
    for job_id in (join, last, story.root):
        story.change(job_id, state="cancelled", reason="step", result=None, finished=2.0)
    return story


def test_one_that_fails_because_of_a_part() -> None:
    """With the error of that part."""
    assert problems(broken().evidence) == []


def test_one_that_is_cancelled_midway() -> None:
    """What had succeeded before stays."""
    assert problems(cancelled().evidence) == []


def _count_not_lowered(story: Story) -> None:
    for job_id in (story.one(JOIN), story.root):
        story.change(job_id, state="blocked", result=None)
    story.evidence.runs[story.one(JOIN)] = []


def _second_join(story: Story) -> None:
    story.evidence.pieces["99"] = story.evidence.pieces[story.one(JOIN)]
    story.run("99", 1)


def _second_part(story: Story) -> None:
    story.evidence.pieces["99"] = story.evidence.pieces[story.one(STEP)]
    story.run("99", 1)


def _early_join(story: Story) -> None:
    story.evidence.runs[story.one(JOIN)] = []
    story.run(story.one(JOIN), 1, at=0.7)


def _rerun_after_requeue(story: Story) -> None:
    done = story.one(STEP)
    story.fate.requeued, story.fate.done_before = True, {done: 1}
    story.change(done, retries=1)
    story.run(done, 2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(_count_not_lowered, "is blocked", id="a count of needs that is not lowered"),
        pytest.param(lambda story: story.run(story.one(JOIN), 1), "ran twice as one attempt", id="a join run twice"),
        pytest.param(_second_join, "instead of", id="two joins"),
        pytest.param(_second_part, "the step at r.1 was posted 2 times", id="two parts for one item"),
        pytest.param(_early_join, "which it needs", id="a join before its parts"),
        pytest.param(
            lambda story: story.change(story.root, result=["r.0"]), "should be one of", id="a missing part"
        ),
        pytest.param(
            lambda story: story.change(story.root, result=["r.1", "r.0"]), "should be one of", id="order"
        ),
        pytest.param(_rerun_after_requeue, "ran again when", id="what was done is done again"),
        pytest.param(
            lambda story: story.evidence.pieces.pop(story.root), "which is not there", id="a lost root"
        ),
    ],
)  # fmt: skip
def test_faults_of_a_split_are_reported(spoil: Callable[[Story], None], words: str) -> None:
    """Each with its own words."""
    story = Story(Root("7", SPLIT))
    spoil(story)
    assert any(words in problem for problem in problems(story.evidence)), problems(story.evidence)


def test_a_step_that_succeeds_after_its_root_was_cancelled_is_reported() -> None:
    """By the server's clock."""
    story = cancelled()
    story.change(story.one(STEP), state="succeeded", finished=2.5)
    assert any("succeeded after its root" in problem for problem in problems(story.evidence))


def test_a_cancelled_pipeline_that_succeeds_is_reported() -> None:
    """Its cancellation was acknowledged."""
    story = Story(Root("7", SPLIT, cancels="root"))
    story.fate.cancelled = "root"
    assert any("should be one of [('cancelled', None)]" in problem for problem in problems(story.evidence))


def test_a_split_that_succeeds_in_spite_of_a_bad_part_is_reported() -> None:
    """It was to fail with the first of them."""
    story = broken()
    story.change(story.root, state="succeeded", result=["r.0", None])
    assert any("should be one of [('failed', None)]" in problem for problem in problems(story.evidence))


def test_a_part_that_still_waits_when_its_split_has_failed_is_reported() -> None:
    """Those that `at_once` held back are cancelled, too."""
    story = broken()
    held = next(at for at, piece in story.evidence.pieces.items() if piece.path == "r.0")
    story.change(held, state="queued", result=None)
    assert any(f"step {held} (take_step r.0) is queued" in problem for problem in problems(story.evidence))


@pytest.mark.parametrize("runs_anyway", [True, False])
def test_a_job_after_a_bad_one(*, runs_anyway: bool) -> None:
    """Runs only if it takes failures."""
    story = Story(Root("7.0", leaf("r")), Root("7.1", leaf("r"), needs=(0,), on_failure="run" if runs_anyway else None))
    story.evidence.fates["7.0"].root.spec["raises"] = "always"
    bad, last = story.evidence.fates["7.0"].job_id or "", story.root
    story.change(bad, state="failed", reason="step", error="r", result="r")
    story.change(last, result=["r", plans.MISSING])
    assert bool(problems(story.evidence)) != runs_anyway
