"""The workers: processes of the real command line, each on a place where a new one starts when the old one ended."""

import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.chaos import features
from benchmarks.chaos.app import EXIT_CODE, HELPER_LIVES, POOL
from benchmarks.chaos.effects import FILE
from benchmarks.chaos.place import ROOT, environment
from benchmarks.chaos.trouble import Trouble, Troubles

GRACE = 4.0  # seconds that running jobs get at a deploy; some jobs take longer
LEAVE = 20.0  # seconds from SIGTERM to the end: the grace, and a server that is away meanwhile
GAVE_UP = 70  # exit code of a worker that stopped because too many of its threads are stuck; a frozen one may
LAST_WORDS = 600  # characters of a log that are told
CRASHES = (EXIT_CODE, -signal.SIGSEGV)


class Place(NamedTuple):
    """Where one worker at a time stands."""

    pool: str
    concurrency: int
    url: str
    proxied: bool


@dataclass
class Member:
    """One worker process."""

    place: Place
    process: "subprocess.Popen[bytes]"
    log: Path
    frozen: list[int] = field(default_factory=list)  # pids
    leaving: Trouble | None = None  # since when it was told to stop
    killed: bool = False

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def children(self) -> list[int]:
        """The pids of its child processes."""
        return children_of(self.pid)


def children_of(pid: int) -> list[int]:
    """The pids of a process's children."""
    every = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return sorted(child for child in every if (fields := stat_of(child)) and fields[1] == str(pid))


def helpers() -> list[int]:
    """The pids of the programs that jobs of process pools started and that still run."""
    sleeps = b"/bin/sleep\0%d\0" % HELPER_LIVES
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cmdline").read_bytes() == sleeps and stat_of(int(entry.name)):
                found.append(int(entry.name))
    return sorted(found)


def started(pid: int) -> str | None:
    """When a process started, by the kernel's clock: tells it from a later one of that pid. None where it is gone."""
    return fields[19] if (fields := stat_of(pid)) else None


