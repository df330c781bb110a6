"""Servers that answer, and can't do what they are asked just now: what jobs ended in is kept until they can."""

import contextlib
import logging
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from mlq import MLQ, server
from mlq.core.keys import Keys
from mlq.shell import trouble
from mlq.worker import unrecorded

pytestmark = pytest.mark.slow

TRIES = 60  # more than a worker once made before it gave an outcome up
SOON = 20.0


def until(true: Callable[[], Any]) -> None:
    """Wait for it; fails when it does not come."""
    give_up = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < give_up, "it did not happen in time"
        time.sleep(0.01)


def cut_off_all(admin: redis.Redis) -> None:
    """Close everybody's connections but this one."""
    admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@contextlib.contextmanager
def too_few_replicas(admin: redis.Redis) -> Iterator[None]:
    """NOREPLICAS."""
    admin.config_set("min-replicas-to-write", 1)
    yield
    admin.config_set("min-replicas-to-write", 0)


@contextlib.contextmanager
def no_snapshot(admin: redis.Redis) -> Iterator[None]:
    """MISCONF: the folder for the snapshot is gone."""
    kept_in, gone = admin.config_get("dir")["dir"], tempfile.mkdtemp()
    admin.config_set("dir", gone)
    shutil.rmtree(gone)
    admin.config_set("save", "3600 1")
    admin.set("changed", 1)
    with contextlib.suppress(redis.ResponseError):
        admin.bgsave()
    until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
    yield
    admin.config_set("save", "")
    admin.config_set("dir", kept_in)


@contextlib.contextmanager
def full_memory(admin: redis.Redis) -> Iterator[None]:
    """OOM."""
    admin.config_set("maxmemory", 1)
    yield
    admin.config_set("maxmemory", 0)


@contextlib.contextmanager
def another_password(admin: redis.Redis) -> Iterator[None]:
    """NOAUTH."""
    admin.acl_setuser("default", enabled=True, reset_passwords=True, passwords="+secret")
    cut_off_all(admin)
    yield
    admin.acl_setuser("default", enabled=True, nopass=True)


@contextlib.contextmanager
def no_permission(admin: redis.Redis) -> Iterator[None]:
    """NOPERM, for all that writes."""
    admin.acl_setuser("default", enabled=True, nopass=True, commands=["-evalsha"])
    yield
    admin.acl_setuser("default", enabled=True, nopass=True, commands=["+evalsha"])


@contextlib.contextmanager
def too_many_clients(admin: redis.Redis) -> Iterator[None]:
    """ERR max number of clients reached."""
    admin.config_set("maxclients", 1)
    cut_off_all(admin)
    yield
    admin.config_set("maxclients", 100)


@contextlib.contextmanager
def a_replica(admin: redis.Redis) -> Iterator[None]:
    """READONLY, or MASTERDOWN."""
    admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    admin.execute_command("REPLICAOF", "NO", "ONE")


