"""One child process as its worker sees it: how it is started, what it runs, and how it ended."""

import contextlib
import logging
import os
import selectors
import socket
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mlq.pools.contract import Run, Task, Together
from mlq.pools.frames import SEND_PATIENCE, Wire
from mlq.running.loads import Load, LoadCounts, Loads

log = logging.getLogger("mlq.worker")

KILL_AFTER = 1.0  # seconds that a listener has to end once its run is given up; if it does, its child stays warm
STOP_AFTER = 5.0  # seconds that a child has to end after it was told to


class Program(NamedTuple):
    """What one child of a pool runs; its replacements run the same, so they keep its GPU."""

    command: Sequence[str]  # the number of a socket's file descriptor is appended to it
    environment: Mapping[str, str] = {}  # what is set in addition to the worker's own variables
    files: Sequence[int] = ()  # file descriptors that it inherits


class Limits(NamedTuple):
    """When a child is replaced after a run."""

    jobs: int | None = None
    memory: int | None = None  # bytes, resident


class Child:
    """A child process and the wire to it. Only the pool's own thread starts and ends it."""

    def __init__(self, program: Program, slots: int, *, kills: bool, counts: LoadCounts | None = None) -> None:
        """Start a fresh process, never forked from this one. `kills`: it is killed if it doesn't end a given-up run.

        `counts`: hears of models that it loads.

        It leads its own session, so that processes which its listeners start can be identified, and a terminal's
        Ctrl-C reaches only the worker. Raises OSError if the system can't start another process.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*program.command, str(theirs.fileno())], env={**os.environ, **program.environment},
                pass_fds=[theirs.fileno(), *program.files], stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.program = program
        ours.settimeout(SEND_PATIENCE)
        self.wire = Wire(ours)
        self.pidfd = _pidfd_of(self.process, ours)
        self.ready = False
        self.refusal: str | None = None  # why it can't load the listeners
        self.retiring = False  # takes no more runs; ends when it has none
        self.served = 0
        self.away: set[int] = set()  # runs that wait for another job; each makes room for one more run
        self.runs: dict[int, Run] = {}
        self.batches: dict[Together, set[int]] = {}  # the runs of each
        self.loads = Loads(counts)  # what became of models in it
        self.key: tuple[str, ...] | None = None  # the models that it is for; None if it is for all, or not decided yet
        self.weight = 0  # bytes that it holds, as far as it has told
        self.used = self.met = time.monotonic()  # when a run ended, and when it said what became of a model
        self.given_up: dict[int, float] = {}  # runs to end, and when to kill the child if they don't
        self.told_places = 0  # the last number of places that the worker was told
        self.uploads_sent = 0  # the number of the last change of uploads (loading.py) up to which it has all of them
        self.known: dict[str, int] = {}  # the uploads that it was sent, with the numbers of their changes
        self.loading: str | None = None  # the upload that it is loading
        self.load_by = 0.0
        self._slots = slots
        self._kills = kills
        self._stop_by: float | None = None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self.process.pid

    def places(self) -> int:
        """How many runs it can have at a time; if it retires, a place for each run that holds a slot of the worker."""
        if not self.ready:
            return 0
        if self.retiring and not self.away:  # a run may wait for a job that only this worker can run
            return max(0, self._count(self.runs) - self._count(self._ending()))
        return 0 if self._kills and self._ending() else self._slots

    def room(self) -> int:
        """How many more runs it can take now."""
        places = 0 if self.retiring and not self.away else self.places()
        return places and places - self._count(self.runs) + len(self.away) + self._count(self._ending())

    def _count(self, numbers: Collection[int]) -> int:
        """How many places these runs take: those of a batch take one together."""
        extra = (len(batch.intersection(numbers)) - 1 for batch in self.batches.values())
        return len(numbers) - sum(one for one in extra if one > 0)

    def _ending(self) -> Collection[int]:
        """The runs that must end. A batch goes on until all of its runs were given up."""
        going_on = [batch for batch in self.batches.values() if not batch <= self.given_up.keys()]
        return self.given_up.keys() - set().union(*going_on) if going_on else self.given_up

    def run(self, task: Task, numbers: Iterator[int]) -> None:
        """Have it run something; each run gets a new number."""
        sent = []
        for run in task.members if isinstance(task, Together) else (task,):
            number, claimed = next(numbers), run.claimed
            self.runs[number] = run
            sent.append((number, claimed.id, claimed.attempt, claimed.worker, claimed.started, claimed.record))
        if isinstance(task, Together):
            self.batches[task] = {number for number, *_ in sent}
            self.send("batch", sent)
        else:
            self.send("run", *sent[0])

    def forget(self, number: int) -> Run | None:
        """A run has ended; returns it, if it is known."""
        self.served += 1
        self.given_up.pop(number, None)
        self.away.discard(number)  # a wait may outlive its listener
        self.used = time.monotonic()
        for batch, numbers in list(self.batches.items()):
            numbers.discard(number)
            if not numbers:
                del self.batches[batch]
        return self.runs.pop(number, None)

    def notes(self, word: str, rest: list[Any]) -> bool:
        """Note what the child says about itself; False if the frame is about something else."""
        if word == "failed":
            self.refusal = rest[0]
        elif word == "model":
            name, state, since, took, why, memory, device = rest
            told = Load(str(state), float(since), float(took), str(why), int(memory), str(device))
            self.loads.put(str(name), told)
            self.weight, self.met = told.memory or self.weight, time.monotonic()
        return word in ("failed", "model")

    def is_worn(self, limits: "Limits", weight: int) -> bool:
        """Whether it is to be replaced, now that it holds `weight` bytes; 0 if that is not known."""
        if weight:
            self.weight = weight
            self.loads.weigh(weight)
        if limits.memory is not None and weight > limits.memory:
            log.warning("child %d holds %.0f MB, which is above its limit: it is replaced", self.pid, weight / 1e6)
            return True
        return limits.jobs is not None and self.served >= limits.jobs

    def reads(self) -> bool:
        """Whether it reads frames now: not while its only thread runs a listener."""
        return not self.runs or bool(self.away) or self._slots > 1

    def give_up(self, run: Run) -> bool:
        """Tell it to end a run; False if it does not have that run."""
        number = next((number for number, one in self.runs.items() if one is run), None)
        if number is None:
            return False
        self.given_up[number] = time.monotonic() + KILL_AFTER
        self.send("cancel", number)
        return True

    def send(self, *frame: Any) -> None:
        """Send a frame. If the child is gone, its runs are reported as lost when it is buried."""
        try:
            self.wire.send(*frame)
        except TimeoutError:  # it is alive, but does not read
            self.process.kill()
        except OSError:
            pass

    def retire(self) -> None:
        """Have it end once its runs have ended."""
        self.retiring = True
        if not self.runs and self._stop_by is None:
            self._stop_by = time.monotonic() + STOP_AFTER
            self.send("stop")

    def overdue(self, now: float) -> bool:
        """Whether it is late: to end, to end a run, or to load an upload."""
        late = self._kills and any(self.given_up[number] <= now for number in self._ending())
        hangs = self.loading is not None and self.load_by <= now
        return late or hangs or (self._stop_by is not None and self._stop_by <= now)

    def gone(self) -> bool:
        """Whether it has ended, and everything that it sent has been read."""
        return self.process.poll() is not None and not _readable(self.wire.socket)

    def bury(self) -> int:
        """Release its resources; returns its exit code, or minus the number of the signal that killed it."""
        self.process.kill()  # if it closed its end of the wire but is still alive
        code = self.process.wait()
        self.wire.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
        return code


def _pidfd_of(process: "subprocess.Popen[bytes]", wire: socket.socket) -> int | None:
    """What tells when it ends; None if the system has no such thing."""
    try:
        return os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
    except OSError:  # no file descriptor is left: the process would not be watched
        process.kill()
        process.wait()
        wire.close()
        raise


def end_all(children: Iterable[Child]) -> Iterator[Child]:
    """End children, those that run something at once; yields each when it is gone."""
    several = list(children)
    for child in several:
        if child.runs:
            child.process.kill()
        else:
            child.send("stop")
    give_up = time.monotonic() + STOP_AFTER
    for child in several:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, give_up - time.monotonic()))
        child.bury()
        yield child


class Kernel:
    """Detects whether the kernel has killed processes because memory ran out."""

    def __init__(self) -> None:
        """Count from now on."""
        self._kills = _kernel_kills()

    def killed(self) -> bool:
        """Whether it has killed any since the last call."""
        before, self._kills = self._kills, _kernel_kills()
        return self._kills > before


def _kernel_kills() -> int:
    """How many processes the kernel has killed since boot because memory ran out; 0 if it does not report that."""
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
        except ConnectionError:  # everything it sent was read; it was killed before it read everything that it was sent
            return False
