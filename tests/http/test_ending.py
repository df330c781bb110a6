"""How a server process ends: told to, with its owner, or by accident."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pytest

from controller import app
from mlq import InputError
from mlq.cli.serve import serve as serve_command
from mlq.http.process import Plan, ServerProcess
from mlq.http.settings import local_uploads
from tests.http.asking import ask, port_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
POST = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
OWNER = """
import sys, time
from mlq.http.process import Plan, ServerProcess
serving = ServerProcess(Plan({namespace!r}, {url!r}), "127.0.0.1", 0)
serving.start()
print(serving.url, serving._process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def no_process(monkeypatch):
    """None can be started."""

    def fails(*_, **__):
        raise BlockingIOError

    monkeypatch.setattr(subprocess, "Popen", fails)


def test_where_no_process_can_be_started_no_descriptor_stays(no_process):
    before = set(Path("/dev/fd").iterdir())
    serving = ServerProcess(Plan("n", None), "127.0.0.1", 0)
    with pytest.raises(BlockingIOError):
        serving.start()
    serving.stop(0)
    assert set(Path("/dev/fd").iterdir()) == before


def test_only_what_was_started_is_kept(no_process, monkeypatch, mlq):
    monkeypatch.setattr(app.way_out, "keep", lambda *_: pytest.fail("it was kept"))
    with pytest.raises(BlockingIOError):
        app.server(mlq, "127.0.0.1", 0)


@pytest.mark.parametrize("said", ["", "0", "1", "true", "True", "yes", "on", "no", "off", "maybe"])
def test_who_may_upload_is_said_in_the_same_words_everywhere(monkeypatch, said):
    monkeypatch.setenv("MLQ_SERVE_LOCAL_UPLOADS", said)
    try:
        told = serve_command.make_context("serve", [], auto_envvar_prefix="MLQ_SERVE").params["local_uploads"]
    except click.BadParameter:
        with pytest.raises(InputError, match=r"MLQ_SERVE_LOCAL_UPLOADS: .*maybe"):
            local_uploads()
    else:
        assert local_uploads() is told is (said in ("1", "true", "True", "yes", "on"))


def eventually(true, seconds=10.0):
    give_up = time.monotonic() + seconds
    while not true() and time.monotonic() < give_up:
        time.sleep(0.01)
    return true()


@pytest.fixture
def waiting(mlq):
    """A post that waits for its result, and what lets it end."""
    go = threading.Event()

    def hold(_msg):
        go.wait(20)
        return "done"

    mlq.create_listener(hold)

    def post(serving):
        pool = ThreadPoolExecutor(1)
        given = pool.submit(ask, serving, "/jobs", "POST", {"msg": 1}, {"Prefer": "wait=20"})
        assert eventually(lambda: mlq.counts().running == 1)
        pool.shutdown(wait=False)
        return given, go

    return post


@pytest.mark.parametrize("times", [1, 3])
def test_requests_under_way_are_answered_before_the_end(serve, waiting, times):
    serving = serve()
    given, go = waiting(serving)
    for _ in range(times):  # systemd tells the process itself, and so does its owner
        serving._process.send_signal(signal.SIGTERM)
    stopping = threading.Thread(target=serving.stop, args=(10,))
    stopping.start()
    assert eventually(lambda: not _answers(serving))
    go.set()
    assert (given.result(60).status, given.result(60).text) == (200, "done")
    stopping.join(15)
    assert (serving.stopped.is_set(), serving._process.returncode, serving.broken) == (True, 0, False)


def _answers(serving):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port_of(serving)), 1):
        return True
    return False


def test_streams_end_at_once(serve, follow, mlq):
    serving = serve()
    streams = [follow(serving, mlq.post(1)) for _ in range(5)]
    for events in streams:
        events.until("state")
    began = time.monotonic()
    serving.stop(10)
    assert time.monotonic() - began < 5
    assert serving._process.returncode == 0
    for events in streams:
        with contextlib.suppress(http.client.IncompleteRead):
            assert list(events) == []


def test_a_stop_without_grace_waits_for_nobody(serve, waiting):
    serving = serve()
    given, go = waiting(serving)
    began = time.monotonic()
    serving.stop(0)
    assert time.monotonic() - began < 5
    with pytest.raises((OSError, http.client.HTTPException)):
        given.result(60)
    go.set()
    serving.stop(0)


def test_an_end_that_nobody_asked_for_is_told(serve, caplog):
    serving = serve()
    assert ask(serving, "/healthz").status == 200
    serving._process.kill()
    assert serving.stopped.wait(10)
    assert serving.broken
    assert "ended with code -9" in caplog.text


def test_it_ends_with_its_owner(mlq, server_url):
    program = OWNER.format(namespace=mlq.namespace, url=server_url)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}) as owner:  # fmt: skip
        url, pid = owner.stdout.readline().split()
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok"
        connection.close()
        owner.kill()
    assert eventually(lambda: not _lives(int(pid)))


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_command_serves_until_it_is_told_to_end(mlq, server_url):
    words = ["serve", "--port", "0", "--url", server_url, "--namespace", mlq.namespace]
    with subprocess.Popen([sys.executable, "-m", "mlq.cli", *words], stderr=subprocess.PIPE, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:  # fmt: skip
        url = next(found[0] for line in process.stderr if (found := re.findall(r"http://[\d.:]+", line)))
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        connection.request("POST", "/jobs", b'{"msg": 5}', {"Content-Type": "application/json"})
        assert mlq.get_job(connection.getresponse().read().decode())["msg"] == 5
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
