"""The options of `mlq worker` beside --pool: when it stops, what it checks, watches, logs and refuses."""

import json
import os
import signal
import subprocess

import pytest

from tests.pools.conftest import COMMAND, ROOT

MODULE = """
import os
from mlq import MLQ

mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])

@mlq.listener
def version(value):
    return {version}
"""
TWO = MODULE + "\nother = MLQ('another')\n\n@other.listener\ndef theirs(value):\n    return value\n"


@pytest.fixture
def call(server_url, namespace, tmp_path):
    """Runs the command to its end."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"MLQ_URL": server_url, "MLQ_TEST_NAMESPACE": namespace, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [*COMMAND, "worker", *words], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30,
            check=False,
        )  # fmt: skip

    return run


def test_burst_stops_when_nothing_waits(pool, begin, mlq):
    ids = mlq.post_many(range(20), functions=["echo"])
    worker = begin(pool, "--burst")
    assert worker.wait(20) == 0
    assert [mlq.get_result(job_id) for job_id in ids] == list(range(20))
    assert mlq.workers() == []


def test_burst_waits_for_what_runs(begin, mlq, tell):
    job = mlq.submit("this", functions=["waits"])
    worker = begin("process", "--burst")
    tell.heard("begun")
    later = mlq.submit(2, functions=["echo"])
    tell.say("end this")
    assert worker.wait(20) == 0
    assert (job.result(1), later.result(1)) == ("this", 2)


def test_check(begin, call, mlq, eventually):
    space = ("--namespace", mlq.namespace)
    nobody = call("--check", *space)
    assert nobody.returncode == 1
    assert _complaints(nobody) == [f"mlq: no worker of this host in namespace {mlq.namespace!r} is alive"]
    worker = begin("thread", "--name", "front")
    eventually(lambda: len(mlq.workers()) == 1)
    assert call("--check", *space).returncode == 0
    assert call("--check", "--name", "front", *space).returncode == 0
    assert call("--check", "--name", "back", *space).returncode == 1
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert call("--check", *space).returncode == 1
    assert call("--check", "--url", "redis://127.0.0.1:1", *space).returncode == 1


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_watch_starts_again_when_a_file_changes(kind, begin, mlq, tmp_path):
    module = tmp_path / "watched.py"
    module.write_text(MODULE.format(version=1))
    worker = begin(kind, "--watch", target="watched.py")
    assert mlq.submit(None).result(20) == 1
    module.write_text(MODULE.format(version=2))
    worker.logs(" stopped")
    assert mlq.submit(None).result(20) == 2
    worker.signal(signal.SIGTERM)
    assert worker.wait(20) in {0, -signal.SIGTERM}
    assert mlq.workers() == []


def test_json_logs(pool, begin, mlq):
    worker = begin(pool, "--log-format", "json")
    job = mlq.submit(1, functions=["talks"])
    job.result(20)
    worker.logs('"app"')
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    told = [json.loads(line) for line in worker.lines if line.startswith("{")]
    assert [line for line in worker.lines if not line.startswith("{")] == ["to stderr\n"]
    assert all({"time", "level", "logger", "message"} <= set(one) for one in told)
    (logged,) = [one for one in told if one["logger"] == "app"]
    assert (logged["level"], logged["message"], logged["job"]) == ("warning", "logged", job.id)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--pool", "threads"), "--pool"),
        (("--concurrency", "many"), "--concurrency"),
        (("--queues", "a,,b"), "no list of names"),
        (("--functions", "nobody"), "there is no listener nobody"),
        (("--max-jobs", "0"), "--max-jobs"),
        (("--max-memory", "much"), "no size"),
        (("--max-losses", "0"), "--max-losses"),
        (("--grace", "-1"), "--grace"),
        (("--log-format", "xml"), "--log-format"),
        (("--pool", "solo", "--concurrency", "2"), "one job at a time"),
    ],
)
def test_values_that_make_no_sense(call, tmp_path, words, reason):
    (tmp_path / "good.py").write_text(MODULE.format(version=1))
    done = call("good.py", *words)
    assert done.returncode == 2
    (told,) = _complaints(done)
    assert reason in told


def _complaints(done):
    """All that it says but what is no trouble."""
    told = [line for line in done.stderr.splitlines() if " INFO " not in line]
    assert all(line.startswith("mlq: ") for line in told), told
    return told


def test_a_missing_target(call):
    done = call()
    assert done.returncode == 2
    assert "MODULE_OR_FILE" in done.stderr


def test_a_module_that_cannot_be_imported(call, pool, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_that_name")
    done = call("broken.py", "--pool", pool, "--concurrency", "1")
    assert done.returncode == 2
    (line,) = _complaints(done)
    assert "No module named 'nothing_of_that_name'" in line


def test_children_that_die_at_their_import_are_given_up(call, tmp_path):
    """After five of them; the exit code is one for the supervisor."""
    (tmp_path / "dies.py").write_text("import os\nos.kill(os.getpid(), 9)")
    done = call("dies.py")
    assert done.returncode == 70
    assert done.stderr.count("was killed by SIGKILL") == 5
    assert done.stderr.splitlines()[-1] == "mlq: no child process can be started"


def test_two_queues_in_one_module(call, begin, mlq, tmp_path):
    (tmp_path / "two.py").write_text(TWO.format(version=2))
    done = call("two.py", "--concurrency", "2")
    assert done.returncode == 2
    (line,) = _complaints(done)
    assert repr(mlq.namespace) in line
    assert "choose one with --namespace" in line
    begin("process", "--namespace", mlq.namespace, target="two.py")
    assert mlq.submit(None).result(20) == 2
