"""What became of the models among some listeners, for the worker's heartbeat. A child reports it to its worker."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from mlq.core.exceptions import plain
from mlq.system import memory

COLD = "cold"  # the state of a model of which nothing is known
WHY_LIMIT = 500  # characters kept of the reason why a model can't be loaded


class Load(NamedTuple):
    """The state of a model in one process."""

    state: str  # cold, loading, ready or broken
    since: float  # seconds since 1970
    took: float = 0.0  # seconds that loading took
    why: str = ""  # of a broken one
    memory: int = 0  # bytes that the process holds, as far as they are known
    device: str = ""  # where it was loaded


class Residency(NamedTuple):
    """How long a model stays loaded, and what it takes."""

    idle: float | None = None  # seconds without use after which it is unloaded; None: it stays
    memory: int | None = None  # bytes that its process needs; None: they are measured
    warm: bool = False  # it is loaded before its first job


Report = Callable[[str, Load], None]


class LoadCount(NamedTuple):
    """What happened to a model."""

    loads: int = 0
    seconds: float = 0.0  # that these took
    evictions: int = 0  # it was unloaded, unused or to make place for others


class LoadCounts:
    """What happened to models, until it is taken. Safe to use from any thread."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._counts: dict[str, LoadCount] = {}
        self._lock = threading.Lock()

    def add(self, name: str, more: LoadCount) -> None:
        """Something happened to a model."""
        with self._lock:
            loads, seconds, evictions = self._counts.get(name, LoadCount())
            self._counts[name] = LoadCount(loads + more.loads, seconds + more.seconds, evictions + more.evictions)

    def take(self) -> dict[str, LoadCount]:
        """What happened since the last call."""
        with self._lock:
            taken, self._counts = self._counts, {}
        return taken


class Loads:
    """The models of one process, by the name of their listener. Safe to use from any thread."""

    def __init__(self, counts: LoadCounts | None = None) -> None:
        """None was loaded yet. `counts` are those of several processes together."""
        self.counts = counts or LoadCounts()
        self._loads: dict[str, Load] = {}
        self._report: Report | None = None
        self._lock = threading.Lock()

    def loading(self, name: str) -> None:
        """A model is being loaded."""
        self.put(name, Load("loading", time.time()))

    def ready(self, name: str, took: float, device: str) -> None:
        """A model was loaded on that device, in `took` seconds."""
        self.put(name, Load("ready", time.time(), took, memory=memory.resident(), device=device))

    def broken(self, name: str, why: str) -> None:
        """A model can't be loaded."""
        self.put(name, Load("broken", time.time(), why=plain(why[:WHY_LIMIT])))

    def interrupted(self, name: str) -> None:
        """Loading was interrupted; nothing is known."""
        self.put(name, Load(COLD, time.time()))

    def all(self) -> dict[str, Load]:
        """The models that were loaded, or were to be."""
        with self._lock:
            return {name: load for name, load in self._loads.items() if load.state != COLD}

    def weigh(self, memory: int) -> None:
        """The process holds so many bytes now."""
        with self._lock:
            self._loads = {name: load._replace(memory=memory) for name, load in self._loads.items()}

    def report_to(self, report: Report) -> None:
        """Have `report` called with every change, and now with what there is."""
        self._report = report
        for name, load in self.all().items():
            report(name, load)

    def put(self, name: str, load: Load) -> None:
        """Note what became of a model."""
        with self._lock:
            self._loads[name] = load
        if load.state == "ready":
            self.counts.add(name, LoadCount(1, load.took))
        if self._report is not None:
            self._report(name, load)
