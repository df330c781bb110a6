"""The two shells: scripts are loaded when the server lacks them, pipelines, broken connections, refusals."""

import asyncio
import contextlib
import os
import threading

import pytest
import redis

from mlq import server
from mlq.core.keys import Keys
from mlq.errors import NoServer, Undecodable, UnknownJob
from mlq.ops import Op
from mlq.ops import data as data_ops
from mlq.ops import jobs as job_ops
from mlq.shell.aio import AsyncShell
from mlq.shell.sync import Shell
from mlq.shell.target import Target


@pytest.fixture(scope="module")
def scratch():
    """A server behind a unix socket that may be restarted."""
    with server.scratch(appendfsync=None) as running:
        yield running


@pytest.fixture(params=["sync", "asyncio"])
def kind(request):
    """Which shell."""
    return request.param


def run_many(kind, url, ops):
    """All ops in one round trip, through a shell of their own."""
    target = Target(url, "arguments")
    if kind == "sync":
        with contextlib.closing(Shell(target)) as shell:
            return shell.run_many(ops)

    async def main():
        shell = AsyncShell(target)
        try:
            return await shell.run_many(ops)
        finally:
            await shell.close()

    return asyncio.run(main())


def run_here(kind, url, op):
    """The op, made for the run of the server, through a shell of its own."""
    target = Target(url, "arguments")
    if kind == "sync":
        with contextlib.closing(Shell(target)) as shell:
            return shell.run_here(lambda _: op)

    async def main():
        shell = AsyncShell(target)
        try:
            return await shell.run_here(lambda _: op)
        finally:
            await shell.close()

    return asyncio.run(main())


def test_a_reply_that_makes_no_sense_names_what_it_is_about(kind, server_url):
    """Also where the op was made for one run of the server."""
    with pytest.raises(Undecodable, match="job 7"):
        run_here(kind, server_url, Op(("ECHO", "x"), int, about="job 7"))


def test_unix_socket(kind, scratch, on_server):
    """As the embedded server has."""
    keys = Keys(f"unix-{kind}")
    with on_server(kind, scratch.url) as run:
        assert run(job_ops.post(keys, "me", 1, "default", [b"0\nx"])).first == 1


def test_script_that_the_server_forgot(kind, world, keys):
    """A server that was restarted knows no script."""
    world.post()
    world.raw.script_flush()
    assert world.run(job_ops.glance(keys, "1"))[0] == "queued"


def test_pipeline_of_scripts_that_the_server_forgot(kind, server_url, keys, raw):
    """In order, each with the effect of one."""
    raw.script_flush()
    ops = [job_ops.post(keys, "me", number, "default", [b"0\nx"]) for number in (1, 2, 3)]
    assert [posted.first for posted in run_many(kind, server_url, ops)] == [1, 2, 3]
    assert raw.zcard(keys.lane + "default") == 3


def test_pipeline_with_an_error_in_it(kind, server_url, keys, raw):
    """All ops are carried out before the error is raised."""
    ops = [data_ops.store(keys, "a", b"1", None), job_ops.glance(keys, "17"), data_ops.store(keys, "b", b"2", None)]
    with pytest.raises(UnknownJob, match="17"):
        run_many(kind, server_url, ops)
    assert raw.mget(keys.data + "a", keys.data + "b") == [b"1", b"2"]


def test_server_that_was_restarted(kind, scratch, on_server):
    """A connection that broke is replaced, and the call sent again."""
    keys = Keys(f"restart-{kind}")
    with on_server(kind, scratch.url) as run:
        run(data_ops.store(keys, "a", b"1", None))
        scratch.restart()
        run(data_ops.store(keys, "a", b"2", None))
        assert run(data_ops.fetch(keys, "a")) == b"2"


def test_connection_that_was_killed(world, keys):
    """So is one that somebody cut."""
    world.run(data_ops.store(keys, "a", b"1", None))
    world.raw.client_kill_filter(_type="normal", skipme=True)
    assert world.run(data_ops.fetch(keys, "a")) == b"1"


def test_nobody_listens(kind, on_server, tmp_path):
    """The error names the address that was tried, and there is no long wait."""
    with on_server(kind, f"unix://{tmp_path}/nothing") as run, pytest.raises(NoServer, match="nothing"):
        run(data_ops.fetch(Keys("n"), "a"))


