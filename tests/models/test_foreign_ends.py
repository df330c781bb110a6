"""How models in another interpreter end, and their processes: by crashes, signals, interruptions, or when dropped."""

import gc
import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlq import NotLoaded
from mlq.running.outcomes import failure
from mlq.system import memory
from tests.models.interpreters import client, is_alive, pid_of, place, python, raised
from tests.programs import ROOT, until

__all__ = ["python"]


def test_exit_is_an_error_of_the_prediction(python):
    does = client("Does", python)
    pid, error = pid_of(does), raised(lambda: does.predict("leave"))
    assert failure(error).fields["error_type"] == "builtins.SystemExit"
    assert pid_of(does) == pid


@pytest.mark.parametrize(
    ("act", "how"),
    [
        ("exit 9", "exited with code 9"), ("exit 0", "exited with code 0"), ("kill SIGKILL", "was killed by SIGKILL"),
        ("kill SIGSEGV", "was killed by SIGSEGV"), ("close", "was killed by SIGKILL"),
        ("garbage", "was killed by SIGKILL"),
    ],
)  # fmt: skip
def test_a_crash_is_an_error_that_says_how_and_it_is_loaded_again(python, act, how):
    does = client("Does", python)
    pid, error = pid_of(does), raised(lambda: does.predict(act))
    assert isinstance(error, ChildProcessError)
    assert str(error) == f"the process of model does@1 ({python}) {how}"
    assert pid_of(does) != pid


def test_a_crash_is_noticed_though_a_program_that_it_started_keeps_the_socket(capsys):
    does = client("Does")
    with pytest.raises(ChildProcessError, match="exited with code 7"):
        does.predict("keep")
    os.kill(int(capsys.readouterr().out.split()[-1]), signal.SIGKILL)


def test_one_that_died_unasked_is_loaded_again(caplog):
    does = client("Does")
    pid = pid_of(does)
    with caplog.at_level(logging.ERROR, "mlq.models"):
        os.kill(pid, 9)
        until(lambda: "was killed by SIGKILL" in caplog.text)
    assert pid_of(does) != pid


def test_a_load_that_fails_leaves_no_process(python, capsys):
    fails = client("Fails", python)
    with pytest.raises(NotLoaded, match=r"model fails@1 can't be loaded: FileNotFoundError: .*weights\.bin") as error:
        fails.predict(1)
    assert "abroad.py" in failure(error.value).fields["traceback"]
    pid = int(capsys.readouterr().out)
    until(lambda: not is_alive(pid) and pid not in memory._others)


def test_many_threads_load_it_once_and_take_turns(python):
    does = client("Does", python)
    with ThreadPoolExecutor(10) as threads:
        assert len(set(threads.map(lambda _: pid_of(does), range(50)))) == 1


def test_a_model_that_is_dropped_ends_its_process():
    does = client("Does")
    pid = pid_of(does)
    del does
    gc.collect()
    until(lambda: not is_alive(pid))


class Interrupted(BaseException):
    """What ends a greenlet, or a main thread."""


def test_an_interrupted_call_ends_the_process_that_would_go_on(monkeypatch, tmp_path):
    """The next call gets an answer of its own."""
    monkeypatch.setenv("ABROAD_GATE", str(tmp_path / "gate"))
    (tmp_path / "gate").touch()
    does = client("Does")
    pid = pid_of(does)

    class Stream:
        def write(self, words):
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Stream())
        with pytest.raises(Interrupted):
            does.predict("wait")
    assert pid_of(does) != pid
    until(lambda: not is_alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_its_memory_is_that_of_this_process():
    does = client("Does")
    pid_of(does)
    before = memory.resident()
    pid = does.predict("grow 200")
    grown = memory.resident() - before
    assert 150 * 2**20 < grown < 300 * 2**20
    os.kill(pid, 9)
    until(lambda: memory.resident() - before < 100 * 2**20)


PROGRAM = """
import sys
from mlq.models.testing import TestClient
client = TestClient({model!r}, python=sys.executable)
print(client.predict("pid"), flush=True)
client.predict("sleep 600")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; elsewhere it ends after its prediction")
def test_it_ends_with_a_process_that_is_killed_even_while_it_predicts():
    program = PROGRAM.format(model=place("Does"))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        lines = iter(process.stdout)
        assert next(lines) == "does pid\n"
        pid = int(next(lines))
        assert next(lines).startswith("does sleep")
        process.kill()
    until(lambda: not is_alive(pid))


def test_signals_of_a_terminal_are_left_to_this_process(python):
    does = client("Does", python)
    pid = pid_of(does)
    for number in (1, 2, 15):
        os.kill(pid, number)
        assert pid_of(does) == pid
