"""The options of `mlq worker` beside --pool: when it stops, what it checks, watches, logs and refuses."""

import json
import os
import re
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from mlq import State
from mlq.cli import watch
from tests.pools.conftest import COMMAND, LISTENERS, ROOT

pytestmark = pytest.mark.slow

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
    assert (job.result(60), later.result(1)) == ("this", 2)


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
    assert mlq.submit(None).result(60) == 1
    module.write_text(MODULE.format(version=2))
    worker.logs(" stopped")
    assert mlq.submit(None).result(60) == 2
    worker.signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert mlq.workers() == []


@pytest.fixture
def watched(begin, tmp_path, monkeypatch):
    """A watcher with a process group of its own, as a shell gives it, and its worker, which has all listeners."""
    monkeypatch.setattr(subprocess, "Popen", partial(subprocess.Popen, process_group=0))
    words = f"import sys\nsys.path.insert(0, {str(LISTENERS.parent)!r})\nfrom listeners import mlq\n"
    (tmp_path / "watched.py").write_text(words)
    return begin("process", "--watch", "--concurrency", "1", target="watched.py")


@pytest.mark.parametrize(
    "stop",
    [
        lambda pid: os.kill(pid, signal.SIGTERM),
        lambda pid: os.kill(pid, signal.SIGHUP),
        lambda pid: os.killpg(pid, signal.SIGINT),
    ],
    ids=["SIGTERM", "SIGHUP", "Ctrl-C in a terminal"],
)
def test_a_watched_worker_that_is_stopped_lets_its_jobs_end(watched, mlq, tell, stop):
    job = mlq.submit("this", functions=["waits"])
    tell.heard("begun")
    assert [os.getpgid(pid) for pid in watched.children()] == watched.children()  # Ctrl-C does not reach it, too
    stop(watched.pid)
    watched.logs("running jobs have 20 s")
    tell.say("end this")
    assert watched.wait() == 0
    assert job.result(60) == "this"
    assert [run["reason"] for run in mlq.get_job(job.id)["attempts"]] == [None]


def test_a_second_signal_ends_a_watched_worker_at_once(watched, mlq, tell):
    job = mlq.submit("this", functions=["waits"])
    tell.heard("begun")
    watched.signal(signal.SIGTERM)
    watched.logs("running jobs have 20 s")
    watched.signal(signal.SIGINT)
    assert watched.wait() == 1
    assert job.state() is State.RUNNING  # until its lease is over


def test_a_watched_worker_that_takes_long_is_told_once_and_waited_for():
    """Its own --grace is the only limit: it knows best what its jobs need."""

    class Slow:
        told, looks = 0, 0

        def terminate(self):
            self.told += 1

        def wait(self, timeout):
            self.looks += 1
            if self.looks < 1000:
                raise subprocess.TimeoutExpired("worker", timeout)
            return 0

    worker, stop = Slow(), watch._Stop()
    stop()
    assert watch._end(worker, stop) == 0
    assert worker.told == 1


def test_a_change_is_no_first_signal(watched, mlq, tell, tmp_path):
    """A stop that comes while the old worker ends for a change leaves its jobs their time."""
    job = mlq.submit("this", functions=["waits"])
    tell.heard("begun")
    (tmp_path / "watched.py").write_text("")
    watched.logs("running jobs have 20 s")
    watched.signal(signal.SIGTERM)
    tell.say("end this")
    assert watched.wait() == 0
    assert job.result(60) == "this"


def test_a_watched_worker_that_ended_is_started_again_at_the_next_change(begin, mlq, tmp_path, eventually):
    module = tmp_path / "watched.py"
    module.write_text("import nothing_of_that_name")
    worker = begin("process", "--watch", target="watched.py")
    worker.logs("No module named 'nothing_of_that_name'")
    module.write_text(MODULE.format(version=1))
    assert mlq.submit(None).result(60) == 1
    module.write_text("import nothing_of_that_name")
    worker.logs("No module named 'nothing_of_that_name'", times=2)
    eventually(lambda: all(_is_over(pid) for pid in worker.children()))
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 2


