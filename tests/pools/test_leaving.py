"""A stop ends the process, whatever listeners left in it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROGRAM = """
import atexit, os, signal, threading, time
from concurrent.futures import ThreadPoolExecutor
from mlq import MLQ

mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])
executor = ThreadPoolExecutor(1)

def for_ever():
    while True:
        time.sleep(60)

@mlq.create_listener
def leaves(what):
    print("said", end="")  # and not written yet
    {"thread": lambda: threading.Thread(target=for_ever, daemon=False).start(),
     "executor": lambda: executor.submit(for_ever), "at exit": lambda: atexit.register(for_ever),
     "nothing": lambda: atexit.register(print, ", and ended in order", end="")}[what]()
"""
STAYS = """
while True:
    try:
        time.sleep(60)
    except BaseException:
        print(", and stayed", end="")
"""


def test_a_stop_ends_the_process(pool, begin, mlq, lives, eventually):
    worker = begin(pool, "--grace", "60", "--concurrency", "1")
    left = mlq.submit(None, functions=["leaves_all_behind"]).result(60)
    assert lives(left)
    worker.signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    eventually(lambda: not lives(left))


def test_a_stop_while_the_listeners_are_imported(pool, begin, tmp_path, eventually):
    """That is no fault of theirs; and the first process of a container gets no signal that it does not handle."""
    (tmp_path / "imports.py").write_text("import time\nopen('importing', 'w').close()\ntime.sleep(600)\n")
    worker = begin(pool, target="imports.py")
    eventually((tmp_path / "importing").exists, 20)
    worker.signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert [line for line in worker.lines if " INFO mlq.cli: starting a child from imports.py" not in line] == []


def test_the_end_of_a_burst_is_an_end(begin, mlq, lives, eventually):
    job = mlq.submit(None, functions=["leaves_all_behind"])
    worker = begin("thread", "--burst")
    assert worker.wait(30) == 0
    eventually(lambda: not lives(job.result(0)))


def test_listeners_that_cannot_be_loaded_leave_nothing(begin, tmp_path):
    """A module that starts a thread, and then fails."""
    (tmp_path / "fails.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=False).start()\n1 / 0\n"
    )
    for pool in ("process", "thread"):
        worker = begin(pool, target="fails.py")
        assert worker.wait(30) == 2
        assert "ZeroDivisionError" in worker.lines[-1]


@pytest.fixture
def program(mlq, server_url):
    """Runs a program with a listener, and its job; stops it: its exit code, and what it wrote."""

    def run(left, more="", number=signal.SIGTERM):
        ours = {"MLQ_URL": server_url, "MLQ_TEST_NAMESPACE": mlq.namespace, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM + more], env=os.environ | ours, stdout=subprocess.PIPE, text=True
        ) as process:
            mlq.submit(left, functions=["leaves"]).result(60)
            process.send_signal(number)
            said = process.communicate(timeout=30)[0]
        return process.returncode, said

    return run


@pytest.mark.parametrize("left", ["thread", "executor", "at exit"])
def test_a_stop_ends_a_program_with_a_worker(program, left):
    """And what was printed and logged is written out."""
    assert program(left) == (0, "said")


def test_an_interpreter_that_ends_by_itself_is_left_to_it(program):
    assert program("nothing") == (0, "said, and ended in order")


def test_a_main_program_that_stays_has_no_more_than_the_grace_period(program):
    more = STAYS.replace("while", "mlq.shutdown(); mlq.create_listener(grace=0.5)\nwhile")
    assert program("nothing", more) == (0, "said, and stayed")


def test_ctrl_c_may_be_caught(program):
    """A program that goes on after it decides itself when to end; its worker has stopped."""
    more = STAYS.replace('print(", and stayed", end="")', "mlq.post('later'); os.kill(os.getpid(), signal.SIGKILL)")
    code, _ = program("nothing", more, signal.SIGINT)
    assert code == -signal.SIGKILL


def ticks(pid):
    """The processor time that a process has used, in hundredths of a second."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


@pytest.mark.parametrize("before", ["echo", "minds_signals_in_a_loop"])
def test_a_stop_ends_a_main_thread_that_is_in_c_code(begin, mlq, tell, eventually, before):
    """Python calls no handler meanwhile. An event loop that a job had may have taken the word of signals for itself."""
    worker = begin("solo", "--grace", "0.5")
    mlq.submit(None, functions=[before]).result(60)
    job = mlq.submit(None, functions=["computes"])
    tell.heard("begun")
    begun = ticks(worker.pid)
    eventually(lambda: ticks(worker.pid) > begun + 20, 60)  # 0.2 s of computing
    worker.signal(signal.SIGTERM)
    worker.logs("hands jobs back: 1")
    assert worker.wait(30) == 0
    assert job.state() == "queued"


def test_a_signal_for_a_forked_process_is_not_for_its_parent(begin, mlq, tell):
    worker = begin("solo")
    job = mlq.submit(None, functions=["forks_one"])
    os.kill(int(tell.heard("forked")), signal.SIGTERM)  # Python itself loses a SIGINT that comes as early
    assert job.result(60) == -signal.SIGTERM
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    assert worker.running()
