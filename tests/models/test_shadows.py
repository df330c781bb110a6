"""Shadows in real workers: they repeat predictions and are compared, and whatever they do, callers notice nothing."""

import os
import signal
import sys
from pathlib import Path

import pytest

from mlq import InputError, UnknownModel
from tests.models.test_unloading import asked, is_alive
from tests.programs import free_port, until

pytestmark = pytest.mark.slow


@pytest.fixture
def twin(mlq):
    """The model."""
    return mlq.model("twin")


def hosted(mlq, *versions):
    """Once workers host these versions of the model."""
    until(lambda: {v.info.version for v in mlq.models() if v.info.name == "twin" and not v.unserved} >= set(versions))


def shadowing(mlq):
    """Sets version 2 as the shadow of version 1, which gets all requests; returns what was counted up to now.

    Predictions are repeated in their order: when one that differs was compared, all before it were.
    """
    model = mlq.model("twin")
    model.set_traffic(default="1")
    model.set_shadow("2")
    until(lambda: model.predict(1, 30) == 1 and model.shadow().compared)
    last = model.submit(1000)
    assert last.result(30) == 1000
    return until(lambda: (now := model.shadow()).last and now.last[0].job_id == last.id and now)


def test_it_is_compared_with_what_callers_got(mlq, twin, start, models_toml):
    """In `mlq models shadow`, GET /models and /metrics; the queue knows nothing of it."""
    path, port = models_toml("Twin NewTwin", module="twins"), free_port()
    with start("serve-models", str(path), "--port", str(port)):
        hosted(mlq, "1", "2")
        before = shadowing(mlq)
        assert (before.different, before.failed, before.dropped) == (1, 0, 0)
        jobs = [twin.submit(x) for x in (2, 3, 100, 200)]
        assert [job.result(30) for job in jobs] == [2, 3, 100, 200]
        after = until(lambda: (now := twin.shadow()).compared == before.compared + 4 and now)
        assert (after.different, after.failed, after.dropped, after.idle) == (3, 0, 0, None)
        assert [(one.job_id, one.output, one.shadow_output) for one in after.last[:2]] == [
            (jobs[3].id, "200.0", "201.0"), (jobs[2].id, "100.0", "101.0"),
        ]  # fmt: skip
        told = until(lambda: (found := asked(port, "/models/twin"))["shadow"]["different"] == 3 and found["shadow"])
        assert told == {
            "version": "2",
            "share": 1,
            "compared": after.compared,
            "different": 3,
            "failed": 0,
            "dropped": 0,
        }
        assert 'mlq_shadow_predictions_total{model="twin",outcome="different",version="2"} 3.0' in asked(
            port, "/metrics"
        )
        with start("models", "shadow", "twin") as command:
            assert command.wait(30) == 0
        assert command.said().splitlines()[1].split()[:5] == ["2", "100", "%", str(after.compared), "3"]
        posted = list(mlq.jobs())
        queue = until(lambda: (now := mlq.stats().queues["twin"]).attempts["succeeded"] == len(posted) and now)
        assert sum(queue.attempts.values()) == len(posted)
        assert [job.logs() for job in jobs] == [""] * 4


def test_what_it_can_not_repeat_harms_nobody(mlq, twin, start, models_toml, loaded):
    """It raises, its process dies, it hangs: callers have their answers, and it goes on with the next prediction."""
    path = models_toml("Twin NewTwin", module="twins", timeout=1)
    with start("worker", "--models", str(path)):
        hosted(mlq, "1", "2")
        before = shadowing(mlq)
        for count, x in enumerate((-1, -2, -3), 1):
            assert twin.predict(x, 30) == x
            until(lambda count=count: twin.shadow().failed == before.failed + count)
        assert twin.predict(5, 30) == 5
        until(lambda: twin.shadow().compared > before.compared)
        assert mlq.dead_letters() == []
        assert len([pid for version, pid in loaded() if version == "1"]) == 1
        assert mlq.stats().queues["twin"].attempts.keys() >= {"error", "lost", "timeout"}
        assert not any(mlq.stats().queues["twin"].attempts[word] for word in ("error", "lost", "timeout"))


