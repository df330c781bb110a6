"""Every program and command of the README and of some guides is run, and its output compared with what is shown.

A block of Python is a file, whose name stands behind `python`; blocks that are not run are marked `py` or `sh`.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import redis

from mlq.server import scratch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/from-celery.md", "docs/from-rq.md", "docs/testing.md", "docs/pipelines.md"]
BLOCK = re.compile(r"^```(python|console)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps(text):
    """The commands of a console block, each with the output that is shown."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def matches(shown, output):
    """Whether output is as shown, where three dots stand for anything."""
    pattern = re.sub(r"([\[\]?*])", r"[\1]", shown.strip()).replace("...", "*")
    return fnmatchcase(output.strip(), pattern)


def free_port():
    """Instead of one of the README's own, which somebody may use."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return str(probe.getsockname()[1])


def environment(server_url, folder):
    """That of a newcomer who has installed MLQ."""
    scripts = sysconfig.get_path("scripts")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("MLQ_", "PYTEST"))}
    path = os.pathsep.join([scripts, str(Path(sys.executable).parent), keep["PATH"]])
    return keep | {
        "PATH": path,
        "MLQ_URL": server_url,
        "MLQ_HOME": str(folder / "home"),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.fixture
def server_url():
    """A server of its own: the README's ids are those of a new namespace."""
    with scratch(appendfsync=None) as server:
        yield server.url


def living(server_url):
    """How many workers have reported that they are alive, in all namespaces."""
    with redis.Redis.from_url(server_url) as raw:
        return sum(raw.zcard(name) for name in raw.scan_iter("*}:workers"))


def wait_until(condition):
    """As a reader waits, who sees the worker start before going on."""
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@pytest.mark.parametrize("page", PAGES)
def test_page(page, server_url, tmp_path):
    """From the first block to the last, as one session."""
    env = environment(server_url, tmp_path)
    session: list[str] = []
    workers = []
    try:
        ports = {port: free_port() for port in ("5001", "5011")}
        text = re.sub("|".join(ports), lambda found: ports[found[0]], (ROOT / page).read_text("utf-8"))
        for kind, name, block in BLOCK.findall(text):
            if kind == "python":
                (tmp_path / name).write_text(block)
            elif name == "worker":
                ((command, _),) = steps(block)
                before = living(server_url)
                workers.append(subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=tmp_path, env=env))
                wait_until(
                    lambda command=command, before=before: "worker" not in command or living(server_url) > before
                )
            else:
                for command, shown in steps(block):
                    if command.startswith("export "):
                        session.append(command)
                        continue
                    script = "\n".join([*session, command])
                    ran = subprocess.run(
                        ["bash", "-c", script],
                        cwd=tmp_path,
                        env=env,
                        text=True,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        timeout=60,
                        check=False,
                    )
                    said = ran.stdout
                    assert matches(shown, said), f"$ {command}\nshown:\n{shown}\ngot:\n{said}"
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(timeout=40) for worker in workers]
    assert codes == [0] * len(workers)
