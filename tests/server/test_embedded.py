"""The embedded server, with real processes: started once, shared, killed, restarted, and gone without a trace."""

import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from mlq.errors import NoServer, ServerError
from mlq.server import ensure_running, process, scratch, status, stop
from mlq.server.binary import find_binary
from mlq.server.home import Home

ROOT = Path(__file__).parents[2]
INSTALLED = {str(find_binary()), shutil.which("valkey-server"), shutil.which("redis-server")}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A directory that does not exist yet; a server in it is stopped afterwards."""
    path = tmp_path / "home"
    yield path
    stop(path)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `code`."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(child: subprocess.Popen[str]) -> str:
    """The next line that a child prints."""
    assert child.stdout
    return child.stdout.readline().strip()


def eventually(condition: Callable[[], bool], limit: float = 5.0) -> None:
    """Return when the condition holds; fail after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def written(client: redis.Redis) -> None:
    """Return when all is in the log: with `everysec` the server may answer while a flush still holds writes up."""
    eventually(lambda: client.info("persistence")["aof_buffer_length"] == 0)


def pid_of(home: Path) -> int:
    found = status(home)
    assert found
    return found.pid


def test_start_status_stop(home: Path) -> None:
    assert status(home) is None
    assert stop(home) is False
    assert not home.exists()  # asking makes nothing

    url = ensure_running(home)
    found = status(home)
    assert found
    assert found.url == url == f"unix://{home}/socket"
    assert (found.home, found.uptime < 60, found.used_memory > 100_000) == (home, True, True)
    assert found.version.split()[0] in ("valkey", "redis")
    assert found.pid == int((home / "server.pid").read_text())
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    with redis.Redis.from_url(url) as client:
        assert client.config_get("port") == {"port": "0"}

    assert stop(home) is True
    assert status(home) is None
    assert stop(home) is False


def test_a_running_server_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = ensure_running(home)
    monkeypatch.setattr(process, "find_binary", lambda: pytest.fail("launched another one"))
    assert ensure_running(home) == url


def test_mlq_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLQ_HOME", str(home))
    ensure_running()
    assert status() is not None
    assert (home / "server.log").exists()
    assert stop() is True


def test_many_processes_start_one_server(home: Path) -> None:
    code = """if True:
        import sys; from pathlib import Path; from mlq.server import ensure_running, status
        print("here", flush=True); sys.stdin.readline()
        ensure_running(Path(sys.argv[1])); print(status(Path(sys.argv[1])).pid)"""
    children = [python(code, home) for _ in range(4)]
    for child in children:
        assert line(child) == "here"
    answers = {child.communicate("go\n")[0] for child in children}
    assert answers == {f"{pid_of(home)}\n"}
    assert (home / "server.log").read_text().count("Server initialized") == 1


@pytest.mark.parametrize("torn", [0, 3])
def test_data_survive_sigkill(home: Path, torn: int) -> None:
    with redis.Redis.from_url(ensure_running(home)) as client:
        client.set("kept", "1")
        client.set("last", "2")
        written(client)
    os.kill(pid_of(home), signal.SIGKILL)
    eventually(lambda: process.is_free(Home.at(home)))
    assert {"socket", "server.pid"} <= {file.name for file in home.iterdir()}  # left behind by the kill
    log = max(home.glob("**/appendonly.aof*"), key=lambda file: file.name.endswith("incr.aof"))
    os.truncate(log, log.stat().st_size - torn)  # a host that lost power in the middle of a write

    with redis.Redis.from_url(ensure_running(home)) as client:
        assert client.get("kept") == b"1"
        assert client.get("last") == (None if torn else b"2")


def test_data_survive_a_stop(home: Path) -> None:
    with redis.Redis.from_url(ensure_running(home)) as client:
        client.set("kept", "1")
    stop(home)
    with redis.Redis.from_url(ensure_running(home)) as client:
        assert client.get("kept") == b"1"


def test_outlives_its_starter_and_is_no_child_of_it(home: Path) -> None:
    code = """if True:
        import os, sys; from pathlib import Path; from mlq.server import ensure_running
        ensure_running(Path(sys.argv[1]))
        try: print(os.waitpid(-1, os.WNOHANG), flush=True)
        except ChildProcessError: print("childless", flush=True)
        sys.stdin.readline()"""
    with python(code, home) as starter:
        assert line(starter) == "childless"
        starter.kill()
    with redis.Redis.from_url(f"unix://{home}/socket") as client:
        assert client.ping()
    assert os.getsid(pid_of(home)) != os.getsid(0)


def test_a_long_or_odd_path(tmp_path: Path) -> None:
    for name in ("x" * 100, 'a b%20?"#'):
        home = tmp_path / name
        url = ensure_running(home)
        folder = Home.at(home).socket.parent
        try:
            assert (folder == home) is (len(name) < 100)
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        finally:
            stop(home)
            shutil.rmtree(folder)


