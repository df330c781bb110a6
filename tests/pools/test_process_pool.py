"""The process pool by itself, in the process of the test."""

import threading

import pytest

from mlq import MLQError
from mlq.pools import child_process
from mlq.pools.child_events import ChildEvents
from mlq.pools.process import ProcessPool
from mlq.system import launch

pytestmark = pytest.mark.slow

SOON = 20.0
LISTENERS = """
import os, time
from mlq import MLQ

while not os.path.exists({go!r}):
    time.sleep(0.01)
mlq = MLQ("alone")

@mlq.listener
def echo(value):
    return value
"""


@pytest.fixture
def go(tmp_path):
    """A file that children wait for while they load the listeners."""
    return tmp_path / "go"


@pytest.fixture
def pool(tmp_path, go):
    """With one child; closed afterwards."""
    (tmp_path / "waits.py").write_text(LISTENERS.format(go=str(go)))
    made = ProcessPool([child_process.Program([*launch.command("mlq.cli.child"), str(tmp_path / "waits.py")])])
    yield made
    made.close()


@pytest.fixture
def begin_to_load(pool):
    """Has it load, on a thread; gives a function that waits for what comes of that."""
    came, known = [], threading.Event()

    def load():
        try:
            came.append(pool.load())
        except MLQError as error:
            came.append(error)
        known.set()

    def wait():
        assert known.wait(SOON), "it waits for ever"
        return came[0]

    def begin():
        threading.Thread(target=load, daemon=True).start()
        return wait

    return begin


def test_a_child_that_still_loads_the_listeners_is_replaced_when_it_has(
    pool, begin_to_load, go, eventually, monkeypatch, caplog
):
    """It would not hear that it is to end, and be killed."""
    monkeypatch.setattr(child_process, "STOP_AFTER", 0.0)
    looks, look = [], pool._groups.look
    monkeypatch.setattr(pool._groups, "look", lambda: (looks.append(1), look()))
    loaded = begin_to_load()
    eventually(lambda: pool._children, SOON)
    first = pool._children[0]
    pool.renew()
    seen = len(looks)
    eventually(lambda: len(looks) > seen + 5, SOON)
    assert pool._children == [first]
    monkeypatch.undo()
    go.touch()
    ((namespace, *_),) = loaded()
    assert namespace == "alone"
    eventually(lambda: [child.ready for child in pool._children if child is not first] == [True], SOON)
    assert "can't start" not in caplog.text


def test_nobody_waits_for_the_children_of_a_pool_that_died(begin_to_load, monkeypatch):
    def fails(*_):
        raise OSError("too many open files")

    monkeypatch.setattr(ChildEvents, "watch", fails)
    assert "no child process can be started" in str(begin_to_load()())
