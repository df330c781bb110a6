"""What a listener of the process pool starts ends with the child in which it ran, whatever ended that."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LISTENERS = Path(__file__).with_name("listeners.py")
ADOPTS = """
import ctypes, sys
ctypes.CDLL(None).prctl(36, 1)  # as if it were the first process of a container: PR_SET_CHILD_SUBREAPER
from mlq.cli import main
sys.argv[0] = "mlq"
main()
"""


@pytest.fixture
def helpers(begin, mlq, tell, lives):
    """Starts a worker whose listener has started helpers: the worker, the job and all the processes."""

    def start(then, *words, **options):
        worker = begin("process", *words)
        job = mlq.submit(then, functions=["starts_helpers"], **options)
        pids = [int(pid) for pid in tell.heard("helpers").split()]
        assert all(lives(pid) for pid in pids)
        return worker, job, pids

    return start


def test_with_a_child_that_is_killed_for_its_job(helpers, mlq, eventually, lives):
    worker, job, pids = helpers("hang")
    job.cancel()
    eventually(lambda: not any(lives(pid) for pid in pids))
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    assert worker.running()


def test_with_a_child_that_ran_out_of_time(helpers, eventually, lives):
    _, job, pids = helpers("hang", timeout=5)
    eventually(lambda: job.state() == "failed", 20)
    eventually(lambda: not any(lives(pid) for pid in pids))


def test_with_a_child_that_crashes(helpers, tell, eventually, lives):
    _, _, pids = helpers("crash", "--max-losses", "1")
    tell.say("go on")
    eventually(lambda: not any(lives(pid) for pid in pids))


def test_with_a_child_that_has_served(helpers, mlq, tell, eventually, lives):
    """It ends by itself; and until then what its job has left there goes on."""
    _, job, pids = helpers("end", "--max-jobs", "2")
    tell.say("go on")
    job.result(60)
    assert all(lives(pid) for pid in pids)
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    eventually(lambda: not any(lives(pid) for pid in pids))


@pytest.mark.parametrize("grace", ["0", "60"])
def test_with_a_worker_that_stops(helpers, tell, eventually, grace, lives):
    worker, job, pids = helpers("end", "--grace", grace)
    worker.signal(signal.SIGTERM)
    worker.logs(" stops; ")
    if grace == "60":  # its time is its own
        assert all(lives(pid) for pid in pids)
        tell.say("go on")
    assert worker.wait(20) == 0
    assert not any(lives(pid) for pid in pids)
    assert job.state() == ("queued" if grace == "0" else "succeeded")


@pytest.mark.parametrize("killed", ["at once", "by a second signal"])
def test_with_a_worker_that_is_killed(helpers, eventually, killed, lives):
    worker, _, pids = helpers("hang")
    if killed == "at once":
        worker.signal(signal.SIGKILL)
    else:
        worker.signal(signal.SIGTERM)
        worker.logs(" stops; ")
        worker.signal(signal.SIGTERM)
    eventually(lambda: not any(lives(pid) for pid in pids))


def test_ctrl_c_in_a_terminal_is_not_for_helpers(helpers, mlq, tell, lives):
    """The terminal signals the group in its foreground; what runs has the grace period all the same."""
    worker, job, pids = helpers("end")
    assert {session(pid) for pid in pids} == {pids[0]}
    assert session(worker.pid) != pids[0]
    worker.signal(signal.SIGINT)
    worker.logs(" stops; ")
    assert all(lives(pid) for pid in pids)
    tell.say("go on")
    assert worker.wait(20) == 0
    assert job.state() == "succeeded"


def session(pid: int) -> int:
    """The session of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])


def test_a_tracker_of_shared_memory_has_time_to_clean_up(begin, mlq, tell, eventually):
    begin("process")
    job = mlq.submit(None, functions=["shares_memory"])
    segment = Path("/dev/shm", tell.heard("segment"))  # noqa: S108 - where Linux keeps them
    assert segment.exists()
    job.cancel()
    eventually(lambda: not segment.exists())


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such processes")
def test_the_first_process_of_a_container_collects_orphans(mlq, tell, server_url, eventually):
    """Those that its children left; what ended is gone altogether."""
    ours = {"MLQ_URL": server_url, "MLQ_TEST_NAMESPACE": mlq.namespace, "MLQ_TEST_SIDE": server_url}
    command = [sys.executable, "-c", ADOPTS, "worker", str(LISTENERS), "--max-losses", "1"]
    with subprocess.Popen(command, env=os.environ | ours | {"PYTHONPATH": str(ROOT)}) as worker:
        mlq.submit("crash", functions=["starts_helpers"])
        pids = tell.heard("helpers").split()
        tell.say("go on")
        eventually(lambda: not any(Path("/proc", pid).exists() for pid in pids))
        assert mlq.submit(1, functions=["echo"]).result(60) == 1
        worker.terminate()
        assert worker.wait(20) == 0
