"""Models in the processes that people start: mlq worker --models, and mlq serve-models."""

import json
import os
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from mlq import JobFailed
from tests.programs import free_port, until

pytestmark = pytest.mark.slow


def hosted(mlq):
    """Whether the worker has described its models."""
    return until(lambda: [one for one in mlq.models() if one.unserved is None])


@pytest.mark.parametrize("pool", ["process", "thread", "asyncio", "gevent", "solo"])
def test_in_every_pool(mlq, start, models_toml, pool):
    with start("worker", "--models", str(models_toml()), "--pool", pool):
        hosted(mlq)
        jobs = mlq.model("numbers").submit_many(range(100))
        assert [job.result(60) for job in jobs] == [2 * n for n in range(100)]
        assert mlq.model("iris", "1").predict({"length": 1, "width": 1}, 30) == {"species": "short"}
        assert mlq.model("waiting").predict(4, 30) == -4
        words = mlq.model("words").submit("a b")
        assert (list(words.stream()), words.result(60)) == (["a", "b"], "A B")
        with pytest.raises(JobFailed, match=r"weights\.bin"):
            mlq.model("broken").predict(1, 30)
        until(lambda: {"broken", "ready"} <= {one.state for one in mlq.models()})


def test_only_children_import_models(mlq, start, models_toml, tmp_path):
    pids = tmp_path / "pids"
    with start("worker", "--models", str(models_toml()), "--concurrency", "2", ZOO_PIDS=str(pids)) as worker:
        hosted(mlq)
        assert mlq.model("number").predict(1, 30) == 2
        until(lambda: len(pids.read_text().split()) == 2)
        assert str(worker.pid) not in pids.read_text().split()


def test_one_that_kills_its_process_costs_the_others_nothing_but_time(mlq, start, models_toml):
    with start("worker", "--models", str(models_toml())):
        hosted(mlq)
        crash = mlq.model("number").submit(-1)
        others = mlq.model("number").submit_many(range(20))
        with pytest.raises(JobFailed) as failed:
            crash.result(60)
        assert failed.value.reason == "lost"
        assert [job.result(60) for job in others] == list(range(1, 21))


def test_one_that_hangs_is_ended(mlq, start, models_toml):
    with start("worker", "--models", str(models_toml(timeout=1))):
        hosted(mlq)
        hangs = mlq.model("number").submit(-2)
        with pytest.raises(JobFailed) as failed:
            hangs.result(60)
        assert failed.value.reason == "timeout"
        assert mlq.model("number").predict(1, 30) == 2


def test_a_warm_model_is_loaded_before_its_first_job(mlq, start, models_toml):
    path = models_toml("Iris", warm=True, warm_inputs=[])
    path.write_text(path.read_text().replace("[]", "[{length = 1, width = 1}]"))
    with start("worker", "--models", str(path), "--concurrency", "2") as worker:
        (iris,) = until(lambda: [one for one in mlq.models() if len(one.processes) == 2])
        assert {one.state for one in iris.processes} == {"ready"}
        assert worker.said().count("model iris@1 is ready") == 2
        assert worker.said().index("model iris@1 is ready") < worker.said().index("started, with")


def test_functions_choose_what_is_warmed_up_and_keep_middleware(mlq, start, models_toml, tmp_path):
    with start("worker", "--models", str(models_toml("Iris Number", warm=True)), "--functions", "number@1") as worker:
        until(lambda: [one for one in mlq.models() if one.state == "ready"])
        assert "model iris@1 is ready" not in worker.said()
    program = f"""
from contextlib import contextmanager
from mlq import MLQ
mlq = MLQ({mlq.namespace!r})

@mlq.middleware
@contextmanager
def hook(context):
    print("around")
    yield

@mlq.listener
def f(message):
    return message
"""
    (tmp_path / "with_a_hook.py").write_text(program)
    with start("worker", str(tmp_path / "with_a_hook.py"), "--functions", "f"):
        job = mlq.submit(1, functions=["f"])
        job.result(60)
        assert job.logs() == "around\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('class = "tests.models.zoo:Flower"',
         "tests.models.zoo:Flower (in {path}) is not a valid model: it has no name"),
        ('class = "tests.models.zoo:Nothing"', "tests.models.zoo:Nothing (in {path}): there is no 'Nothing' in module"),
        ('class = "no_such_module:A"', "can't import no_such_module:A (in {path}): ModuleNotFoundError"),
        ('class = "raises_at_import:A"', "can't import raises_at_import:A (in {path}): ZeroDivisionError"),
        ('class = "exits_at_import:A"', "can't import exits_at_import:A (in {path}): SystemExit"),
        ('class = "tests.models.zoo:Number"\nbatch = 2', "batch = 2 needs a method predict_batch"),
        ('class = "tests.models.zoo:Iris"\n[[models]]\nclass = "tests.models.zoo:Iris"',
         "another model of this name and version (iris@1)"),
        ('class = "tests.models.zoo:Iris"\nbacth = 2',
         "has an option 'bacth', which does not exist (did you mean 'batch'?)"),
    ],
    ids=range(8),
)  # fmt: skip
@pytest.mark.parametrize("pool", ["process", "thread"])
def test_what_is_refused_ends_the_worker_with_a_reason(start, tmp_path, text, words, pool):
    path = tmp_path / "models.toml"
    path.write_text(f"[[models]]\n{text}")
    (tmp_path / "raises_at_import.py").write_text("1 / 0")
    (tmp_path / "exits_at_import.py").write_text("raise SystemExit(5)")
    with start("worker", "--models", str(path), "--pool", pool) as worker:
        assert worker.wait(30) == 2
        assert words.format(path=path) in worker.said()
        assert "Traceback" not in worker.said()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_is_lost_while_children_and_workers_are_killed(mlq, start, models_toml):
    path = str(models_toml("Slow", batch=16))
    with start("worker", "--models", path, "--concurrency", "2") as first, start("worker", "--models", path) as second:
        hosted(mlq)
        until(lambda: len(mlq.workers()) == 2)
        jobs = mlq.model("slow").submit_many(range(3000))
        for count in range(500, 2500, 400):
            jobs[count].result(60)
            os.kill(until(lambda: pool_of(first))[0], signal.SIGKILL)
        second.kill()
        assert [job.result(60) for job in jobs] == [-n for n in range(3000)]
        assert mlq.dead_letters() == []


