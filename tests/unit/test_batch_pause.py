"""The pause after a batch: learned from clients that come back, and never made where jobs come by chance."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.worker.batch_pause import BatchPause

FIXED, EACH = 0.010, 0.0005  # seconds of a batch, and of each job in it


def closed(pause, clients, turnaround, batches, size=32):
    """Serves so many clients, each of which posts again after its result; the sizes of the batches, and the pauses."""
    waiting, coming, now, sizes, pauses = [0.0] * clients, [], 0.0, [], []
    while len(sizes) < batches:
        waiting += sorted(at for at in coming if at <= now)
        coming = [at for at in coming if at > now]
        if not waiting:
            now = min(coming)
            continue
        taken, waiting = waiting[:size], waiting[size:]
        took = FIXED + EACH * len(taken)
        pause.begins(taken)
        now += took
        pauses.append(pause.ended(now, len(taken), took))
        coming += [now + turnaround() for _ in taken]
        now += pauses[-1]
        sizes.append(len(taken))
    return sizes, pauses


def opened(pause, rate, batches, chance):
    """Serves jobs that come at any time; the pauses."""
    now, pauses, next_at, waiting = 0.0, [], 0.0, []
    while len(pauses) < batches:
        while next_at <= now:
            waiting.append(next_at)
            next_at += chance.expovariate(rate)
        if not waiting:
            now = next_at
            continue
        taken, waiting = waiting[:32], waiting[32:]
        took = FIXED + EACH * len(taken)
        pause.begins(taken)
        now += took
        pauses.append(pause.ended(now, len(taken), took))
        now += pauses[-1]
    return pauses


@pytest.mark.parametrize("clients", [2, 4, 8, 16, 31])
def test_clients_that_come_back_are_served_together(clients):
    chance = random.Random(clients)
    pause = BatchPause(0.005, 32)
    sizes, _ = closed(pause, clients, lambda: chance.uniform(0.0005, 0.003), 200)
    assert sum(size == clients for size in sizes[-100:]) > 80, sizes


@pytest.mark.parametrize("rate", [5, 90, 200, 500, 1000])
def test_there_is_no_pause_where_jobs_come_by_chance(rate):
    pauses = opened(BatchPause(0.005, 32), rate, 1000, random.Random(rate))
    assert sum(seconds > 0 for seconds in pauses) < 30


def test_clients_that_take_longer_than_a_pause_may_last_are_not_waited_for():
    _, pauses = closed(BatchPause(0.005, 32), 8, lambda: 0.008, 200)
    assert not any(pauses)


def test_a_single_client_is_not_waited_for():
    sizes, pauses = closed(BatchPause(0.005, 32), 1, lambda: 0.001, 200)
    assert set(sizes) == {1}
    assert not any(pauses)


def test_none_after_full_batches():
    sizes, pauses = closed(BatchPause(0.005, 8), 32, lambda: 0.001, 200, size=8)
    assert set(sizes) == {8}
    assert not any(pauses)


def test_0_turns_it_off():
    _, pauses = closed(BatchPause(0.0, 32), 8, lambda: 0.001, 200)
    assert not any(pauses)


@given(
    st.lists(
        st.tuples(st.lists(st.floats(0, 1e9), max_size=5), st.floats(0, 1e9), st.integers(1, 32), st.floats(0, 1e4))
    )
)
def test_it_never_lasts_longer_than_it_may(history):
    """Whatever the clocks say."""
    pause = BatchPause(0.005, 32)
    for posted, at, jobs, took in history:
        pause.begins(posted)
        assert 0 <= pause.ended(at, jobs, took) <= 0.005
