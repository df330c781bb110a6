"""The cores and GPUs that children of real workers get."""

import os
import signal
import sys
from pathlib import Path

import pytest

from mlq.system import cores
from tests.unit.test_cores import one_core

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

CUDA = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
ONE = "1" if (os.cpu_count() or 1) > 1 else None  # a limit that changes nothing is not set
SEES = """
import os
from mlq import MLQ

mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])
at_import = dict(os.environ)

@mlq.listener
def sees(name):
    return at_import.get(name)
"""


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """Whoever runs the tests may have set these."""
    for name in (*cores.THREADS, *CUDA):
        monkeypatch.delenv(name, raising=False)


def given(pid, name):
    """A variable that a process was started with; None if it has none."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next((one.partition(b"=")[2].decode() for one in variables if one.startswith(f"{name}=".encode())), None)


def gpus_of(worker):
    return sorted(given(pid, "CUDA_VISIBLE_DEVICES") for pid in worker.children())


@pytest.mark.parametrize("pool", ["process", "thread"])
def test_auto_is_what_affinity_allows(begin, mlq, eventually, pool):
    with one_core():
        worker = begin(pool, "--concurrency", "auto")
    worker.logs(f"started, with the {pool} pool")
    eventually(lambda: [one["slots"] for one in mlq.workers()] == ["1"])


def test_auto_from_the_environment(begin, mlq, eventually, monkeypatch):
    monkeypatch.setenv("MLQ_WORKER_CONCURRENCY", "auto")
    worker = begin("process")
    worker.logs(" is ready", times=cores.usable())
    eventually(lambda: [one["slots"] for one in mlq.workers()] == [str(cores.usable())])


def test_listeners_see_their_gpu_and_threads_when_they_are_imported(begin, mlq, tmp_path):
    """That is when torch and numpy read them."""
    (tmp_path / "sees.py").write_text(SEES)
    with one_core():
        begin("process", "--gpus", "3,3", target="sees.py")
    seen = {name: mlq.submit(name).result(60) for name in (*CUDA, *cores.THREADS)}
    assert seen == {"CUDA_VISIBLE_DEVICES": "3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"} | dict.fromkeys(cores.THREADS, ONE)


def test_gpus_go_round(begin):
    """Three children on two GPUs."""
    worker = begin("process", "--gpus", "4,5", "--concurrency", "3")
    worker.logs("GPUs of the children, one each: 4, 5, 4")
    worker.logs(" is ready", times=3)
    assert gpus_of(worker) == ["4", "4", "5"]


def test_a_child_for_each_gpu_that_may_be_used(begin, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,2")
    monkeypatch.setenv("MLQ_WORKER_GPUS", "auto")
    worker = begin("process")
    worker.logs(" is ready", times=2)
    assert gpus_of(worker) == ["2", "6"]
    assert {given(pid, "CUDA_DEVICE_ORDER") for pid in worker.children()} == {None}


def test_gpus_that_no_child_uses_are_named(begin):
    worker = begin("process", "--gpus", "0,1,2", "--concurrency", "1")
    assert "unused GPUs, as there are fewer children: 1, 2" in worker.logs("WARNING")


def test_a_child_that_replaces_another_keeps_its_gpu(begin, eventually):
    """After a crash, and after SIGHUP."""
    worker = begin("process", "--gpus", "0,1,2")
    worker.logs(" is ready", times=3)
    before = worker.children()
    killed = next(pid for pid in before if given(pid, "CUDA_VISIBLE_DEVICES") == "1")
    os.kill(killed, signal.SIGKILL)
    worker.logs(" is ready", times=4)
    assert gpus_of(worker) == ["0", "1", "2"]
    worker.signal(signal.SIGHUP)
    worker.logs(" is ready", times=7)
    eventually(lambda: not set(before) & set(worker.children()))
    assert gpus_of(worker) == ["0", "1", "2"]


def test_no_gpu_at_all(begin, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    worker = begin("process", "--gpus", "auto")
    assert worker.wait() == 2
    worker.logs("mlq: --gpus auto: CUDA_VISIBLE_DEVICES= allows none")


def test_without_the_option_nothing_is_hidden(begin):
    worker = begin("process")
    worker.logs(" is ready")
    assert {given(pid, CUDA[0]) for pid in worker.children()} == {None}


@pytest.mark.parametrize(("pool", "children"), [("process", 2), ("gevent", 1)])
def test_children_share_the_threads(begin, pool, children):
    with one_core():
        worker = begin(pool, "--concurrency", "2")
    worker.logs(" is ready", times=children)
    threads = {name: {given(pid, name) for pid in worker.children()} for name in cores.THREADS}
    assert threads == {name: {ONE} for name in cores.THREADS}


def test_threads_that_the_user_has_chosen_stay(begin, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    worker = begin("process", "--concurrency", "3")
    worker.logs(" is ready", times=3)
    assert {given(pid, "OMP_NUM_THREADS") for pid in worker.children()} == {"5"}
    assert {given(pid, "MKL_NUM_THREADS") for pid in worker.children()} == {None}