def test_something_else_listens(kind, on_server):
    """An HTTP server, say, is not taken for Redis."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listening.accept()
                    with peer:
                        peer.recv(1000)
                        peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = f"redis://127.0.0.1:{listening.getsockname()[1]}"
        with on_server(kind, url) as run, pytest.raises(NoServer):
            run(data_ops.fetch(Keys("n"), "a"))
        listening.shutdown(socket.SHUT_RDWR)


def test_wrong_type_is_a_server_error_that_names_the_server(world, keys):
    """What MLQ did not write there is reported, not a traceback of redis-py's."""
    world.raw.set(keys.leases, "text")
    world.post()
    with pytest.raises(Exception, match=r"127\.0\.0\.1") as caught:
        world.claim()
    assert caught.type.__module__ == "mlq.errors"


def test_threads_share_a_shell(shell, keys):
    """Each call has its own connection; no reply goes astray."""
    for i in range(20):
        shell.run(data_ops.store(keys, str(i), str(i).encode(), None))
    wrong = []

    def ask(i):
        replies = {shell.run(data_ops.fetch(keys, str(i))) for _ in range(50)}
        wrong.extend(replies - {str(i).encode()})

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_tasks_share_a_shell(server_url, keys):
    """Also when some are cancelled in the middle of a call."""

    async def main():
        shell = AsyncShell(Target(server_url, "arguments"))
        for i in range(20):
            await shell.run(data_ops.store(keys, str(i), str(i).encode(), None))

        async def ask(i):
            return [await shell.run(data_ops.fetch(keys, str(i))) for _ in range(30)]

        tasks = [asyncio.create_task(ask(i)) for i in range(20)]
        await shell.run(data_ops.fetch(keys, "0"))
        for task in tasks[::2]:
            task.cancel()
        replies = await asyncio.gather(*tasks, return_exceptions=True)
        await shell.close()
        return replies

    for i, reply in enumerate(asyncio.run(main())):
        assert isinstance(reply, asyncio.CancelledError) if i % 2 == 0 else set(reply) == {str(i).encode()}


@pytest.mark.filterwarnings("ignore:This process.*fork:DeprecationWarning")
def test_forked_child_uses_connections_of_its_own(shell, keys, raw):
    """Parent and child go on side by side."""
    shell.run(data_ops.store(keys, "a", b"1", None))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            fetched = [shell.run(data_ops.fetch(keys, "a")) for _ in range(50)]
            shell.run(data_ops.store(keys, "child", b"here", None))
            code = 0 if fetched == [b"1"] * 50 else 2
        finally:
            os._exit(code)
    assert [shell.run(data_ops.fetch(keys, "a")) for _ in range(50)] == [b"1"] * 50
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert raw.get(keys.data + "child") == b"here"


def test_pop_waits_on_the_server(shell, keys, raw):
    """An item that is there already, one that comes, and none."""
    raw.rpush(keys.inbox + "me", "one")
    assert shell.pop([keys.inbox + "me"], 1) == (keys.inbox + "me", b"one")
    assert shell.pop([keys.inbox + "me"], 0.01) is None
    reply, item = shell.run_and_pop(data_ops.store(keys, "a", b"1", None), [keys.inbox + "me"], 0.01)
    assert (reply, item) == (None, None)


def test_run_and_pop_with_a_script_that_the_server_forgot(shell, keys, raw):
    """The wait that was sent along is given up with its connection; no item is lost to it."""
    shell.run(job_ops.post(keys, "me", 1, "default", [b"0\nx"]))
    raw.script_flush()
    op = job_ops.wait(keys, "1", "me", 10)
    raw.script_flush()
    reply, item = shell.run_and_pop(op, [keys.inbox + "me"], 0.01)
    assert (reply, item) == (None, None)


def test_refusal_does_not_lose_the_connection(server_url, keys):
    """A shell with room for one connection goes on after an error."""
    with contextlib.closing(Shell(Target(server_url, "arguments"), most=1)) as shell:
        for _ in range(3):
            with pytest.raises(UnknownJob):
                shell.run(job_ops.glance(keys, "1"))
        with redis.Redis.from_url(server_url) as raw:
            raw.set(keys.data + "a", "1")
        assert shell.run(data_ops.fetch(keys, "a")) == b"1"
