"""How a client finds its server, and what it says when it can't."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlq import (
    MLQ,
    AsyncMLQ,
    InputError,
    MLQError,
    NoServer,
    OutOfMemory,
    ServerError,
    Unsupported,
    ValueRefused,
    server,
)

ROOT = Path(__file__).parents[2]


def test_making_one_connects_to_nothing() -> None:
    """Nor does it start a thread or a server, or load what only workers need."""
    script = """if True:
        import socket, sys, threading
        def refuse(*_): raise AssertionError("a socket was made")
        socket.socket.connect = refuse
        from mlq import MLQ, AsyncMLQ
        MLQ("ns"), MLQ("ns", "example.org", 6379, 0), MLQ("ns", url="redis://nowhere")
        assert "redis" not in sys.modules
        AsyncMLQ("ns")
        assert threading.active_count() == 1
        loaded = {"mlq.worker", "flask", "gevent", "urllib3", "mlq.deliveries.sender"} & set(sys.modules)
        assert not loaded, loaded
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)})


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch, server_url: str, namespace: str) -> None:
    """And `server` tells which was chosen, without a password."""
    monkeypatch.setenv("MLQ_URL", "redis://user:secret@127.0.0.1:1/0")
    named = MLQ(namespace, url=server_url)
    assert named.post(1) == "1"
    assert named.server == f"{server_url} (from arguments)"
    assert MLQ(namespace, server_url).server == f"{server_url} (from arguments)"
    from_environment = MLQ(namespace)
    assert "from MLQ_URL" in from_environment.server
    assert "secret" not in from_environment.server
    with pytest.raises(NoServer, match="MLQ_URL") as caught:
        from_environment.post(1)
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("MLQ_URL", server_url)
    assert MLQ(namespace).post(1) == "2"
    named.close()


def test_old_arguments(namespace: str) -> None:
    """Host, port and database by position."""
    with server.scratch(appendfsync=None, port=0) as scratch:
        port = int(scratch.url.rpartition(":")[2])
        mlq = MLQ(namespace, "127.0.0.1", port, 3)
        assert mlq.post({"a": 1}) == "1"
        assert mlq._redis.info("keyspace").keys() == {"db3"}
        mlq.close()


def test_a_forked_child_posts(mlq: MLQ) -> None:
    """Parent and child post in turns; every post is a job of its own, with its own message."""
    ids = {mlq.post("parent 0"): "parent 0"}
    for turn in range(3):
        receiving, sending = os.pipe()
        child = os.fork()
        if not child:
            os.write(sending, mlq.post(f"child {turn}").encode())
            os._exit(0)
        if turn % 2:
            ids[mlq.post(f"parent {turn + 1}")] = f"parent {turn + 1}"
        assert os.waitpid(child, 0)[1] == 0
        os.close(sending)
        with open(receiving) as pipe:
            ids[pipe.read()] = f"child {turn}"
        if not turn % 2:
            ids[mlq.post(f"parent {turn + 1}")] = f"parent {turn + 1}"
    assert len(ids) == 7
    assert {job_id: mlq.get_job(job_id)["msg"] for job_id in ids} == ids


def test_connections_that_were_killed_are_made_anew(mlq: MLQ, raw: Any) -> None:
    """By CLIENT KILL, in the middle of a wait as well; nothing is posted twice."""
    assert mlq.post(0) == "1"
    waiting = threading.Thread(target=lambda: mlq.wait("1", 10))
    waiting.start()
    for i in range(2, 22):
        if i % 5 == 0:
            raw.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert mlq.post(i) == str(i)
    assert waiting.is_alive()
    mlq.create_listener(lambda message: message)
    waiting.join(10)
    assert not waiting.is_alive()
    raw.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert mlq.submit(5).result(60) == 5


def _refused(error: pytest.ExceptionInfo[MLQError], *words: str) -> None:
    """The text holds the words, and no traceback of redis-py is shown."""
    for word in words:
        assert word in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_nobody_there() -> None:
    """The error names the server, what made us choose it, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(NoServer) as caught:
        MLQ("ns", "127.0.0.1", port).post(1)
    _refused(caught, f"127.0.0.1:{port}", "from arguments", "Is it running")


def test_no_such_host() -> None:
    """A name that can't be resolved."""
    with pytest.raises(NoServer) as caught:
        MLQ("ns", url="redis://no-such-host.invalid:6379").post(1)
    _refused(caught, "no-such-host.invalid")


def test_no_server_is_a_connection_error(namespace: str) -> None:
    """Programs need not know our classes."""
    with pytest.raises(ConnectionError):
        MLQ(namespace, url="redis://127.0.0.1:1").job_count()


@pytest.mark.parametrize("given", ["", ":wrong@"], ids=["no password", "a wrong one"])
def test_a_server_that_wants_a_password(given: str) -> None:
    """The error says what to give, and does not show what was given."""
    with server.scratch(appendfsync=None, port=0, extra=("--requirepass", "right")) as scratch:
        address = scratch.url.removeprefix("redis://")
        with pytest.raises(ServerError) as caught:
            MLQ("ns", url=f"redis://{given}{address}").post(1)
        _refused(caught, address, "user:password@host")
        assert "wrong@" not in str(caught.value)
        assert MLQ("ns", url=f"redis://:right@{address}").post(1) == "1"


