"""Uploaded listeners in every pool of the command line."""

import os
import signal
import time

import pytest

from mlq.uploads import sealed

pytestmark = pytest.mark.slow


def made(source, name="f"):
    """A function that travels by value, as those of a main program do."""
    space = {"__name__": "__main__"}
    exec(source, space)  # noqa: S102 - as a main program is
    return space[name]


class Shell:
    """Runs a command where it is loaded."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


class Exit:
    """Ends the process that loads it."""

    def __reduce__(self):
        return os._exit, (3,)


WHERE = made("import os\ndef where(value): return value, os.getpid()", "where")


def test_every_pool_runs_uploads_and_forgets_them(begin, mlq, pool, eventually):
    worker = begin(pool, "--accept-uploads", *(() if pool == "solo" else ("--concurrency", "2")))
    mlq.submit(1, functions=["echo"]).result(60)
    begun = time.monotonic()
    mlq.upload(WHERE)
    ran_in = mlq.submit("x", functions=["where"]).result(60)
    assert time.monotonic() - begun < 2
    assert (ran_in == worker.pid) == (pool not in ("process", "gevent"))
    mlq.upload(made("async def later(value): return value + 1", "later"))
    assert mlq.submit(1, functions=["later"]).result(60) == 2
    mlq.remove_upload("where")
    worker.logs("'where' is removed")
    waiting = mlq.submit("x", functions=["where"])
    assert mlq.submit(1, functions=["echo"]).result(60) == 1
    assert waiting.progress() is None
    mlq.clear()


def test_without_the_flag_a_worker_accepts_none(begin, mlq, eventually):
    begin("thread")
    mlq.submit(1, functions=["echo"]).result(60)
    mlq.upload(WHERE)
    waiting = mlq.submit("x", functions=["where"])
    for _ in range(3):
        mlq.submit(1, functions=["echo"]).result(60)
    assert waiting.progress() is None
    assert mlq.workers()[0]["uploads"] == "refused"
    assert mlq.unserved() == {"default:where": 1}


def test_the_workers_own_process_loads_no_code(begin, mlq, tmp_path):
    pids = tmp_path / "pids"
    function = made("def f(value): return marker, value")
    function.__globals__["marker"] = Shell(f"echo $PPID >> {pids}")
    worker = begin("process", "--accept-uploads", "--concurrency", "2")
    mlq.upload(function)
    mlq.submit(1, functions=["f"]).result(60)
    assert str(worker.pid) not in pids.read_text().split()
    assert int(pids.read_text().split()[0]) in worker.children()


def test_children_that_come_later_know_it_too(begin, mlq, eventually):
    worker = begin("process", "--accept-uploads")
    mlq.upload(WHERE)
    first = mlq.submit(1, functions=["where"]).result(60)
    os.kill(first, signal.SIGKILL)
    second = mlq.submit(1, functions=["where"]).result(60)
    worker.signal(signal.SIGHUP)
    eventually(lambda: mlq.submit(1, functions=["where"]).result(60) not in (first, second), 20)


def test_a_large_upload_waits_for_a_busy_child(begin, mlq, tell):
    """It does not read meanwhile; a worker that sent all the same would take it for one that hangs."""
    begin("process", "--accept-uploads")
    busy = mlq.submit(2.0, functions=["sleeps"])
    pid = tell.heard("begun")
    large = made("def large(value): return len(data)", "large")
    large.__globals__["data"] = os.urandom(8_000_000)
    mlq.upload(large)
    waiting = mlq.submit(1, functions=["large"])
    assert busy.result(60) == 2.0
    assert len(mlq.get_job(busy.id)["attempts"]) == 1
    assert waiting.result(60) == 8_000_000
    mlq.upload(WHERE)
    assert str(mlq.submit(1, functions=["where"]).result(60)) == pid


def test_a_child_whose_listener_waits_learns_what_it_waits_for(begin, mlq, tell):
    """One child, one slot: the awaited job needs a listener that comes only now."""
    begin("process", "--accept-uploads")
    awaited = mlq.submit("x", functions=["where"])
    waiting = mlq.submit(awaited.id, functions=["awaits"])
    pid = tell.heard("begun")
    mlq.upload(WHERE)
    assert str(waiting.result(60)) == pid


@pytest.mark.parametrize("pool", ["process", "gevent"])
def test_an_upload_that_kills_children_is_given_up(begin, mlq, pool):
    worker = begin(pool, "--accept-uploads")
    function = made("def f(value): return marker")
    function.__globals__["marker"] = Exit()
    mlq.upload(function)
    worker.logs("child processes died, or hung, while they loaded it")
    assert mlq.submit(5, functions=["echo"]).result(60) == 5
    assert "f" not in mlq.workers()[0]["functions"].split(",")


def test_what_can_t_be_loaded_in_a_child_is_logged(begin, mlq, shell, keys):
    worker = begin("process", "--accept-uploads")
    shell_code = b"cno_such_module\nf\n."
    from mlq.ops import uploads as upload_ops

    shell.run(upload_ops.put(keys, "f", sealed.seal(mlq.namespace, "f", shell_code), shell_code))
    worker.logs("it can't be loaded: ModuleNotFoundError")
    assert mlq.submit(5, functions=["echo"]).result(60) == 5
