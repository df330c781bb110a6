"""The process that serves HTTP: how it is started, configured and ended.

It is a separate process because gevent has to patch Python's sockets before anything else is imported, which would
break a worker's native threads, and because a listener that holds the GIL must not delay requests. The process that
starts it opens the socket, so an error about the address is raised at once, and there is nothing to wait for.
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

PLAN = "MLQ_SERVING"  # in its environment, which other users of this machine can't read
PROGRAM = "mlq.http.process"
PATIENCE = 15.0  # seconds that it has to end; it gives its requests 10


@dataclass(frozen=True, slots=True)
class Plan:
    """The configuration of the process."""

    namespace: str
    url: str | None = field(repr=False)  # it may hold a password
    settings: Settings = field(default_factory=Settings)
    log_level: str = "info"
    log_format: str = "plain"
    owner: int | None = None  # a descriptor at end of file once the owner has ended
    listening: int = -1  # the descriptor of the socket

    def to_environment(self, listening: socket.socket) -> dict[str, str]:
        """The environment of the process, with the plan in it."""
        return os.environ | {PLAN: msgspec.json.encode(replace(self, listening=listening.fileno())).decode()}

    @classmethod
    def from_environment(cls) -> "Plan":
        """The plan of this process."""
        return msgspec.json.decode(os.environ.pop(PLAN), type=Plan)


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises InputError if the address can't be used. Port 0 means any free port."""
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
    """The URL that a socket serves."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def become(plan: Plan, listening: socket.socket) -> None:
    """Replace this process by the one that serves."""
    command = launch.command(PROGRAM, green=True)
    os.execve(command[0], command, plan.to_environment(listening))  # noqa: S606 - no shell


def main() -> None:
    """Serve until told to stop."""
    from mlq.http.app import make_app
    from mlq.http.isolation import be_unreadable
    from mlq.http.serving import Serving

    be_unreadable()  # the environment holds tokens and secrets, and processes of the same user try uploads
    plan = Plan.from_environment()
    logs.begin(plan.log_level.upper(), as_json=plan.log_format == "json")
    mlq = MLQ(plan.namespace, url=plan.url)
    serving = Serving(make_app(mlq, plan.settings), socket.socket(fileno=plan.listening), plan.settings)
    if plan.owner is not None:
        threading.Thread(target=_stop_with_owner, args=(plan.owner, serving), daemon=True).start()
    gc.freeze()  # existing objects are not collected anyway; requests leave little garbage. Both save 5 % of a post
    gc.set_threshold(20_000)
    serving.run(owned=plan.owner is not None)
    os._exit(0)  # greenlets that wait for the server would delay the end


def _stop_with_owner(descriptor: int, serving: Any) -> None:
    select.select([descriptor], [], [])
    serving.stop()


class ServerProcess:
    """The serving process of a program that also does other things, from `start` to `stop`. Can be started once."""

    def __init__(self, plan: Plan, address: str, port: int) -> None:
        """Binds the address at once; raises InputError if that fails."""
        self.stopped = threading.Event()
        self.broken = False
        self._listening = listen(address, port)
        self.url = url_of(self._listening)
        self._plan = plan
        self._process: Any = None  # until it is started
        self._stopping = False

    def start(self) -> None:
        """Begin to serve. Raises OSError if no process can be started."""
        theirs, self._alive = os.pipe()
        plan = replace(self._plan, owner=theirs)
        try:
            self._process = subprocess.Popen(
                launch.command(PROGRAM, green=True),
                env=plan.to_environment(self._listening), pass_fds=(self._listening.fileno(), theirs),
                stdin=subprocess.DEVNULL,
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
        """The id of the process."""
        return int(self._process.pid)

    def _watch(self) -> None:
        code = self._process.wait()
        if not self._stopping:
            self.broken = True
            log.critical("the process that serves HTTP ended with code %d", code)
        self.stopped.set()

    def stop(self, grace: float) -> None:
        """Let current requests finish; `grace` 0 ends them. Returns when the process is gone."""
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