def stat_of(pid: int) -> list[str]:
    """The kernel's figures on a process, from its state on (see proc(5)); none where it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return [] if fields[0] == "Z" else fields
    return []


def start_worker(place: Place, effects: Path, log: Path) -> "subprocess.Popen[bytes]":
    """A worker process that says all to `log`. The one function that knows the command line."""
    options = [*features.pool_options(place.pool), "--concurrency", str(place.concurrency), "--grace", str(GRACE)]
    command = [sys.executable, "-m", "mlq.cli", "worker", "benchmarks.chaos.app", *options]
    named = environment(MLQ_URL=place.url, **{POOL: place.pool, FILE: str(effects)})
    with log.open("ab") as file:
        return subprocess.Popen(command, env=named, cwd=ROOT, stdout=file, stderr=file, stdin=subprocess.DEVNULL)


class Fleet:
    """All places, and what became of every worker that stood there. For one thread."""

    def __init__(self, places: list[Place], effects: Path, logs: Path, troubles: Troubles) -> None:
        """Starts a worker on each place; each writes a file of its own in the folder `logs`."""
        self._effects, self._troubles = effects, troubles
        self._logs = logs
        self._numbers = itertools.count(1)
        self.proxied: set[int] = set()  # pids of all workers that ever went through the proxy
        self.kills: list[tuple[float, int]] = []  # by SIGKILL: when, pid
        self.exits: dict[str, int] = {}  # how workers ended, and how many did
        self.wrong: list[str] = []
        self.unborn: set[int] = set()  # ended by SIGTERM as any process is: it had not begun to work
        self.orphans: set[tuple[int, str | None]] = set()  # children whose worker was killed, and when they started
        self.members = [self._start(place) for place in places]
        self._leaving: list[Member] = []

    def _start(self, place: Place) -> Member:
        log = self._logs / f"{next(self._numbers):05d}-{place.pool}.log"
        member = Member(place, start_worker(place, self._effects, log), log)
        if place.proxied:
            self.proxied.add(member.pid)
        return member

    def well(self) -> list[Member]:
        """The workers that run and that nothing is done to."""
        return [member for member in self.members if not member.frozen and member.process.poll() is None]

    def tend(self) -> None:
        """Start a new worker where one ended, and take leave of those that were told to."""
        for i, member in enumerate(self.members):
            if member.process.poll() is not None:
                self._ended(member)
                self.members[i] = self._start(member.place)
        for member in [member for member in self._leaving if member.process.poll() is not None]:
            self._leaving.remove(member)
            self._ended(member)
        for member in self._leaving:
            if member.leaving and not member.killed and time.monotonic() > member.leaving.begin + LEAVE:
                self.wrong.append(f"worker {member.pid} ({member.place.pool}) has not stopped {LEAVE} s after SIGTERM")
                self.kill(member)

    def _ended(self, member: Member) -> None:
        code = member.process.wait()
        self._troubles.note("ended", {member.pid})
        how = self._how(member, code)
        self.exits[how] = self.exits.get(how, 0) + 1
        if how.startswith("exit code"):
            said = member.log.read_text(errors="replace")[-LAST_WORDS:]
            self.wrong.append(f"worker {member.pid} ({member.place.pool}) ended by itself with {how}: {said}")
        if member.leaving:
            self._troubles.over(member.leaving)

    def _how(self, member: Member, code: int) -> str:
        if member.leaving and code == 0:
            return "stopped"
        if member.leaving and code == -signal.SIGTERM:
            self.unborn.add(member.pid)
            return "stopped while starting"
        expected = {member.killed: "killed", code in CRASHES: "crashed", code == GAVE_UP: "gave up"}
        return expected.get(True, f"exit code {code}")

    def kill(self, member: Member) -> None:
        """SIGKILL."""
        self.orphans.update((pid, started(pid)) for pid in member.children())
        member.killed = True
        self.kills.append((time.monotonic(), member.pid))
        self._troubles.note("kill", {member.pid})
        member.process.kill()

    def kill_child(self, member: Member, pick: float) -> bool:
        """SIGKILL for a child process; whether there was one."""
        children = member.children()
        if not children:
            return False
        self._troubles.note("kill of a child", {member.pid})
        with suppress(ProcessLookupError):
            os.kill(children[int(pick * len(children))], signal.SIGKILL)
        return True

    def kill_helper(self, pick: float) -> None:
        """SIGKILL for a program that a job started, where there is one."""
        if running := helpers():
            self._troubles.note("kill of a helper")
            self._signal([running[int(pick * len(running))]], signal.SIGKILL)

    def freeze(self, member: Member, *, children: bool) -> Trouble:
        """SIGSTOP, for its children as well or for it alone."""
        member.frozen = [member.pid, *(member.children() if children else [])]
        self._signal(member.frozen, signal.SIGSTOP)
        return self._troubles.begin("freeze", {member.pid})

    def thaw(self, member: Member, trouble: Trouble) -> None:
        """SIGCONT."""
        self._signal(member.frozen, signal.SIGCONT)
        member.frozen = []
        self._troubles.over(trouble)

    @staticmethod
    def _signal(pids: list[int], number: int) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def deploy(self, member: Member) -> None:
        """SIGTERM, and a new one at once."""
        member.leaving = self._troubles.begin("deploy", {member.pid})
        member.process.terminate()
        self._leaving.append(member)
        self.members[self.members.index(member)] = self._start(member.place)

    def stop(self) -> None:
        """SIGTERM for all; returns when they are gone."""
        for member in self.members:
            member.leaving = self._troubles.begin("stop", {member.pid})
            member.process.terminate()
        self._leaving += self.members
        self.members = []
        while self._leaving:
            self.tend()
            time.sleep(0.02)

    def orphans_left(self) -> list[int]:
        """Children of killed workers that still run."""
        return [pid for pid, start in self.orphans if start and started(pid) == start]

    def end(self) -> None:
        """Kill what is left, whatever state it is in."""
        for member in [*self.members, *self._leaving]:
            left = member.children()
            member.process.kill()
            member.process.wait()
            self._signal(left, signal.SIGKILL)
