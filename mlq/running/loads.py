"""What became of the models among some listeners, for the worker's heartbeat. A child reports it to its worker."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from mlq.core.exceptions import plain

COLD = "cold"  # the state of a model of which nothing is known
WHY_LIMIT = 500  # characters kept of the reason why a model can't be loaded


class Load(NamedTuple):
    """The state of a model in one process."""

    state: str  # cold, loading, ready or broken
    since: float  # seconds since 1970
    took: float = 0.0  # seconds that loading took
    why: str = ""  # of a broken one


Report = Callable[[str, Load], None]


class Loads:
    """The models of one process, by the name of their listener. Safe to use from any thread."""

    def __init__(self) -> None:
        """None was loaded yet."""
        self._loads: dict[str, Load] = {}
        self._report: Report | None = None
        self._lock = threading.Lock()

    def loading(self, name: str) -> None:
        """A model is being loaded."""
        self.put(name, Load("loading", time.time()))

    def ready(self, name: str, took: float) -> None:
        """A model was loaded, in `took` seconds."""
        self.put(name, Load("ready", time.time(), took))

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

    def report_to(self, report: Report) -> None:
        """Have `report` called with every change, and now with what there is."""
        self._report = report
        for name, load in self.all().items():
            report(name, load)

    def put(self, name: str, load: Load) -> None:
        """Note what became of a model."""
        with self._lock:
            self._loads[name] = load
        if self._report is not None:
            self._report(name, load)