def ask(url, value=None, **headers):
    """The answer of a service, as JSON."""
    body = None if value is None else json.dumps(value).encode()
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"} | headers)  # noqa: S310 - our own
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
        return json.loads(answer.read())


def test_one_command_serves_models(mlq, start, models_toml):
    port = free_port()
    with start("serve-models", str(models_toml()), "--port", str(port)) as serving:
        hosted(mlq)
        base = f"http://127.0.0.1:{port}"
        good = {"length": 1, "width": 1}
        assert ask(f"{base}/models/iris/versions/1/predict", good, Prefer="wait=20") == {"species": "short"}
        assert {one["name"] for one in ask(f"{base}/models")["models"]} >= {"iris", "broken"}
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == 0
        with pytest.raises(OSError, match="refused"):
            ask(f"{base}/models")
        assert mlq.workers() == []


def children_of(pid):
    """The processes that the threads of a process started, with their commands."""
    pids = [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    return {one: Path(f"/proc/{one}/cmdline").read_bytes() for one in pids}


def pool_of(worker):
    """The children of a worker in which listeners run."""
    return [pid for pid, command in children_of(worker.pid).items() if b"mlq.cli.child" in command]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_service_that_is_killed_leaves_nothing_behind(mlq, start, models_toml):
    with start("serve-models", str(models_toml()), "--port", "0") as serving:
        hosted(mlq)
        started = children_of(serving.pid)
        assert len(started) >= 2
        serving.kill()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_if_http_dies_all_of_it_ends(mlq, start, models_toml):
    with start("serve-models", str(models_toml()), "--port", "0") as serving:
        hosted(mlq)
        (http,) = [pid for pid, command in children_of(serving.pid).items() if b"mlq.http.process" in command]
        os.kill(http, signal.SIGKILL)
        assert serving.wait(40) == 70


def test_serve_models_refuses_what_can_not_work(start, models_toml, tmp_path):
    with start("serve-models", str(tmp_path / "none.toml")) as serving:
        assert (serving.wait(30), "there is no file" in serving.said()) == (2, True)
    with start("serve-models", "module.py") as serving:
        assert (serving.wait(30), "takes a .toml file" in serving.said()) == (2, True)
    with start("serve-models", str(models_toml("Flower")), "--port", "0") as serving:
        assert (serving.wait(30), "is not a valid model" in serving.said()) == (2, True)


def test_models_are_listed(mlq, start, models_toml):
    with start("models") as listed:
        assert (listed.wait(30), "no models were ever hosted" in listed.said()) == (0, True)
    with start("worker", "--models", str(models_toml())):
        hosted(mlq)
        mlq.model("number").predict(1, 30)
        until(lambda: any(one.state == "ready" for one in mlq.models()))
        with start("models") as listed:
            assert listed.wait(30) == 0
            rows = [line.split() for line in listed.said().splitlines()]
            assert ["number", "1", "ready", "100", "%", "1", "cpu"] in [row[:7] for row in rows]
        with start("models", "--json") as listed:
            listed.wait(30)
            assert {one["name"] for one in json.loads(listed.said())} >= {"iris", "broken"}


SMI = """\
#!/bin/sh
if [ "$1" = -L ]; then echo "GPU 0: NVIDIA A100 (UUID: GPU-aa)"
else echo "0, GPU-aa, NVIDIA A100, 2000, 80000, 37"
fi
"""


@pytest.mark.parametrize("pool", ["process", "thread"])
def test_where_models_are_loaded_and_how_full_the_gpu_is(mlq, start, models_toml, tmp_path, pool):
    """With a program in place of nvidia-smi; the model itself needs no GPU."""
    (program := tmp_path / "nvidia-smi").write_text(SMI)
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    models = str(models_toml("Iris Number", more={"Iris": {"device": "auto"}}))
    with start("worker", "--models", models, "--pool", pool, PATH=path, CUDA_VISIBLE_DEVICES="0"):
        hosted(mlq)
        assert mlq.model("iris", "1").predict({"length": 7, "width": 1}, 30) == {"species": "long on cuda:0"}
        mlq.model("number").predict(1, 30)
        until(lambda: len([one for one in mlq.models() if one.state == "ready"]) == 2)
        devices = {one.info.function: {process.device for process in one.processes} for one in mlq.models()}
        assert devices == {"iris@1": {"cuda:0"}, "number@1": {"cpu"}}
        (worker,) = until(lambda: [one for one in mlq.workers() if one["gpus"]])
        assert json.loads(worker["gpus"]) == [["0", "NVIDIA A100", 2000 * 2**20, 80000 * 2**20, 37]]
