"""Looking for a reply before sleeping: when it is done, and when it is left off."""

import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mlq.shell import watch
from mlq.shell.fair_semaphore import FairSemaphore
from mlq.shell.watch import MISSES, REST, Watch


class Counted(socket.socket):
    """Counts how often somebody begins to look."""

    looked = 0

    def fileno(self):
        self.looked += 1
        return super().fileno()


@pytest.fixture
def ends():
    """A connection as the shell has it, and its other end."""
    listening = socket.create_server(("127.0.0.1", 0))
    mine = Counted()
    mine.connect(listening.getsockname())
    other, _ = listening.accept()
    with listening, mine, other:
        yield SimpleNamespace(_sock=mine), other


def test_it_returns_when_the_reply_is_there_and_leaves_it_to_the_reader(ends, monkeypatch):
    monkeypatch.setattr(watch, "LOOK", 60.0)  # seconds; the limit of a test is longer
    connection, other = ends
    other.sendall(b"+OK\r\n")
    Watch().wait(connection)
    assert connection._sock.recv(100) == b"+OK\r\n"


def test_silence_is_watched_for_a_few_calls_then_none_then_again(ends):
    connection, _ = ends
    one = Watch()
    looked = []
    for _ in range(MISSES + REST + 1):
        before = connection._sock.looked
        one.wait(connection)
        looked.append(connection._sock.looked > before)
    assert looked == [True] * MISSES + [False] * REST + [True]


def test_a_reply_in_time_makes_up_for_misses(ends, monkeypatch):
    connection, other = ends
    one = Watch()
    for _ in range(MISSES - 1):
        one.wait(connection)
    other.sendall(b"+OK\r\n")
    one.wait(connection)
    connection._sock.recv(100)
    for _ in range(MISSES):
        before = connection._sock.looked
        one.wait(connection)
        assert connection._sock.looked > before


def test_under_gevent_nobody_looks():
    """The greenlets of a program go on while one waits."""
    code = """
from gevent import monkey; monkey.patch_all()
from mlq.shell.watch import Watch
Watch().wait(None)  # no connection is touched
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_one_of_several_in_a_room_is_not_alone():
    room = FairSemaphore(3)
    with room:
        assert room.alone
        with room:
            assert not room.alone
        assert room.alone
