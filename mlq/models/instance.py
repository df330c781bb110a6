"""A loaded model: loaded on first use, once for all threads that want it; if that fails, again after a pause."""

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from mlq.errors import NotLoaded
from mlq.running.loads import Loads
from mlq.system import gpus

log = logging.getLogger("mlq.models")

FIRST_PAUSE, LONGEST_PAUSE = (
    1.0,
    60.0,
)  # seconds between two tries to load a model that failed to load; doubled each time


class Elsewhere(ABC):
    """A model that is loaded in another process."""

    successor: Callable[[], Any]  # the model as it is loaded now: this one, or one that took its place

    @property
    @abstractmethod
    def is_gone(self) -> bool:
        """Whether that process has ended, so that the model must be loaded again."""


class Instance:
    """One instance of a model."""

    def __init__(self, kind: type, function: str, device: str, loads: Loads) -> None:
        """Loads nothing yet. `function`: the name of its listener; `device`: what its `load` gets, "auto" to choose."""
        self._kind = kind
        self._function = function
        self._device = device
        self._loads = loads
        self._loading = threading.Lock()
        self._loaded = False
        self._is_elsewhere = issubclass(kind, Elsewhere)
        self._model: Any = (
            None  # never asked for its truth value or length: models may define `__bool__` or `__len__` oddly
        )
        self._failures = 0
        self._retry_at = 0.0
        self._why = ""

    @property
    def is_loaded(self) -> bool:
        """Whether `get` returns at once."""
        return self._loaded and not (self._is_elsewhere and self._model.is_gone)

    def get(self) -> Any:
        """The loaded model. Raises NotLoaded."""
        if not self.is_loaded:
            with self._loading:
                if not self.is_loaded:
                    self._load()
        return self._model

    def _load(self) -> None:
        name, began = self._function, time.monotonic()
        if began < self._retry_at:
            raise NotLoaded(f"{self._why} (the next try is in {self._retry_at - began:.0f} s)")
        self._loads.loading(name)
        if self._device == gpus.AUTO:
            self._device = gpus.device_for(os.environ)
        log.info("loading model %s on %s", name, self._device)
        try:
            made = self._kind()
            if hasattr(made, "load"):
                made.load(self._device)
        except (Exception, SystemExit) as error:  # user code
            self._failures += 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
            self._retry_at = time.monotonic() + pause
            self._why = f"model {name} can't be loaded: {_words_of(error)}"
            self._loads.broken(name, _words_of(error))
            log.error("%s; the next try is in %.0f s at the earliest", self._why, pause)  # noqa: TRY400 - the job has the traceback
            raise NotLoaded(self._why) from error
        except BaseException:  # the attempt was given up
            self._loads.interrupted(name)
            raise
        took = time.monotonic() - began
        if self._is_elsewhere:
            made.successor = self.get
        self._model, self._failures, self._loaded = made, 0, True
        self._loads.ready(name, took, self._device)
        log.info("model %s is ready; loading took %.1f s", name, took)


def _words_of(error: BaseException) -> str:
    """The error in one line, even if its own methods raise."""
    kind = type(error).__name__
    try:
        words = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - user code
        return kind
    return f"{kind}: {words:.300}" if words else kind
