"""One child process as its worker's process sees it: how it is started, what it runs, and how it ended."""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from mlq.pools.contract import Run
from mlq.pools.frames import SEND_PATIENCE, Wire

KILL_AFTER = 1.0  # seconds that a listener has to end by itself, which keeps its child warm, once its run is given up
STOP_AFTER = 5.0  # seconds that a child has to end when it is told to


class Limits(NamedTuple):
    """When a child is replaced after a run."""

    jobs: int | None = None
    memory: int | None = None  # bytes, resident


class Child:
    """A process with a wire to it. Only the pool's own thread starts and ends it."""

    def __init__(self, command: Sequence[str], slots: int, *, kills: bool) -> None:
        """Start it, afresh: never forked from this process. `kills`: a run that is given up costs it its life.

        It leads a session of its own: what its listeners start can be told from all else, and a terminal's Ctrl-C,
        which is for the worker to act on, reaches none of them. Raises OSError where the system has no room for it.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = [*command, str(theirs.fileno())]
            self.process = subprocess.Popen(
                arguments, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True
            )
        ours.settimeout(SEND_PATIENCE)
        self.wire = Wire(ours)
        try:
            self.pidfd = os.pidfd_open(self.process.pid) if hasattr(os, "pidfd_open") else None
        except OSError:  # no descriptor is left: nobody would look after the process
            self.process.kill()
            self.process.wait()
            ours.close()
            raise
        self.ready = False
        self.refusal: str | None = None  # why it can't load the listeners
        self.retiring = False  # takes no more runs; ends when it has none
        self.served = 0
        self.away: set[int] = set()  # runs that wait for another job, and leave their place to one more
        self.runs: dict[int, Run] = {}
        self.given_up: dict[int, float] = {}  # runs to end, and when to kill the child for it
        self.told_places = 0  # as the worker's slots have it
        self.uploads_sent = 0  # the change of the uploads (loading.py) up to which it has them all
        self.known: dict[str, int] = {}  # the uploads that it was sent, by the number of their change
        self.loading: str | None = None  # the one that it is loading
        self.load_by = 0.0
        self._slots = slots
        self._kills = kills
        self._stop_by: float | None = None

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    def places(self) -> int:
        """Runs that it can have at a time; one that retires keeps a place for each that holds a slot of the worker."""
        if not self.ready:
            return 0
        if self.retiring and not self.away:  # one that waits may wait for a job that only this worker can run
            return max(0, len(self.runs) - len(self.given_up))
        return 0 if self._kills and self.given_up else self._slots

    def room(self) -> int:
        """Runs that it can take now."""
        places = 0 if self.retiring and not self.away else self.places()
        return places and places - len(self.runs) + len(self.away) + len(self.given_up)

    def reads(self) -> bool:
        """Whether it reads what it is sent: not while its only thread runs a listener."""
        return not self.runs or bool(self.away) or self._slots > 1

    def give_up(self, run: Run) -> bool:
        """Tell it that a run is to end; False where it does not have that run."""
        number = next((number for number, one in self.runs.items() if one is run), None)
        if number is None:
            return False
        self.given_up[number] = time.monotonic() + KILL_AFTER
        self.send("cancel", number)
        return True

    def send(self, *frame: Any) -> None:
        """Send a frame. What a child that is gone had to run is told of when it is buried."""
        try:
            self.wire.send(*frame)
        except TimeoutError:  # it lives, and does not read
            self.process.kill()
        except OSError:
            pass

    def retire(self) -> None:
        """Have it end, once it has nothing to run any more."""
        self.retiring = True
        if not self.runs and self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_AFTER
            self.send("stop")

    def overdue(self, now: float) -> bool:
        """Whether it was to end by now, to end a run, or to have loaded an upload."""
        late = self._kills and any(at <= now for at in self.given_up.values())
        hangs = self.loading is not None and self.load_by <= now
        return late or hangs or (self._stop_by is not None and self._stop_by <= now)

    def gone(self) -> bool:
        """Whether it has ended, and all that it said was heard."""
        return self.process.poll() is not None and not _readable(self.wire.socket)

    def bury(self) -> int:
        """Release what is held of it; its exit code, negative for the signal that killed it."""
        self.process.kill()  # where it closed its end and lives on
        code = self.process.wait()
        self.wire.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
        return code


def exit_text(code: int) -> str:
    """How a process ended, by its exit code."""
    if code >= 0:
        return f"exited with code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


class Kernel:
    """Tells whether the kernel kills processes for want of memory."""

    def __init__(self) -> None:
        """From now on."""
        self._kills = _kernel_kills()

    def killed(self) -> bool:
        """Whether it has killed any since the last question."""
        before, self._kills = self._kills, _kernel_kills()
        return self._kills > before


def _kernel_kills() -> int:
    """How many processes the kernel killed for want of memory since it runs; 0 where it does not tell."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", "rb") as file:
        for line in file:
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


def _readable(end: socket.socket) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(end, selectors.EVENT_READ)
        try:
            return bool(selector.select(0)) and bool(end.recv(1, socket.MSG_PEEK))
        except ConnectionError:  # all that it said was heard; it was killed before it read all that it was sent
            return False
