"""The chaos suite, for a short while: whatever is done to workers, server and network, each job has its one outcome."""

import pytest

from benchmarks.chaos import features, harness, report, verify
from benchmarks.chaos.adversary import DECK, schedule
from benchmarks.chaos.mix import EVERY_KIND, Mix
from benchmarks.chaos.pipelines.plans import KINDS, plan
from benchmarks.chaos.pipelines.poster import SHARE
from benchmarks.chaos.pipelines.verify import wholes
from benchmarks.chaos.rules import plans as rules

pytestmark = pytest.mark.slow

SECONDS = 38.0  # of chaos; the deck is dealt out once
JOBS_PER_SECOND = 60.0
PLANS = int(SECONDS * JOBS_PER_SECOND * SHARE)
SEEDS = [2]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
def test_chaos_leaves_nothing_wrong(seed: int) -> None:
    """`python -m benchmarks.chaos --minutes 0.63 --seed <seed>` does the same by hand."""
    evidence = harness.run(seed, SECONDS, JOBS_PER_SECOND)
    told = report.lines(evidence, seed)
    print(told)
    assert verify.problems(evidence) == [], told
    assert len(evidence.jobs) > SECONDS * JOBS_PER_SECOND / 2, told
    assert len(wholes(evidence)) > PLANS / 2, told
    assert {turn.kind for turn in evidence.turns.values()} == {*rules.KINDS, *rules.EVERY}, told
    assert all((evidence.told.full, evidence.told.pauses, len(evidence.told.schedules) == len(rules.EVERY))), told


def test_a_seed_gives_the_same_jobs_and_the_same_adversary() -> None:
    """Another seed gives others."""
    first, again, other = (Mix(seed, 60.0, retries=True, timeouts=True, batches=True) for seed in (1, 1, 2))
    assert [first.job(i) for i in range(500)] == [again.job(i) for i in range(500)]
    assert [first.job(i) for i in range(500)] != [other.job(i) for i in range(500)]
    assert [plan(1, i) for i in range(50)] == [plan(1, i) for i in range(50)] != [plan(2, i) for i in range(50)]
    assert schedule(1, 100.0) == schedule(1, 100.0) != schedule(2, 100.0)


def test_the_suite_sees_all_that_this_mlq_can_do() -> None:
    """What it does not see, it leaves out of the mix without a word."""
    assert features.POOLS == features.ALL_POOLS
    assert all((features.RETRIES, features.TIMEOUTS, features.BACKOFF, features.BATCHES))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_run_has_some_of_everything(seed: int) -> None:
    """Of all that the adversary can do, and of all kinds of jobs and pipelines."""
    mix = Mix(seed, JOBS_PER_SECOND, retries=True, timeouts=True, batches=True)
    assert {step.action for step in schedule(seed, SECONDS)} == set(DECK)
    assert {mix.job(number).kind for number in range(int(SECONDS * JOBS_PER_SECOND))} == set(EVERY_KIND)
    assert {plan(seed, number).kind for number in range(PLANS)} == set(KINDS)
