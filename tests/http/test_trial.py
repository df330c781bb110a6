"""The trial of an upload: what it starts ends with it, and what it sees of the machine is little.

Each is tried twice: with a world of its own, where the kernel of this machine allows one, and without.
"""

import ctypes
import os
import pickle
import socket
import sys
import time

import cloudpickle
import pytest

from mlq.http import isolation, trial
from mlq.http.problems import Refused
from tests.http.test_consumer import Loads, made

NO_WORLD = (
    "-P",
    "-c",
    "from mlq.http import isolation, trial_program as tried; isolation.isolate = lambda: False; tried.main()",
)
ME = "int(os.readlink('/proc/self'))"  # the number that this machine knows it by; in its own world it has another

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is only the process group"),
]


def _can_have_a_world():
    child = os.fork()
    if not child:
        os._exit(0 if isolation.isolate() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture(params=["world", "none"])
def kind(request, monkeypatch):
    if request.param == "none":
        monkeypatch.setattr(trial, "PROGRAM", NO_WORLD)
    elif not _can_have_a_world():
        pytest.skip("this kernel allows no user namespaces")
    return request.param


def loads(source):
    """Code that does something when it is loaded."""
    return pickle.dumps(Loads(exec, source))


def runs(pid):
    """Whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid):
    """Wait for a process that was killed to die of it."""
    give_up = time.monotonic() + 10
    while runs(pid):
        assert time.monotonic() < give_up
        time.sleep(0.01)


# Starts processes that hide as well as an ordinary program can, and says which.
HIDES = f"""
import os, signal, time
for how in range(3):
    if os.fork() == 0:
        if how:
            os.setsid()
        for number in range(1, 32):
            if number not in (9, 19):
                signal.signal(number, signal.SIG_IGN)
        if how == 2 and os.fork():
            os._exit(0)
        with open({{place!r}} + f"/{{{{how}}}}.part", "w") as file:
            file.write(str({ME}))
        os.rename({{place!r}} + f"/{{{{how}}}}.part", {{place!r}} + f"/{{{{how}}}}")
        time.sleep(600)
while len([name for name in os.listdir({{place!r}}) if name.isdigit()]) < 3:
    time.sleep(0.01)
"""


def hidden(folder):
    return [int(path.read_text()) for path in folder.iterdir() if path.name.isdigit()]


@pytest.mark.parametrize("ending", ["is loaded", "hangs", "crashes", "raises"])
def test_nothing_that_it_started_outlives_it(kind, monkeypatch, tmp_path, ending):
    monkeypatch.setattr(trial, "TIME", 3.0)
    hides = HIDES.format(place=str(tmp_path))
    begun = time.monotonic()
    if ending == "is loaded":
        holds = made("def f(value): return holds")
        holds.__globals__["holds"] = Loads(exec, hides)
        assert trial.name_in(cloudpickle.dumps(holds)) == "f"
    else:
        last = {"hangs": "time.sleep(600)", "crashes": "os.kill(os.getpid(), 11)", "raises": "1 / 0"}[ending]
        words = {"hangs": "longer than 3 s", "crashes": "SIGSEGV", "raises": "ZeroDivisionError"}[ending]
        with pytest.raises(Refused, match=words):
            trial.name_in(loads(hides + last))
    assert time.monotonic() - begun < 60
    pids = hidden(tmp_path)
    assert len(pids) == 3
    for pid in pids:
        gone(pid)


def test_it_reads_no_other_process_in_a_world_of_its_own(monkeypatch, tmp_path):
    """Not the environment of the server, nor of any other."""
    if not _can_have_a_world():
        pytest.skip("this kernel allows no user namespaces")
    monkeypatch.setenv("MLQ_UPLOAD_SECRET", "a secret of the deployment")
    source = f"""
import os, glob
read = []
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        with open(path, "rb") as file:
            read.append((path, bool(file.read())))
    except OSError:
        pass
with open({str(tmp_path / "read")!r}, "w") as file:
    file.write(repr([{ME}, read]))
"""
    with pytest.raises(Refused):
        trial.name_in(loads(source))
    me, read = eval((tmp_path / "read").read_text())  # noqa: S307 - ours
    owner = {int(path.split("/")[2]) for path, something in read if something}
    assert me in owner
    assert os.getpid() not in owner
    assert len(owner) <= 3  # with the two that watch it, and whose environment is as empty


def test_it_has_no_network_in_a_world_of_its_own(tmp_path):
    if not _can_have_a_world():
        pytest.skip("this kernel allows no user namespaces")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        source = f"import socket; socket.create_connection(('127.0.0.1', {listening.getsockname()[1]}), 5)"
        with pytest.raises(Refused, match="Network is unreachable"):
            trial.name_in(loads(source))
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_what_it_starts_has_no_more_rights_than_it(kind):
    """Programs that make others root do not."""
    source = "status = open('/proc/self/status').read()\nraise ValueError('NoNewPrivs:\\t1' in status)"
    with pytest.raises(Refused, match="ValueError: True"):
        trial.name_in(loads(source))


def test_a_process_can_close_itself_to_others():
    """As the one that serves does, whose environment holds the tokens."""
    child = os.fork()
    if not child:
        isolation.be_unreadable()
        os._exit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
    assert os.waitpid(child, 0)[1] == 0