def test_refuses_what_others_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ("x" * 100)
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(ServerError, match=f"not a directory that only user {other} owns.*MLQ_HOME"):
        ensure_running(home)
    monkeypatch.undo()
    home.chmod(0o777)
    with pytest.raises(ServerError, match=r"only user.*MLQ_HOME"):
        ensure_running(home)
    home.chmod(0o755)
    target = tmp_path / "elsewhere"
    target.mkdir()
    folder = Home.at(home).socket.parent
    folder.symlink_to(target)  # as somebody else could in a directory that all may write
    try:
        with pytest.raises(ServerError, match=f"can't use the directory {folder}"):
            ensure_running(home)
    finally:
        folder.unlink()


def test_starts_from_a_native_thread_under_gevent(home: Path) -> None:
    code = """if True:
        from gevent import get_hub, monkey; monkey.patch_all()
        import sys; from pathlib import Path; from mlq.server import ensure_running, scratch
        print(get_hub().threadpool.apply(ensure_running, [Path(sys.argv[1])]))
        with scratch() as server: server.kill(); server.restart()
        print(server.home.exists())"""
    with python(code, home) as child:
        assert line(child) == Home.at(home).url
        assert line(child) == "False"


def test_no_program(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(NoServer, match=r"(?s)mlq\[embedded\].*MLQ_URL.*redis_host"):
        ensure_running(home)
    home.mkdir()
    program = home / "redis-server"
    program.write_text("no program")
    program.chmod(0o700)
    assert find_binary() == program
    with pytest.raises(ServerError, match=f"{program} can't be run"):
        ensure_running(home)


def test_a_lock_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()  # to which root has no right either
    for operation in (stop, ensure_running):
        with pytest.raises(ServerError, match=r"can't use the directory .*MLQ_HOME"):
            operation(tmp_path)


def test_a_lock_without_a_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LISTEN_LIMIT", 0.05)
    monkeypatch.setattr(process, "STOP_LIMIT", 0.05)
    home.mkdir()
    with open(home / "lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as the server of another host does on a shared disk
        for operation in (ensure_running, status, stop):
            with pytest.raises(ServerError, match=r"server\.log.*MLQ_HOME"):
                operation(home)


def test_waits_while_the_data_load(monkeypatch: pytest.MonkeyPatch) -> None:
    # 100 microseconds per command of the log; the server answers after each 1024 commands
    with scratch(extra=["--key-load-delay", "100"]) as server, redis.Redis.from_url(server.url) as client:
        with client.pipeline(transaction=False) as pipe:
            for number in range(5000):
                pipe.set(str(number), "")
            pipe.execute()
        written(client)
        server.kill()
        server.restart()
        assert client.dbsize() == 5000
        server.kill()
        monkeypatch.setattr(process, "LOAD_LIMIT", 0.05)
        with pytest.raises(ServerError, match=r"still loads its data.*server\.log"):
            server.restart()


@pytest.mark.parametrize("program", sorted(filter(None, INSTALLED)))
def test_scratch_with_every_program(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "find_binary", lambda: program)
    for appendfsync, kept in (("always", b"1"), ("everysec", b"1"), (None, None)):
        with scratch(appendfsync, port=0) as server, redis.Redis.from_url(server.url) as client:
            first = server.pid
            assert client.config_get("save") == {"save": ""}
            client.set("kept", 1)
            if appendfsync == "everysec":
                written(client)
            server.kill()
            with pytest.raises(ServerError, match="does not run"):
                server.pid  # noqa: B018
            server.restart()
            assert server.pid != first
            assert client.get("kept") == kept
            server.stop()
            server.stop()
            server.restart()
            assert client.get("kept") == kept
        assert not server.home.exists()


def test_scratch_tells_why_it_does_not_start() -> None:
    with pytest.raises(ServerError, match=r"(?s)server\.log.*nonsense"), scratch(extra=["--nonsense", "1"]):
        pass


def test_scratch_never_takes_another_server_for_its_own() -> None:
    with scratch(port=0) as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(ServerError, match="in use"), scratch(port=port):
            pass


def test_scratch_leaves_nothing_when_its_body_raises() -> None:
    with suppress(ZeroDivisionError), scratch() as server:
        pid = server.pid
        raise ZeroDivisionError
    assert not server.home.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_scratch_ends_with_its_starter() -> None:
    code = """if True:
        import sys; from mlq.server import scratch
        with scratch() as server: print(server.home, flush=True); sys.stdin.readline()"""
    with python(code) as starter:
        home = Path(line(starter))
        with open(home / "lock", "rb") as lock:
            starter.kill()
            fcntl.flock(lock, fcntl.LOCK_SH)  # waits for the server's end
    eventually(lambda: not home.exists())
