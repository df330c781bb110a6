"""Models of other interpreters in the processes that people start: in every pool, and when they crash."""

import json
import os
import re
import signal
import sys
import urllib.error
from pathlib import Path

import pytest

from mlq import JobFailed, ValidationError
from tests.models.interpreters import HERE, bare
from tests.models.test_foreign import is_alive
from tests.models.test_workers import ask, hosted
from tests.programs import free_port, until

__all__ = ["bare"]

pytestmark = pytest.mark.slow


@pytest.fixture
def abroad_toml(tmp_path, bare):
    """Writes models.toml with models of abroad.py in an interpreter without packages, each with options."""

    def write(names="Where Does Sums Counts Later Fails", more="", **options):
        (tmp_path / "abroad.py").write_text((HERE / "abroad.py").read_text())
        lines = "\n".join(f"{option} = {json.dumps(value)}" for option, value in options.items())
        entries = [f'[[models]]\nclass = "abroad:{name}"\npython = "{bare}"\n{lines}\n' for name in names.split()]
        (tmp_path / "models.toml").write_text("\n".join(entries) + more)
        return str(tmp_path / "models.toml")

    return write


def interpreters():
    """The processes that run models of these tests."""
    found = (path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if b"other_side/program.py" in words_of(path))
    return {int(path.name) for path in found}