class Pretender:
    """Listens like a server, and answers every request with the same bytes, or not at all."""

    def __init__(self, answer: bytes | None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._answer = answer
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            if self._answer is not None:
                connection.recv(4096)
                connection.sendall(self._answer)
                connection.close()

    def close(self) -> None:
        """Hang up."""
        for one in (self._listening, *self._open):
            one.close()


@pytest.fixture(params=["http", "silent", "closes"])
def pretender(request: pytest.FixtureRequest) -> Iterator[Pretender]:
    """Something that is not Redis."""
    answers = {"http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "silent": None, "closes": b""}
    made = Pretender(answers[request.param])
    yield made
    made.close()


def test_something_that_is_not_redis(pretender: Pretender) -> None:
    """Is reported within seconds, whatever it says or does not say."""
    with pytest.raises(NoServer) as caught:
        MLQ("ns", "127.0.0.1", pretender.port).post(1)
    _refused(caught, f"127.0.0.1:{pretender.port}")


async def _post_async(url: str) -> None:
    async with AsyncMLQ("ns", url=url) as mlq:
        await mlq.post(1)


def test_a_server_that_is_too_old() -> None:
    """Is told apart from one that is not there, before anything was written."""
    with server.scratch(appendfsync=None, extra=("--rename-command", "ZMSCORE", "")) as scratch:
        mlq = MLQ("ns", url=scratch.url)
        for _ in range(2):
            with pytest.raises(Unsupported) as caught:
                mlq.post(1)
            _refused(caught, scratch.url, "ZMSCORE", "6.2")
        with pytest.raises(Unsupported, match="ZMSCORE"):
            asyncio.run(_post_async(scratch.url))
        assert mlq._redis.dbsize() == 0


@pytest.mark.parametrize("port", [None, 0], ids=["unix", "tcp"])
@pytest.mark.parametrize("size", [1_100_000, 30_000_000])
def test_a_message_above_a_limit_of_the_server(namespace: str, port: int | None, size: int) -> None:
    """The server says so and cuts the connection amid it; that is told at once, and the next post goes well."""

    async def post_async(url: str) -> None:
        async with AsyncMLQ(namespace, url=url) as mlq:
            await mlq.post(1)
            with pytest.raises(ValueRefused, match="invalid bulk length"):
                await mlq.post(bytes(size))
            assert await mlq.job_count() == 3

    with server.scratch(appendfsync=None, port=port, extra=("--proto-max-bulk-len", "1mb")) as scratch:
        mlq = MLQ(namespace, url=scratch.url)
        mlq.post(1)
        with pytest.raises(ValueRefused, match="invalid bulk length") as caught:
            mlq.post(bytes(size))
        _refused(caught, scratch.url, "Raise its limit")
        mlq.post(2)
        asyncio.run(post_async(scratch.url))
        mlq.close()


def test_a_full_server(namespace: str) -> None:
    """Posts are refused and nothing is written; reading, deleting and clearing make room again."""
    with server.scratch(appendfsync=None, extra=("--maxmemory", "100mb")) as scratch:
        mlq = MLQ(namespace, url=scratch.url)
        ids = mlq.post_many(["x" * 100_000] * 20)
        mlq._redis.config_set("maxmemory", "1mb")
        keys = mlq._redis.dbsize()
        with pytest.raises(OutOfMemory, match="maxmemory") as caught:
            mlq.post("one more")
        _refused(caught, scratch.url)
        assert mlq._redis.dbsize() == keys
        assert mlq.job_count() == 20
        mlq.delete(ids[0])
        assert mlq.job_count() == 19
        mlq._redis.config_set("maxmemory", "100mb")
        mlq.create_listener(len)
        assert mlq.wait(ids[19], 10) == 100_000
        mlq._redis.config_set("maxmemory", "1mb")
        assert mlq.clear() > 0
        mlq.shutdown(grace=0)
        mlq.close()


def test_a_worker_outlives_a_full_server(namespace: str) -> None:
    """What it can't settle it keeps, and settles once there is room; the job is not run again."""
    with server.scratch(appendfsync=None, extra=("--maxmemory", "100mb")) as scratch:
        mlq = MLQ(namespace, url=scratch.url)
        begun, go_on = threading.Event(), threading.Event()

        def work(message: Any) -> str:
            begun.set()
            go_on.wait(10)
            return "x" * 100_000

        mlq.create_listener(work)
        job = mlq.submit(1)
        assert begun.wait(5)
        mlq._redis.config_set("maxmemory", "1")
        go_on.set()
        mlq._worker.stopped.wait(1.5)
        assert job.state() == "running"
        mlq._redis.config_set("maxmemory", "0")
        assert job.result(60) == "x" * 100_000
        assert mlq.get_job(job.id)["retries"] == 0
        mlq.shutdown(grace=0)
        mlq.close()


@pytest.mark.parametrize(
    "arguments",
    [("a{b}",), ("",), ("a\nb",), ("x" * 129,), (None,), ("ns", "host", 0), ("ns", "host", 70000), ("ns", "host", "x"),
     ("ns", "http://host"), ("ns", "host", 1, -1)],
    ids=range(10),
)  # fmt: skip
def test_arguments_that_can_not_be_are_refused(arguments: tuple[Any, ...]) -> None:
    """When the client is made, and by name."""
    with pytest.raises(InputError):
        MLQ(*arguments)
    with pytest.raises(InputError):
        AsyncMLQ(*arguments)


def test_a_server_that_is_stopped_for_a_moment(namespace: str) -> None:
    """SIGSTOP and SIGCONT: the post takes longer, and is one job."""
    with server.scratch(appendfsync=None) as scratch:
        mlq = MLQ(namespace, url=scratch.url)
        mlq.post(1)
        os.kill(scratch.pid, signal.SIGSTOP)
        threading.Timer(5.5, os.kill, (scratch.pid, signal.SIGCONT)).start()  # longer than one call waits for its reply
        assert mlq.post(2) == "2"
        assert mlq.job_count() == 2
        mlq.close()