TROUBLES = [
    too_few_replicas, no_snapshot, full_memory, another_password, no_permission, too_many_clients, a_replica
]  # fmt: skip


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another quickly, so that a test sees many."""
    monkeypatch.setattr(trouble, "LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(unrecorded, "PATIENCE", 0.01)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("begin", TROUBLES, ids=lambda begin: begin.__name__)
def test_a_result_outlasts_any_trouble_of_the_server(begin: Any, caplog: pytest.LogCaptureFixture) -> None:
    """However often the server refuses it; the worker complains now and then, and claims nothing more meanwhile."""
    with (
        server.scratch(appendfsync=None, port=0, extra=["--enable-protected-configs", "local"]) as scratch,
        redis.Redis.from_url(scratch.url) as admin,
        contextlib.closing(MLQ("trouble", url=scratch.url)) as mlq,
    ):
        admin.ping()
        go, runs = threading.Event(), []

        def long_work(number: int) -> str:
            runs.append(number)
            go.wait(SOON)
            return f"weights of many hours {number}"

        mlq.create_listener(long_work)
        first, second = mlq.submit(1), mlq.submit(2)
        until(lambda: runs)
        mlq._worker._shared.shell.patience = 0.05
        keeper = mlq._worker._settler._unrecorded
        with begin(admin):
            go.set()
            until(lambda: keeper._failures > TRIES)
            assert runs == [1]
        assert [first.result(SOON), second.result(SOON)] == ["weights of many hours 1", "weights of many hours 2"]
        assert mlq.get_job(first.id)["retries"] == 0
        assert mlq.dead_letters() == []
        told = [record.message for record in caplog.records if "can't record" in record.message]
        assert 1 <= len(told) < 5
        mlq.shutdown()


@pytest.mark.parametrize("begin", TROUBLES, ids=lambda begin: begin.__name__)
def test_a_worker_starts_amid_any_trouble(begin: Any) -> None:
    """And works when that is over, within a second or two."""
    with (
        server.scratch(appendfsync=None, port=0, extra=["--enable-protected-configs", "local"]) as scratch,
        redis.Redis.from_url(scratch.url) as admin,
        contextlib.closing(MLQ("start", url=scratch.url)) as mlq,
    ):
        admin.ping()
        job = mlq.submit(1)
        with begin(admin):
            mlq.create_listener(lambda message: message)
            until(lambda: mlq._worker._claimer._failures)
        assert job.result(SOON) == 1
        assert not mlq._worker.broken
        mlq.shutdown()


@pytest.mark.usefixtures("often")
def test_a_worker_outlasts_a_trouble_of_hours() -> None:
    """However many claims in a row were refused."""
    with (
        server.scratch(appendfsync=None, port=0) as scratch,
        redis.Redis.from_url(scratch.url) as admin,
        contextlib.closing(MLQ("hours", url=scratch.url)) as mlq,
    ):
        job = mlq.submit(1)
        with full_memory(admin):
            mlq.create_listener(lambda message: message)
            until(lambda: mlq._worker._claimer._failures)
            mlq._worker._claimer._failures = 1000
            until(lambda: mlq._worker._claimer._failures > 1030)
        assert job.result(SOON) == 1
        mlq.shutdown()


@pytest.mark.usefixtures("often")
def test_what_a_listener_says_and_asks_for_outlasts_it_too() -> None:
    """Its progress, its partial results in their order, its posts."""
    with (
        server.scratch(appendfsync=None, port=0) as scratch,
        redis.Redis.from_url(scratch.url) as admin,
        contextlib.closing(MLQ("saying", url=scratch.url)) as mlq,
    ):
        go, said, posted = threading.Event(), threading.Event(), []

        def says(message: Any, context: Any) -> str:
            if message == "child":
                return "child"
            go.wait(SOON)
            for number in range(5):
                context.emit(number)
            context.update_progress(50)
            said.set()
            posted.append(context.post("child"))
            context.emit(5)
            return "done"

        mlq.create_listener(says)
        job = mlq.submit("parent")
        until(lambda: job.state() == "running")
        keeper = mlq._worker._settler._unrecorded
        with too_few_replicas(admin):
            go.set()
            until(lambda: said.is_set() and keeper._failures > TRIES)
            assert not posted
        assert job.result(SOON) == "done"
        assert list(job.stream()) == [0, 1, 2, 3, 4, 5]
        assert mlq.wait(posted[0], SOON) == "child"
        mlq.shutdown()


def test_a_stop_amid_trouble_names_the_jobs_that_run_again(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log knows whose work was in vain."""
    with (
        server.scratch(appendfsync=None, port=0) as scratch,
        redis.Redis.from_url(scratch.url) as admin,
        contextlib.closing(MLQ("stop", url=scratch.url)) as mlq,
    ):
        go = threading.Event()

        def work(_message: Any) -> None:
            go.wait(SOON)

        mlq.create_listener(work)
        job = mlq.submit(1)
        until(lambda: job.state() == "running")
        with too_few_replicas(admin), caplog.at_level(logging.ERROR, "mlq.worker"):
            go.set()
            until(lambda: mlq._worker._settler._unrecorded._failures)
            mlq.shutdown(0)
        assert f"job {job.id} ended, but that can't be recorded" in caplog.text