def test_one_that_is_slower_keeps_nobody_waiting(mlq, twin, start, models_toml, gate):
    """Though the worker has one slot; what finds no room is dropped, and each prediction is counted once."""
    path = models_toml("Twin NewTwin", module="twins")
    with start("worker", "--models", str(path)):
        hosted(mlq, "1", "2")
        before = shadowing(mlq)
        assert [job.result(60) for job in twin.submit_many([-4] * 500)] == [-4] * 500
        until(lambda: twin.shadow().dropped)
        assert twin.shadow().compared == before.compared
        gate.unlink()
        after = until(lambda: (now := twin.shadow()).compared + now.dropped == before.compared + 500 and now)
        assert after.compared - before.compared >= 256


def test_one_that_can_not_be_loaded_only_fails(mlq, twin, start, models_toml):
    with start("worker", "--models", str(models_toml("Twin Broken", module="twins"))):
        hosted(mlq, "1", "3")
        twin.set_traffic(default="1")
        twin.set_shadow("3")
        until(lambda: twin.predict(1, 30) == 1 and twin.shadow().failed)
        assert mlq.dead_letters() == []


FAR = """
class Far:
    name, version = "far", "1"
    Input = Output = {"type": "integer"}

    def predict(self, x):
        return x


class NewFar(Far):
    version = "2"

    def predict(self, x):
        return x + (x > 1)
"""


def test_one_in_another_interpreter(mlq, start, tmp_path):
    """It is a model as any other."""
    (tmp_path / "far.py").write_text(FAR)
    entries = [f'[[models]]\nclass = "far:{name}"\npython = "{sys.executable}"\n' for name in ("Far", "NewFar")]
    (tmp_path / "models.toml").write_text("".join(entries))
    far = mlq.model("far")
    with start("worker", "--models", str(tmp_path / "models.toml")):
        until(lambda: sum(one.unserved is None for one in mlq.models()) == 2)
        far.set_traffic(default="1")
        far.set_shadow("2")
        until(lambda: far.predict(1, 30) == 1 and far.shadow().compared)
        assert far.predict(2, 30) == 2
        until(lambda: [one.shadow_output for one in far.shadow().last] == ["3"])
        assert far.shadow().failed == 0


def test_one_whose_process_can_not_start_only_fails(mlq, twin, start, models_toml):
    """Such as after the file of the models was moved."""
    path = models_toml("Twin NewTwin", module="twins")
    with start("worker", "--models", str(path)) as worker:
        hosted(mlq, "1", "2")
        path.unlink()
        twin.set_traffic(default="1")
        twin.set_shadow("2")
        until(lambda: twin.predict(1, 30) == 1 and twin.shadow().failed > 1)
        assert "shadow: no child can be started" in worker.said()
        assert worker.poll() is None


def test_batches_are_shadowed_too(mlq, twin, start, models_toml):
    """Of the original, and of the shadow."""
    with start("worker", "--models", str(models_toml("Twin ManyTwin", module="twins"))):
        hosted(mlq, "1", "4")
        for version, other in (("1", "4"), ("4", "1")):
            twin.set_traffic(default=version)
            twin.set_shadow(other)
            until(lambda: twin.predict(1, 30) == 1 and twin.shadow().compared)
            assert [job.result(30) for job in twin.submit_many([3] * 20)] == [3] * 20
            state = until(lambda: (now := twin.shadow()).compared > 20 and now)
            assert (state.different, state.failed) == (0, 0)


def test_streams_are_not_shadowed(mlq, start, models_toml):
    """What was chosen before another prediction is counted before it."""
    path = models_toml("Twin NewTwin Talker NewTalker", module="twins")
    with start("worker", "--models", str(path)):
        hosted(mlq, "1", "2")
        mlq.model("talker").set_traffic(default="1")
        mlq.model("talker").set_shadow("2")
        before = shadowing(mlq)
        assert mlq.model("talker").predict("hello", 30) == ["hello"]
        assert mlq.model("twin").predict(1, 30) == 1
        until(lambda: mlq.model("twin").shadow().compared > before.compared)
        state = mlq.model("talker").shadow()
        assert (state.compared, state.failed, state.dropped) == (0, 0, 0)


