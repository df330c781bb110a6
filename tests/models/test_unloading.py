"""Models that are unloaded, unused or to make place for others: in real workers, whose children are counted."""

import json
import re
import sys
import urllib.request
from pathlib import Path

import pytest

from mlq import JobFailed
from tests.programs import free_port, until

pytestmark = pytest.mark.slow


def hosted(mlq):
    """Once a worker has described its models."""
    return until(lambda: [one for one in mlq.models() if one.unserved is None])


def states(mlq):
    return {one.info.name: one.state for one in mlq.models()}


def is_alive(pid):
    return Path(f"/proc/{pid}").exists()


def asked(port, path):
    """What the service answers: an object, or a text."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        text = answer.read().decode()
    return json.loads(text) if text.startswith("{") else text


def test_one_that_is_not_used_is_unloaded_and_loaded_again(mlq, start, models_toml, loaded):
    """By ending its process; the other one stays."""
    path = models_toml("A B", module="stable", more={"A": {"idle": 0.5}})
    with start("worker", "--models", str(path)) as worker:
        hosted(mlq)
        first, other = mlq.model("a").predict(1, 30), mlq.model("b").predict(1, 30)
        until(lambda: not is_alive(first))
        until(lambda: states(mlq) == {"a": "cold", "b": "ready"})
        assert first != (again := mlq.model("a").predict(1, 30)) != other
        assert mlq.model("b").predict(1, 30) == other
        assert loaded() == [("a", first), ("b", other), ("a", again)]
        assert "model a@1 was not used for 0.5 s" in worker.said()


def test_one_that_is_used_is_not_unloaded(mlq, start, models_toml, gate):
    """However long a prediction takes."""
    path = models_toml("A B", module="stable", idle=0.3)
    with start("worker", "--models", str(path), "--concurrency", "2"):
        hosted(mlq)
        long = mlq.model("a").submit(-1)
        other = mlq.model("b").predict(1, 30)
        until(lambda: not is_alive(other))
        assert not long.ready()
        gate.unlink()
        pid = long.result(60)
        until(lambda: not is_alive(pid))


def test_a_warm_one_is_loaded_at_the_start(mlq, start, models_toml, loaded):
    """In a process of its own; the other is cold."""
    path = models_toml("A B", module="stable", more={"A": {"idle": 600, "warm": True}})
    with start("worker", "--models", str(path), "--concurrency", "2"):
        until(lambda: states(mlq) == {"a": "ready", "b": "cold"})
        assert [("a", mlq.model("a").predict(1, 30))] == loaded()


@pytest.mark.parametrize("pool", ["thread", "asyncio", "solo", "gevent"])
def test_only_the_process_pool_unloads(start, models_toml, pool):
    with start("worker", "--models", str(models_toml("A", module="stable", idle=1)), "--pool", pool) as worker:
        assert (worker.wait(60), "idle (of model a@1) needs --pool process" in worker.said()) == (2, True)
    path = str(models_toml("A", module="stable"))
    with start("worker", "--models", path, "--pool", pool, "--memory-budget", "1G") as worker:
        assert (worker.wait(60), "--memory-budget needs --pool process" in worker.said()) == (2, True)


def test_the_least_recently_used_makes_place(mlq, start, models_toml, loaded):
    """Three of 100 MiB in 250: there are never more than two."""
    path = models_toml("A B C", module="stable", memory="100MiB")
    with start("worker", "--models", str(path), "--memory-budget", "250M"):
        hosted(mlq)
        a, b = mlq.model("a").predict(1, 30), mlq.model("b").predict(1, 30)
        assert mlq.model("a").predict(1, 30) == a
        c = mlq.model("c").predict(1, 60)
        assert not is_alive(b)
        assert mlq.model("a").predict(1, 30) == a
        assert loaded() == [("a", a), ("b", b), ("c", c)]


def test_two_that_do_not_fit_together_take_turns(mlq, start, models_toml):
    """While both have jobs without end, and there are slots for both."""
    path = models_toml("A B", module="stable", memory="150MiB")
    with start("worker", "--models", str(path), "--memory-budget", "200M", "--concurrency", "2") as worker:
        hosted(mlq)
        jobs = {name: mlq.model(name).submit_many([0] * 3000) for name in ("a", "b")}
        for job in [*jobs["a"][:500], *jobs["b"][:500]]:
            job.result(120)
        assert worker.said().count("makes place for") <= 60
        assert mlq.dead_letters() == []


def test_one_load_for_requests_at_once(mlq, start, models_toml, loaded, gate):
    path = models_toml("Gated", module="stable", memory="60MiB")
    with start("worker", "--models", str(path), "--memory-budget", "1G", "--concurrency", "3"):
        hosted(mlq)
        jobs = mlq.model("gated").submit_many([1, 1, 1])
        until(loaded)
        gate.unlink()
        assert [("gated", job.result(60)) for job in jobs] == loaded() * 3


def test_one_that_declares_more_than_the_budget_is_not_available(mlq, start, models_toml):
    path = models_toml("A B", module="stable", more={"A": {"memory": "2GiB"}})
    with start("worker", "--models", str(path), "--memory-budget", "500M"):
        hosted(mlq)
        with pytest.raises(JobFailed, match="a@1 needs 2,048 MiB, more than the memory budget of 500 MiB") as failed:
            mlq.model("a").predict(1, 30)
        assert failed.value.error_type == "mlq.errors.NotLoaded"
        assert is_alive(mlq.model("b").predict(1, 30))
        (state,) = until(lambda: [one for one in mlq.models() if one.info.name == "a" and one.state == "broken"])
        assert "needs 2,048 MiB" in state.why


@pytest.mark.skipif(sys.platform != "linux", reason="measures its own memory")
def test_one_that_turns_out_to_need_more_than_the_budget(mlq, start, models_toml, loaded):
    """Its first prediction succeeds; then it is unloaded, and not loaded again. The other one stays."""
    path = models_toml("A Fat", module="stable")
    with start("worker", "--models", str(path), "--memory-budget", "250M"):
        hosted(mlq)
        a = mlq.model("a").predict(1, 30)
        fat = mlq.model("fat").predict(1, 30)
        until(lambda: not is_alive(fat))
        with pytest.raises(JobFailed, match=r"fat@1 needs \d+ MiB, more than the memory budget of 250 MiB"):
            mlq.model("fat").predict(1, 30)
        assert mlq.model("a").predict(1, 30) == a
        assert loaded() == [("a", a), ("fat", fat)]


@pytest.mark.skipif(sys.platform != "linux", reason="measures its own memory")
def test_one_that_grows_is_unloaded_when_it_is_idle(mlq, start, models_toml, loaded):
    """It alone holds more than the budget; the others stay, and it is loaded again."""
    path = models_toml("A B", module="stable")
    with start("worker", "--models", str(path), "--memory-budget", "400M"):
        hosted(mlq)
        a, b = mlq.model("a").predict(1, 30), mlq.model("b").predict(1, 30)
        assert mlq.model("a").predict(500, 30) == a
        until(lambda: not is_alive(a))
        assert mlq.model("b").predict(1, 30) == b
        again = mlq.model("a").predict(1, 30)
        assert loaded() == [("a", a), ("b", b), ("a", again)]


def test_loads_evictions_and_memory_are_figures(mlq, start, models_toml):
    """In `mlq models`, GET /models and /metrics; a worker that stops has told them."""
    path, port = models_toml("A B", module="stable", memory="150MiB"), free_port()
    with start("serve-models", str(path), "--memory-budget", "200M", "--port", str(port)):
        hosted(mlq)
        for name in ("a", "b", "a"):
            mlq.model(name).predict(1, 60)
        until(lambda: mlq.stats().memory > 2**20)
        told = until(lambda: (found := asked(port, "/models/a"))["figures"]["loads"] == 2 and found)
        assert told["figures"]["evictions"] == 1
        assert told["figures"]["mean_load"] >= 0
        (process,) = told["versions"][0]["processes"]
        assert process["memory"] > 2**20
        metrics = until(lambda: (text := asked(port, "/metrics")).count("mlq_model_loads_total{") == 2 and text)
        assert 'mlq_model_loads_total{queue="a"} 2.0' in metrics
        assert 'mlq_model_evictions_total{queue="b"} 1.0' in metrics
        with start("models") as listed:
            assert listed.wait(30) == 0
            heads, first, *_ = (re.split(r"  +", line) for line in listed.said().splitlines())
        row = dict(zip(heads, first, strict=True))
        assert (row["MODEL"], row["STATE"], row["LOADS"], row["EVICTIONS"]) == ("a", "ready", "2", "1")
        assert row["MEMORY"].endswith(" MB")
    queues = mlq.stats().queues
    assert (queues["a"].loads, queues["b"].loads, queues["a"].evictions, queues["b"].evictions) == (2, 1, 1, 1)


def test_a_load_while_its_eviction_runs(mlq, start, models_toml, loaded):
    """A process that is slow to end is waited for; then the model is loaded anew."""
    path = models_toml("Lingers B", module="stable", memory="150MiB")
    with start("worker", "--models", str(path), "--memory-budget", "200M"):
        hosted(mlq)
        first = mlq.model("lingers").predict(1, 30)
        other = mlq.model("b").submit(1)
        again = mlq.model("lingers").submit(1)
        pids = [first, other.result(60), again.result(60)]
        assert loaded() == list(zip(("lingers", "b", "lingers"), pids, strict=True))
        assert [is_alive(pid) for pid in pids] == [False, False, True]