@pytest.mark.parametrize("how", ["returns", "emits"])
def test_what_a_server_cuts_off_holds_up_nobody(how: str) -> None:
    """Not even when it is tried for the first time: the others have no part in its connection."""
    with (
        server.scratch(appendfsync=None, port=0) as scratch,
        redis.Redis.from_url(scratch.url) as admin,
        contextlib.closing(MLQ("cut", url=scratch.url)) as mlq,
    ):
        admin.config_set("client-query-buffer-limit", "1mb")

        def work(size: int, context: Any) -> bytes:
            if how == "returns":
                return bytes(size)
            context.emit(bytes(size))
            return b""

        mlq.create_listener(work, concurrency=4)
        assert mlq.submit(1).result(SOON) is not None
        for _ in range(2):
            large = mlq.submit(3_000_000)
            until(lambda: mlq._worker._settler._unrecorded._items or mlq._worker._settler._one_at_a_time.locked())
            assert mlq.submit(1).result(60) is not None  # it was 10 s at the least
            assert large.state() == "running"
            large.cancel()
            until(lambda: not mlq._worker._settler._unrecorded._items)  # nor is it tried for ever
        until(lambda: mlq._worker._shared.slots.free() == 4)
        mlq.shutdown(0)


def test_what_a_job_says_and_can_not_be_recorded_does_not_hold_up_its_outcome(
    mlq: MLQ, raw: redis.Redis, keys: Keys
) -> None:
    """Somebody wrote to where its stream is kept."""
    go = threading.Event()

    def work(message: Any, context: Any) -> Any:
        go.wait(SOON)
        context.emit("part")
        return message

    mlq.create_listener(work)
    job = mlq.submit(1)
    until(lambda: job.state() == "running")
    raw.set(f"{keys.stream}{job.id}", "not a stream", ex=100)
    go.set()
    assert job.result(SOON) == 1


class SlowLink:
    """A proxy to a server over which each connection sends so many bytes a second."""

    def __init__(self, port: int, rate: float) -> None:
        self._to, self._rate = port, rate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
                threading.Thread(target=self._carry, args=(near, far, self._rate), daemon=True).start()
                threading.Thread(target=self._carry, args=(far, near, 1e9), daemon=True).start()

    def _carry(self, here: socket.socket, there: socket.socket, rate: float) -> None:
        with here, there, contextlib.suppress(OSError):
            while data := here.recv(16_384):
                time.sleep(len(data) / rate)
                there.sendall(data)

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()


def test_a_large_result_gets_through_a_slow_link_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience for its answer grows until it is enough; small results are recorded meanwhile."""
    monkeypatch.setattr(unrecorded, "ANSWER_TIMEOUT", 0.1)
    monkeypatch.setattr(trouble, "RATE", 1e9)
    with server.scratch(appendfsync=None, port=0) as scratch:
        link = SlowLink(int(scratch.url.rpartition(":")[2].partition("/")[0]), 150_000)
        with (
            contextlib.closing(link),
            contextlib.closing(MLQ("slow", url=f"redis://127.0.0.1:{link.port}")) as mlq,
            contextlib.closing(MLQ("slow", url=scratch.url)) as near,
        ):
            begun, go_on = threading.Event(), threading.Event()

            def work(size: int) -> bytes:
                if size > 10:
                    begun.set()
                    go_on.wait(SOON)
                return bytes(size)

            mlq.create_listener(work, concurrency=2)
            large = near.submit(400_000)
            assert begun.wait(SOON)
            shell = mlq._worker._shared.shell
            shell.answer = shell.patience = 0.1  # not before: on a busy machine no claim would get through
            go_on.set()
            until(lambda: mlq._worker._settler._unrecorded._failures)
            small = [near.submit(10).result(SOON) for _ in range(5)]
            assert large.state() == "running"
            assert small == [bytes(10)] * 5
            assert len(large.result(60)) == 400_000
            assert near.get_job(large.id)["retries"] == 0
            mlq.shutdown()
