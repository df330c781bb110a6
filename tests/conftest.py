"""What all tests share: a private server, a namespace of one's own, and a check that nothing is left behind in it.

No test can reach a server that is not its own: the environment names a home that is thrown away and a server that is
not there, and nobody looks for one on localhost:6379.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

import mlq as mlq_package
from mlq import server
from mlq.core.keys import Keys
from mlq.server import process
from mlq.shell import target
from mlq.shell.sync import Shell
from mlq.shell.target import Target

# No test may fail because the machine is busy: else Hypothesis refuses an example that takes 0.2 s.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# What may stay in Redis without a time to live: the data itself and what finds it. All else must lapse by itself.
KEPT = ("counter", "epoch", "models", "skipped-ids", "blocked", "lanes", "lanes-version", "leases", "scheduled",
        "expiring", "low-priority", "dead", "format", "metrics", "schedule-due", "schedules", "shadows", "uploads",
        "uploads-version", "gates", "limits", "paused", "opening")  # fmt: skip
KEPT_STEMS = ("model:", "post:", "job:", "lane:", "data:", "deliveries:", "schedule:", "unique:", "upload:", "running:",
              "parked:")  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """What `nohup` and a script's `&` have a process ignore would be ignored by the programs of the tests, too."""
    before = {}
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            before[number] = signal.signal(number, usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def isolated_environment() -> Iterator[None]:
    """Processes started by tests inherit it, too."""
    home = Path(tempfile.mkdtemp(prefix="mlq-home-"))
    before = {name: os.environ.get(name) for name in ("MLQ_URL", "MLQ_HOME")}
    os.environ.update(MLQ_URL=f"unix://{home}/no-server", MLQ_HOME=str(home))
    yield
    server.stop(home)  # in case a test started the embedded one
    shutil.rmtree(home, ignore_errors=True)
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="session", autouse=True)
def chosen_server_program() -> Iterator[None]:
    """`MLQ_TEST_SERVER=/usr/bin/redis-server` has the private servers of the tests run that program."""
    program = os.environ.get("MLQ_TEST_SERVER")
    with pytest.MonkeyPatch.context() as patched:
        if program:
            patched.setattr(process, "find_binary", lambda: Path(program))
        yield


@pytest.fixture(autouse=True)
def no_local_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken for the user's own server on localhost:6379."""
    monkeypatch.setattr(target, "_answers_locally", lambda: False)


@pytest.fixture(scope="session")
def server_url(isolated_environment: None, chosen_server_program: None) -> Iterator[str]:
    """A private server, one per test process, that keeps nothing on disk."""
    with server.scratch(appendfsync=None, port=0) as running:
        yield running.url


@pytest.fixture(scope="session")
def raw(server_url: str) -> Iterator[redis.Redis]:
    """A plain redis-py client, to seed what an op meets and to see what it leaves."""
    with redis.Redis.from_url(server_url) as client:
        yield client


@pytest.fixture
def namespace(raw: redis.Redis) -> Iterator[str]:
    """A namespace of one test. Afterwards nothing in it may stay for ever but the jobs and what finds them."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    root = f"{{{name}}}:"
    names = [key.decode() for key in raw.scan_iter(root.replace("-", "\\-") + "*", count=1000)]
    leaked = [key for key in names if _must_lapse(key.removeprefix(root)) and raw.ttl(key) == -1]
    if names:
        raw.delete(*names)
    assert not leaked, f"left behind without a time to live: {sorted(leaked)}"


def _must_lapse(name: str) -> bool:
    is_figures = name.startswith("shadow:") and name.count(":") == 1  # what waits for a shadow, and differs, must lapse
    return name not in KEPT and not name.startswith(KEPT_STEMS) and not is_figures


@pytest.fixture
def keys(namespace: str) -> Keys:
    """The key names of the test's namespace."""
    return Keys(namespace)


@pytest.fixture
def shell(server_url: str) -> Iterator[Shell]:
    """A blocking shell on the private server."""
    made = Shell(Target(server_url, "arguments"))
    with contextlib.closing(made):
        yield made


@pytest.fixture
def mlq(namespace: str, server_url: str) -> Iterator[mlq_package.MLQ]:
    """A queue in the test's namespace; its worker, if it starts one, is stopped at once afterwards."""
    queue = mlq_package.MLQ(namespace, url=server_url)
    yield queue
    queue.shutdown(grace=0)
    queue.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """For listeners to wait at until a test lets them go on; open afterwards."""
    made = threading.Event()
    yield made
    made.set()