def test_turned_off_and_its_process_ends(mlq, twin, start, models_toml, loaded, raw):
    """At run time, as it was turned on; its figures stay, and no more predictions are handed over."""
    with start("worker", "--models", str(models_toml("Twin NewTwin", module="twins"))):
        hosted(mlq, "1", "2")
        before = shadowing(mlq)
        pid = dict(loaded())["2"]
        assert is_alive(pid)
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        twin.set_shadow(None)
        until(lambda: not is_alive(pid))
        assert twin.predict(100, 30) == 100
        assert twin.shadow()._replace(share=1.0) == before
        assert not raw.exists(f"{mlq._keys.shadow}twin@2:waiting")


def test_a_version_that_is_removed_meanwhile(mlq, twin, start, models_toml, tmp_path):
    """Its worker goes: callers have their answers, and the shadow says that it is idle."""
    both, one = models_toml("Twin NewTwin", module="twins").rename(tmp_path / "both.toml"), models_toml("Twin", "twins")
    with start("worker", "--models", str(one)):
        with start("worker", "--models", str(both)):
            hosted(mlq, "1", "2")
            shadowing(mlq)
        until(lambda: twin.shadow().idle == "no live worker hosts twin@2")
        assert [job.result(60) for job in twin.submit_many([1] * 400)] == [1] * 400
        until(lambda: twin.shadow().dropped)
        with pytest.raises(InputError, match="version 2 of twin is its shadow"):
            mlq.model("twin", "2").forget()
        twin.set_shadow(None)
        mlq.model("twin", "2").forget()
        assert twin.shadow() is None
        with pytest.raises(UnknownModel, match="has no version '2'"):
            twin.set_shadow("2")
        assert twin.predict(2, 30) == 2


def test_other_pools_offer_predictions_but_run_no_shadow(mlq, twin, start, models_toml):
    path = str(models_toml("Twin NewTwin", module="twins"))
    with start("worker", "--models", path, "--pool", "thread"):
        hosted(mlq, "1", "2")
        twin.set_traffic(default="1")
        twin.set_shadow("2")
        assert twin.shadow().idle == "no worker with the process pool hosts twin@2"
        assert [job.result(60) for job in twin.submit_many([1] * 10)] == [1] * 10
        with start("worker", "--models", path):
            until(lambda: twin.predict(1, 30) == 1 and twin.shadow().compared)
            assert twin.shadow().idle is None


def test_it_is_the_first_to_go_for_memory(mlq, twin, start, models_toml, loaded):
    """Models of 100 MiB in 250: with another one, there is no place for the shadow. No model is evicted for it."""
    path = models_toml("Twin NewTwin", module="twins", memory="100MiB")
    path.write_text(path.read_text() + '\n[[models]]\nclass = "tests.models.stable:B"\nmemory = "100MiB"\nidle = 3\n')
    with start("worker", "--models", str(path), "--memory-budget", "250M") as worker:
        hosted(mlq, "1", "2")
        shadowing(mlq)
        shadow, original = dict(loaded())["2"], dict(loaded())["1"]
        other = mlq.model("b").predict(1, 60)
        until(lambda: not is_alive(shadow))
        assert "no shadow predicts here: the memory budget has no room for it" in worker.said()
        assert is_alive(original)
        until(lambda: not is_alive(other))  # unused, so there is a place again
        before = twin.shadow().compared
        until(lambda: twin.predict(1, 30) == 1 and twin.shadow().compared > before)
        assert dict(loaded())["1"] == original


def test_it_ends_with_its_worker(mlq, start, models_toml, loaded):
    """Also with one that is killed."""
    path = str(models_toml("Twin NewTwin", module="twins"))
    with start("worker", "--models", path) as worker:
        hosted(mlq, "1", "2")
        shadowing(mlq)
        worker.send_signal(signal.SIGKILL)
        until(lambda: not is_alive(dict(loaded())["2"]))
    with start("worker", "--models", path):
        until(lambda: len(dict.fromkeys(pid for version, pid in loaded() if version == "2")) == 1)
        before = mlq.model("twin").shadow().compared
        until(lambda: mlq.model("twin").predict(1, 60) == 1 and mlq.model("twin").shadow().compared > before)
    assert not any(Path(f"/proc/{pid}").exists() for _, pid in loaded())