def words_of(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def refused(url, value):
    """The status of an answer that is an error."""
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(url, value, Prefer="wait=20")
    with error.value as answer:
        return answer.status


@pytest.mark.parametrize("pool", ["process", "thread", "asyncio", "gevent", "solo"])
def test_in_every_pool(mlq, start, abroad_toml, pool):
    with start("worker", "--models", abroad_toml(), "--pool", pool):
        hosted(mlq)
        jobs = mlq.model("sums").submit_many([[n, 1] for n in range(100)])
        assert [job.result(30)["sum"] for job in jobs] == list(range(1, 101))
        assert mlq.model("where").predict({"n": 1}, 30)["device"] == "cpu"
        assert mlq.model("later").predict(4, 30) == 5
        counts = mlq.model("counts").submit(2)
        assert (list(counts.stream()), counts.result(30)) == ([{"n": 0}, {"n": 1}], "closed [2]")
        with pytest.raises(JobFailed, match=r"weights\.bin") as failed:
            mlq.model("fails").predict(1, 30)
        assert "abroad.py" in failed.value.remote_traceback
        does = mlq.model("does").submit("pid")
        assert is_alive(does.result(30))
        assert re.sub("\n", " ", does.logs()) == "does pid with care "


@pytest.mark.parametrize("pool", ["thread", "asyncio", "gevent", "solo", "process"])
def test_a_crash_costs_the_others_nothing_but_time(mlq, start, abroad_toml, pool):
    """In children it is the crash of the child; elsewhere an error that says how it came."""
    with start("worker", "--models", abroad_toml("Does"), "--pool", pool) as worker:
        hosted(mlq)
        crash = mlq.model("does").submit("kill SIGSEGV")
        others = mlq.model("does").submit_many(["pid"] * 10)
        with pytest.raises((JobFailed, ChildProcessError), match="was killed by SIGSEGV") as failed:
            crash.result(60)
        assert getattr(failed.value, "reason", None) == ("lost" if pool in ("process", "gevent") else None)
        assert all(job.result(60) for job in others)
        assert "the process of model does@1" in worker.said()


def test_one_that_crashes_a_batch_is_found(mlq, start, abroad_toml, tmp_path):
    path = abroad_toml("Sums", batch=16)
    text = (tmp_path / "abroad.py").read_text()
    crashing = text.replace(
        "        if [404] in xs:", "        if [500] in xs:\n            os._exit(1)\n        if [404] in xs:"
    )
    (tmp_path / "abroad.py").write_text(crashing)
    with start("worker", "--models", path, "--concurrency", "2"):
        hosted(mlq)
        good = mlq.model("sums").submit_many([[n] for n in range(8)])
        bad = mlq.model("sums").submit([500])
        more = mlq.model("sums").submit_many([[n] for n in range(8)])
        assert [job.result(60)["sum"] for job in [*good, *more]] == [*range(8), *range(8)]
        with pytest.raises(JobFailed) as failed:
            bad.result(60)
        assert failed.value.reason == "lost"


def test_one_that_hangs_is_ended_with_its_interpreter(mlq, start, abroad_toml):
    with start("worker", "--models", abroad_toml("Does", timeout=2)):
        hosted(mlq)
        pid = mlq.model("does").predict("pid", 30)
        with pytest.raises(JobFailed) as failed:
            mlq.model("does").predict("sleep 600", 30)
        assert failed.value.reason == "timeout"
        until(lambda: not is_alive(pid))
        assert mlq.model("does").predict("pid", 30) != pid


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("pool", ["process", "thread"])
def test_a_worker_that_is_killed_leaves_no_interpreter(mlq, start, abroad_toml, pool):
    """Not even one that predicts."""
    with start("worker", "--models", abroad_toml("Does"), "--pool", pool) as worker:
        hosted(mlq)
        pid = mlq.model("does").predict("pid", 30)
        job = mlq.model("does").submit("sleep 600")
        until(job.logs)
        worker.kill()
        until(lambda: not is_alive(pid))


def test_a_worker_that_stops_lets_it_finish(mlq, start, abroad_toml, tmp_path):
    gate = tmp_path / "gate"
    gate.touch()
    with start("worker", "--models", abroad_toml("Does"), ABROAD_GATE=str(gate)) as worker:
        hosted(mlq)
        pid = mlq.model("does").predict("pid", 30)
        job = mlq.model("does").submit("wait")
        until(job.logs)
        os.killpg(os.getpgid(pid), signal.SIGTERM)  # supervisors signal whole groups
        worker.send_signal(signal.SIGTERM)
        until(lambda: "stops" in worker.said())
        gate.unlink()
        assert job.result(30) is None
        assert worker.wait(30) == 0
        until(lambda: not is_alive(pid))


def test_memory_is_that_of_its_process(mlq, start, abroad_toml):
    """Which a child that is limited is replaced for."""
    with start("worker", "--models", abroad_toml("Does"), "--max-memory", "800M"):
        hosted(mlq)
        pid = mlq.model("does").predict("grow 300", 60)
        until(lambda: mlq.models()[0].memory > 300 * 2**20)
        assert mlq.model("does").predict("grow 900", 60) == pid
        until(lambda: not is_alive(pid))
        assert mlq.model("does").predict("pid", 60) != pid


def test_one_that_is_not_used_is_unloaded_by_the_end_of_its_process(mlq, start, abroad_toml):
    with start("worker", "--models", abroad_toml("Does", idle=0.5)):
        hosted(mlq)
        pid = mlq.model("does").predict("pid", 60)
        until(lambda: not is_alive(pid))
        until(lambda: mlq.models()[0].state == "cold")
        assert mlq.model("does").predict("pid", 30) != pid


def test_those_that_are_not_available_hold_up_no_others(mlq, start, abroad_toml, tmp_path):
    more = """
[[models]]
class = "abroad:Where"
python = "no/python"
name = "missing"
version = "1"

[[models]]
class = "abroad:Where"
python = "abroad.py"

[[models]]
class = "abroad:Nameless"
python = "{python}"
name = "nameless"
version = "2"
"""
    path = abroad_toml("Sums", more.format(python=sys.executable))
    with start("worker", "--models", path, "--concurrency", "3") as worker:
        until(lambda: {one.info.function: one.state for one in mlq.models()}.get("nameless@2") == "broken")
        whys = {one.info.name: one.why for one in mlq.models() if one.state == "broken"}
        assert whys["missing"] == f"{tmp_path}/no/python can't be started: No such file or directory"
        assert whys["nameless"] == f"{sys.executable}: it has no name and no version"
        assert mlq.model("sums").predict([1, 2], 30) == {"sum": 3, "together": 1}
        with pytest.raises(JobFailed, match="no/python can't be started"):
            mlq.model("missing").predict({"n": 1}, 30)
        assert worker.said().count("is not available") == 3  # and not once for each child
        assert (
            f"abroad:Where is not available: {tmp_path}/abroad.py can't be started: Permission denied" in worker.said()
        )
        with start("models") as listed:
            assert listed.wait(30) == 0
            assert "nameless@2 can't be loaded" in listed.said()


@pytest.mark.parametrize("pool", ["process", "thread"])
def test_if_none_is_available_the_worker_says_so(start, tmp_path, pool):
    (tmp_path / "models.toml").write_text('[[models]]\nclass = "a:B"\npython = "none"\n')
    with start("worker", "--models", str(tmp_path / "models.toml"), "--pool", pool) as worker:
        assert worker.wait(30) == 2
        assert "models.toml is available" in worker.said()
        assert "Traceback" not in worker.said()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_each_interpreter_is_asked_once_and_not_by_each_child(mlq, start, abroad_toml, tmp_path):
    path = abroad_toml("Where Does")
    with (tmp_path / "abroad.py").open("a") as file:
        file.write(f"\nwith open({str(tmp_path / 'imports')!r}, 'a') as file:\n    file.write('x')\n")
    with start("worker", "--models", path, "--concurrency", "4"):
        hosted(mlq)
        until(lambda: len((tmp_path / "imports").read_text()) == 2)
        until(lambda: len(mlq.workers()) == 1)
        assert len((tmp_path / "imports").read_text()) == 2


def test_a_module_of_listeners_adds_one(mlq, start, bare, tmp_path):
    program = f"""
from mlq import MLQ
mlq = MLQ({mlq.namespace!r})
mlq.add_model({str(HERE / "abroad.py") + ":Sums"!r}, python={bare!r})

@mlq.listener
def f(message):
    return message
"""
    (tmp_path / "with_a_model.py").write_text(program)
    with start("worker", str(tmp_path / "with_a_model.py")):
        hosted(mlq)
        assert mlq.model("sums").predict([1, 2], 30)["sum"] == 3


def test_over_http_two_interpreters_are_one_service(mlq, start, abroad_toml, tmp_path):
    """Wrong inputs are refused in the same way, by the schema and by the model's own validators."""
    for name in ("typed_abroad.py", "zoo.py"):
        (tmp_path / name).write_text((HERE / name).read_text())
    more = f'[[models]]\nclass = "typed_abroad:Botanist"\npython = "{sys.executable}"\n[[models]]\nclass = "zoo:Iris"\n'
    port = free_port()
    with start("serve-models", abroad_toml("Where", more), "--port", str(port)):
        hosted(mlq)
        base = f"http://127.0.0.1:{port}/models"
        assert {one["name"] for one in ask(base)["models"]} == {"where", "botanist", "iris"}
        assert ask(f"{base}/where/predict", {"n": 1}, Prefer="wait=20")["device"] == "cpu"
        plant = {"name": "fern", "leaves": [{"size": 2}]}
        assert ask(f"{base}/botanist/predict", plant, Prefer="wait=20") == {"class": "FERN", "area": 2.0}
        assert refused(f"{base}/botanist/predict", {"leaves": []}) == 422
        assert refused(f"{base}/botanist/predict", {"name": "weed"}) == 422
        assert refused(f"{base}/iris/predict", {"length": 1, "width": 7}) == 422
        with pytest.raises(ValidationError) as error:
            mlq.model("botanist").predict({"name": "weed"}, 30)
        assert error.value.faults == (("name", "Value error, no weeds"),)
