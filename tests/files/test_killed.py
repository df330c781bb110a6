"""Client, worker, child and server are killed while a file is predicted: its output is that of an undisturbed run."""

import json
import os
import signal

import pytest

from mlq import server
from tests.programs import ROOT, until

pytestmark = pytest.mark.slow

ROWS = 2000
SLOW = {"ROWS_TAKE": "0.002"}


def wait_for_parts(tmp_path, count, client):
    """Wait until a run has so many parts, or has ended."""
    parts = tmp_path / "out.csv.partial"
    until(lambda: len(list(parts.glob("*.lines"))) >= count or client.process.poll() is not None)


def predicted(tmp_path, seen, expected):
    """The output is right, nothing else is left, and each row was predicted; returns those that were more than once."""
    assert (tmp_path / "out.csv").read_text() == expected
    assert not (tmp_path / "out.csv.partial").exists()
    counts = seen()
    assert len(counts) == expected.count("\n") - 1
    return {row: count for row, count in counts.items() if count > 1}


def test_the_client_is_killed_again_and_again(mlq, start, work, rows, seen, tmp_path):
    """It predicts nothing twice, and once it has finished, nothing at all."""
    expected, command = rows(ROWS), ("predict", "double", "in.csv", "-o", "out.csv")
    work(**SLOW)
    for count in (1, 2, 4, 5):
        client = start(*command)
        wait_for_parts(tmp_path, count, client)
        client.kill()
    assert start(*command).wait() == 0
    assert predicted(tmp_path, seen, expected) == {}
    assert mlq.job_count() == 0
    again = start(*command)
    assert (again.wait(), "already done: out.csv has 2,000 rows" in again.said()) == (0, True)
    (tmp_path / "out.csv").write_text("mine")
    again = start(*command)
    assert (again.wait(), "exists already" in again.said()) == (2, True)
    assert set(seen().values()) == {1}


def test_killed_after_all_files_have_their_names(start, work, rows, seen, tmp_path):
    """Nothing is left to go on with then; the same command says that it is done."""
    rows(5)
    work()
    command = ("predict", "double", "in.csv", "-o", "out.csv")
    (tmp_path / "sitecustomize.py").write_text(
        "import os, mlq.files.local as local\n"
        "whole = local.LocalFolder.remove\n"
        "def remove(self, last):\n"
        "    whole(self, last)\n"
        "    os.kill(os.getpid(), 9)\n"
        "local.LocalFolder.remove = remove\n"
    )
    assert start(*command, PYTHONPATH=f"{tmp_path}:{ROOT}").wait() == -signal.SIGKILL
    assert (tmp_path / "out.csv").exists()
    assert not (tmp_path / "out.csv.partial").exists()
    again = start(*command, "--json")
    assert (again.wait(), json.loads(again.said())["rows"]) == (0, 5)
    assert start(*command, "--keep", "n").wait() == 2


def test_workers_are_killed(start, work, rows, seen, tmp_path):
    """Each of their slots may predict one chunk again."""
    expected, worker = rows(ROWS), work(**SLOW)
    client = start("predict", "double", "in.csv", "-o", "out.csv")
    for count in (1, 3):
        wait_for_parts(tmp_path, count, client)
        worker.kill()
        worker = work(**SLOW)
    assert client.wait() == 0, client.said()
    again = predicted(tmp_path, seen, expected)
    assert set(again.values()) <= {2, 3}
    assert len(again) < ROWS / 2


def test_a_child_is_killed(start, work, rows, seen, tmp_path):
    expected = rows(ROWS)
    work(**SLOW)
    client = start("predict", "double", "in.csv", "-o", "out.csv")
    wait_for_parts(tmp_path, 1, client)
    os.kill(int((tmp_path / "seen").read_text().split()[-1]), signal.SIGKILL)
    assert client.wait() == 0, client.said()
    assert set(predicted(tmp_path, seen, expected).values()) <= {2}


def test_a_row_that_kills_its_child_fails_alone(start, work, rows, seen, tmp_path):
    """It is found by halving; a row that never ends is, too."""
    expected = rows(40)
    text = (tmp_path / "in.csv").read_text().replace("\n5\n", "\ndie\n")
    (tmp_path / "in.csv").write_text(text)
    work()
    client = start("predict", "double", "in.csv", "-o", "out.csv")
    assert client.wait(100) == 5, client.said()
    assert (tmp_path / "out.csv").read_text() == expected.replace("\n5,10\n", "\n")
    told = (tmp_path / "out.errors.csv").read_text().splitlines()
    assert (told[0], len(told), told[1][:2]) == ("line,error", 2, "7,")


def test_a_row_that_hangs_fails_alone(start, work, rows, seen, tmp_path):
    rows(20)
    work()
    client = start("predict", "hang", "in.csv", "-o", "out.csv")
    assert client.wait(100) == 5, client.said()
    assert (tmp_path / "out.csv").read_text().split() == ["prediction", *(str(n) for n in range(20) if n != 7)]
    assert (tmp_path / "out.errors.csv").read_text().splitlines()[1].startswith("9,")


def test_the_server_is_killed(start, work, rows, seen, tmp_path):
    """The client waits for it; what it has lost runs again."""
    expected = rows(ROWS)
    with server.scratch(appendfsync="everysec") as scratch:
        there = {"MLQ_URL": scratch.url}
        worker = work(**SLOW, **there)
        client = start("predict", "double", "in.csv", "-o", "out.csv", **there)
        for count in (1, 3):
            wait_for_parts(tmp_path, count, client)
            scratch.kill()
            scratch.restart()
        assert client.wait() == 0, client.said()
        worker.kill()
    assert set(predicted(tmp_path, seen, expected).values()) <= {2, 3}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_it_in_order(mlq, start, work, rows, seen, tmp_path, number, code):
    expected, command = rows(ROWS), ("predict", "double", "in.csv", "-o", "out.csv")
    work(**SLOW)
    client = start(*command)
    wait_for_parts(tmp_path, 1, client)
    client.send(number)
    assert client.wait() == code
    assert "run the same again to go on" in client.said()
    assert not (tmp_path / "out.csv").exists()
    assert start(*command).wait() == 0
    assert predicted(tmp_path, seen, expected) == {}


def test_it_says_why_it_waits(known, start, tmp_path):
    (tmp_path / "in.csv").write_text("length,width\n1,2\n")
    client = start("predict", "iris", "in.csv", "-o", "out.csv")
    until(lambda: "waiting: no worker is running" in client.said())
    client.send(signal.SIGINT)
    assert client.wait() == 130
    again = start("predict", "iris", "in.csv", "-o", "out.csv", "--json")
    until(lambda: "no worker is running" in again.said())
    assert json.loads(again.said().splitlines()[0])["rows"] == 0
