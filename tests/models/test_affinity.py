"""Jobs of a model go first to workers that have it loaded, or load it: two real workers, and who predicted.

The wait is either so long that no test would live to see its end, or so short that it is always over.
"""

import random
import signal
from contextlib import ExitStack

import pytest

from mlq import InputError
from tests.programs import until

pytestmark = pytest.mark.slow

LONG, SHORT = "60", "0.1"  # seconds


@pytest.fixture
def workers(mlq, start, models_toml):
    """Starts workers of one slot for some models; they run until the test ends."""
    with ExitStack() as running:

        def run(names="A B", count=2, wait=LONG, pool="thread", **options):
            path = str(models_toml(names, module="stable", **options))
            words = ("worker", "--models", path, "--pool", pool, "--affinity-wait", wait)
            made = [running.enter_context(start(*words)) for _ in range(count)]
            until(lambda: len(mlq.workers()) == count)
            until(lambda: [one for one in mlq.models() if one.unserved is None])  # it has described them
            return {one.pid: one for one in made}

        yield run


@pytest.mark.parametrize(
    ("pool", "options"),
    [("process", {}), ("process", {"idle": 600}), ("thread", {}), ("asyncio", {}), ("gevent", {}), ("solo", {})],
)
def test_all_jobs_go_to_the_worker_that_has_the_model(mlq, workers, loaded, pool, options):
    """While it keeps up; so each model is loaded once."""
    workers(pool=pool, **options)
    models = {name: mlq.model(name) for name in ("a", "b")}
    answers = {name: {models[name].predict(1, 30) for _ in range(40)} for name in models}
    assert all(len(each) == 1 for each in answers.values())
    assert sorted(name for name, _ in loaded()) == ["a", "b"]


def test_batches_go_there_too(mlq, workers, loaded):
    """Those of several slots, as far as there are so many."""
    workers("Many", count=3)
    model = mlq.model("many")
    first = model.predict(1, 30)
    for _ in range(5):
        assert {job.result(30) for job in model.submit_many([1] * 20)} == {first}
    assert loaded() == [("many", first)]


def test_one_load_for_first_requests_at_once(mlq, workers, loaded, gate):
    """The second worker leaves the second one to the first worker, which is loading."""
    workers("Gated", count=3)
    jobs = mlq.model("gated").submit_many([1, 1, 1])
    until(loaded)
    gate.unlink()
    assert len({job.result(30) for job in jobs}) == 1
    assert len(loaded()) == 1


def test_another_one_takes_a_job_that_has_waited(mlq, workers, gate):
    """The worker that has the model is busy for longer; then both have it."""
    workers(wait=SHORT)
    model = mlq.model("a")
    first = model.predict(1, 30)
    long = model.submit(-1)
    others = {model.predict(1, 30) for _ in range(3)}
    assert others.isdisjoint({first})
    assert len(others) == 1
    assert not long.ready()
    gate.unlink()
    assert long.result(30) == first


def test_a_worker_that_was_killed_is_not_waited_for(mlq, workers):
    pids = workers()
    model = mlq.model("a")
    first = model.predict(1, 30)
    pids[first].kill()
    assert model.predict(1, 50) != first


def test_a_worker_that_stops_is_not_waited_for(mlq, workers, gate):
    """While its last job runs."""
    pids = workers()
    model = mlq.model("a")
    first = model.predict(1, 30)
    long = model.submit(-1)
    until(lambda: long.progress() is not None)
    pids[first].send_signal(signal.SIGTERM)
    assert model.predict(1, 50) != first
    assert not long.ready()
    gate.unlink()
    assert long.result(30) == first


def test_a_worker_that_stops_when_nothing_is_left_waits(mlq, workers, start, models_toml, gate):
    """What it passed over is left, until somebody takes it."""
    workers("A", count=1)
    model = mlq.model("a")
    first = model.predict(1, 30)
    long, waiting = model.submit(-1), model.submit(1)
    until(lambda: long.progress() is not None)
    wait = "6"  # it starts within that
    words = ("--models", str(models_toml("A", module="stable")), "--pool", "thread", "--affinity-wait", wait)
    with start("worker", *words, "--burst") as burst:
        assert burst.wait(60) == 0
    assert waiting.ready()
    assert not long.ready()
    assert waiting.result(1) != first
    gate.unlink()
    assert long.result(30) == first


def test_without_a_wait_any_worker_takes_a_job(mlq, workers, loaded, gate):
    workers("Gated", wait="0")
    jobs = mlq.model("gated").submit_many([1, 1])
    until(lambda: len(loaded()) == 2)
    gate.unlink()
    assert len({job.result(30) for job in jobs}) == 2


def test_a_model_that_is_unloaded_is_not_held(mlq, workers, raw):
    """The worker says so."""
    workers("A", count=1, pool="process", idle=0.3)
    holders = f"{{{mlq.namespace}}}:holders:a@1"
    mlq.model("a").predict(1, 30)
    assert raw.zcard(holders) == 1
    until(lambda: not raw.exists(holders))


def test_every_job_runs(mlq, workers):
    """Of models that are asked for in any order, by more than the workers can do at once."""
    workers("A B C", count=3, wait=SHORT)
    chance = random.Random(7)
    models = [mlq.model(name) for name in ("a", "b", "c")]
    jobs = [chance.choice(models).submit(1) for _ in range(300)]
    assert all(job.result(60) for job in jobs)
    assert mlq.dead_letters() == []


@pytest.mark.parametrize("wrong", [-1, 61, float("nan"), "soon", True])
def test_a_wait_that_is_none_is_refused(mlq, wrong):
    with pytest.raises(InputError, match="affinity_wait"):
        mlq.create_listener(affinity_wait=wrong)


@pytest.mark.parametrize("command", ["worker", "serve-models"])
def test_the_command_refuses_it_too(start, models_toml, command):
    words = ("--models",) if command == "worker" else ()
    with start(command, *words, str(models_toml("A", module="stable")), "--affinity-wait", "61") as run:
        assert (run.wait(60), "0<=x<=60" in run.said()) == (2, True)
