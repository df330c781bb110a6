"""The process that serves HTTP: how it is started, what it is told, and its way out.

It is a process of its own because gevent has to patch Python's sockets before anything else is imported, which would be
wrong for a worker's native threads; and a listener that holds the GIL must not hold up requests. Whoever starts it
opens the socket: so an address that is taken is told at once, and there is nothing to wait for.
"""

import gc
import logging
import os
import select
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from mlq import MLQ, InputError
from mlq.http.settings import Settings
from mlq.system import launch, logs
from mlq.system.descriptors import keep_standard_open

log = logging.getLogger("mlq.http")

PLAN = "MLQ_SERVING"  # in its environment: what another user of this machine can't read
PROGRAM = "mlq.http.process"
PATIENCE = 15.0  # seconds that it has to end; it gives its requests 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What the process is told."""

    namespace: str
    url: str | None = field(repr=False)  # it may hold a password
    settings: Settings = field(default_factory=Settings)
    log_level: str = "info"
    log_format: str = "plain"
    owner: int | None = None  # a descriptor that ends when the owner does
    listening: int = -1  # the descriptor of the socket

    def packed(self, listening: socket.socket) -> dict[str, str]:
        """The environment that carries it."""
        return os.environ | {PLAN: msgspec.json.encode(replace(self, listening=listening.fileno())).decode()}

    @classmethod
    def taken(cls) -> "Plan":
        """The plan of this process."""
        return msgspec.json.decode(os.environ.pop(PLAN), type=Plan)


def listen(address: str, port: int) -> socket.socket:
    """A socket that listens there. Raises InputError where the address can't be had. Port 0 means any that is free."""
    keep_standard_open()
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.create_server((address, port), family=family, backlog=1024)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't serve at {address} port {port}: {reason}. Choose another address or port") from None
    made.set_inheritable(True)
    return made


def url_of(listening: socket.socket) -> str:
    """The address of what is served there."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def become(plan: Plan, listening: socket.socket) -> None:
    """Turn this process into the one that serves."""
    command = launch.command(PROGRAM, green=True)
    os.execve(command[0], command, plan.packed(listening))  # noqa: S606 - no shell


def main() -> None:
    """Serve as planned, until told to stop."""
    from mlq.http.apart import be_unreadable
    from mlq.http.app import make_app
    from mlq.http.serving import Serving

    be_unreadable()  # tokens and secrets are in the environment, and uploads are tried by processes of the same user
    plan = Plan.taken()
    logs.begin(plan.log_level.upper(), as_json=plan.log_format == "json")
    mlq = MLQ(plan.namespace, url=plan.url)
    serving = Serving(make_app(mlq, plan.settings), socket.socket(fileno=plan.listening), plan.settings)
    if plan.owner is not None:
        threading.Thread(target=_stop_with_owner, args=(plan.owner, serving), daemon=True).start()
    gc.freeze()  # what is there now stays; and collect more seldom what requests leave, which is little: 5 % of a post
    gc.set_threshold(20_000)
    serving.run(owned=plan.owner is not None)
    os._exit(0)  # greenlets that wait for the server would hold up the end


def _stop_with_owner(descriptor: int, serving: Any) -> None:
    select.select([descriptor], [], [])
    serving.stop()


class ServerProcess:
    """The serving process of a program that does other things beside, from `start` to `stop`. Starts once."""

    def __init__(self, plan: Plan, address: str, port: int) -> None:
        """Takes the address at once; raises InputError where that can't be had."""
        self.stopped = threading.Event()
        self.broken = False
        self._listening = listen(address, port)
        self.url = url_of(self._listening)
        self._plan = plan
        self._process: Any = None  # until it is started
        self._stopping = False

    def start(self) -> None:
        """Begin to answer. Raises OSError where no process can be started."""
        theirs, self._alive = os.pipe()
        plan = replace(self._plan, owner=theirs)
        try:
            self._process = subprocess.Popen(
                launch.command(PROGRAM, green=True),
                env=plan.packed(self._listening), pass_fds=(self._listening.fileno(), theirs), stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError:
            os.close(self._alive)
            raise
        finally:
            os.close(theirs)
            self._listening.close()
        threading.Thread(target=self._watch, name="mlq-http", daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return int(self._process.pid)

    def _watch(self) -> None:
        code = self._process.wait()
        if not self._stopping:
            self.broken = True
            log.critical("the process that serves HTTP ended with code %d", code)
        self.stopped.set()

    def stop(self, grace: float) -> None:
        """Let requests under way end; `grace` 0 ends them. Returns when the process is gone."""
        self._stopping = True
        if self._process is None:
            self._listening.close()
            return
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM if grace else signal.SIGKILL)
        if not self.stopped.wait(PATIENCE):
            self._process.kill()
            self.stopped.wait()
        with suppress(OSError):
            os.close(self._alive)
            self._alive = -1