def _is_over(pid):
    """Though its parent has not asked for its exit code yet."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.fixture
def deaf():
    """What is started ignores SIGHUP and SIGINT, as after nohup, or a script's &."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_watcher_goes_on_ignoring_what_it_was_started_to_ignore(deaf, begin, mlq, tmp_path):
    module = tmp_path / "watched.py"
    module.write_text(MODULE.format(version=1))
    worker = begin("thread", "--watch", target="watched.py")
    assert mlq.submit(None).result(60) == 1
    worker.signal(signal.SIGHUP)
    worker.signal(signal.SIGINT)
    module.write_text(MODULE.format(version=20))
    worker.logs(" stopped")
    assert mlq.submit(None).result(60) == 20
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_watch_from_the_environment(begin, mlq, tmp_path, monkeypatch):
    """The worker that is watched does not watch, too."""
    monkeypatch.setenv("MLQ_WORKER_WATCH", "1")
    (tmp_path / "watched.py").write_text(MODULE.format(version=1))
    worker = begin("thread", target="watched.py")
    assert mlq.submit(None).result(60) == 1
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_watch_of_a_folder_that_is_not_there(call):
    done = call("nowhere/listeners.py", "--watch")
    assert done.returncode == 2
    assert any("can't watch nowhere" in line for line in _complaints(done))


def test_json_logs(pool, begin, mlq):
    worker = begin(pool, "--log-format", "json")
    job = mlq.submit(1, functions=["talks"])
    job.result(60)
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
        (("--concurrency", "many"), "--concurrency': 'many' is neither a whole number from 1 nor auto"),
        (("--concurrency", "0"), "--concurrency': '0' is neither"),
        (("--concurrency", "auto", "--pool", "asyncio"), "auto is for the process and thread pools"),
        (("--concurrency", "auto", "--pool", "gevent"), "auto is for the process and thread pools"),
        (("--concurrency", "auto", "--pool", "solo"), "auto is for the process and thread pools"),
        (("--gpus", "0", "--pool", "thread"), "--gpus needs child processes, and the thread pool has none"),
        (("--gpus", "0", "--pool", "asyncio"), "the asyncio pool has none"),
        (("--gpus", "0", "--pool", "solo"), "the solo pool has none"),
        (("--gpus", "0,first"), "'first' is not a GPU"),
        (("--queues", "a,,b"), "not a list of names"),
        (("--functions", "nobody"), "there is no listener nobody"),
        (("--max-jobs", "0"), "--max-jobs"),
        (("--max-memory", "much"), "not a size"),
        (("--max-losses", "0"), "--max-losses"),
        (("--grace", "-1"), "--grace"),
        (("--log-format", "xml"), "--log-format"),
        (("--pool", "solo", "--concurrency", "2"), "one job at a time"),
        (("--concurrency", "1000000"), "--concurrency 1,000,000 is too high: one worker may have 1,000"),
        (("--pool", "thread", "--concurrency", "1001"), "one worker may have 1,000"),
        (("--pool", "asyncio", "--concurrency", "10001"), "one worker may have 10,000"),
        (("--pool", "gevent", "--concurrency", "10001"), "one worker may have 10,000"),
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


def test_a_module_that_waits_for_its_own_jobs_is_refused(call, pool, tmp_path, server_url, namespace):
    """A worker imports it before it runs any jobs: it would wait for ever. With either client."""
    head = f"import asyncio\nfrom mlq import MLQ, AsyncMLQ\nmlq = MLQ({namespace!r}, url={server_url!r})\n"
    opened = f"async with AsyncMLQ({namespace!r}, url={server_url!r}) as one:"
    waits = (
        "mlq.submit(-1).result()",
        "list(mlq.as_completed([mlq.submit(-1)]))",
        "list(mlq.submit(-1).stream())",
        f"async def main():\n    {opened}\n        await (await one.submit(-1))\nasyncio.run(main())",
    )
    for number, line in enumerate(waits):
        (tmp_path / f"one{number}.py").write_text(f"{head}mlq.listener(abs)\n{line}")
        done = call(f"one{number}.py", "--pool", pool, "--concurrency", "1")
        assert done.returncode == 2
        assert "put it under if __name__ == '__main__':" in done.stderr.splitlines()[-1]
        assert re.search(rf"one{number}\.py, line \d+\)$", done.stderr)


def test_two_listeners_of_one_name_are_warned_of(call, tmp_path):
    """With both lines: the first one never runs."""
    (tmp_path / "twice.py").write_text(
        f"{MODULE}\n@mlq.listener\ndef version(value):\n    return 2\n".format(version=1)
    )
    done = call("twice.py", "--burst")
    (line,) = [line for line in done.stderr.splitlines() if "replaces" in line]
    assert re.search(
        r"WARNING .* the listener 'version' at .*twice.py, line 11 replaces the one at .*, line 7; else, rename one$",
        line,
    )


def test_a_namespace_from_the_environment_is_named_as_such(call, tmp_path, monkeypatch, namespace):
    (tmp_path / "good.py").write_text(MODULE.format(version=1))
    monkeypatch.setenv("MLQ_NAMESPACE", "other")
    (told,) = _complaints(call("good.py"))
    assert told.endswith(f"uses namespace {namespace!r}, not 'other': unset MLQ_NAMESPACE, or change one of them")


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
    assert mlq.submit(None).result(60) == 2
