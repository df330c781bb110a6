"""Models that are loaded and unloaded; each load adds a line to a file, with the model's name and its process."""

import atexit
import os
import time
from pathlib import Path
from typing import Any

LOADED = Path(os.environ.get("STABLE_LOADED", os.devnull))
GATE = Path(os.environ.get("STABLE_GATE", os.devnull))  # while it exists, loads and predictions of -1 wait


def _wait() -> None:
    while GATE.is_file():
        time.sleep(0.01)


class _Horse:
    """Says in which process it lives."""

    version = "1"
    Input = Output = int
    gate = False
    fat = b""

    def load(self, device: str) -> None:
        with LOADED.open("a") as file:
            file.write(f"{self.name} {os.getpid()}\n")  # type: ignore[attr-defined]
        if self.gate:
            _wait()

    def predict(self, x: int) -> Any:
        if x == -1:
            _wait()
        if x > 1:
            self.fat = bytes(os.urandom(1) * x * 2**20)  # grows by so many MiB
        return os.getpid()


class A(_Horse):
    """One of them."""

    name = "a"


class B(_Horse):
    """One of them."""

    name = "b"


class C(_Horse):
    """One of them."""

    name = "c"


class Gated(_Horse):
    """Waits while it loads."""

    name = "gated"
    gate = True


class Fat(_Horse):
    """Takes 300 MiB as soon as it is loaded."""

    name = "fat"

    def load(self, device: str) -> None:
        super().load(device)
        self.fat = bytes(os.urandom(1) * 300 * 2**20)


class Lingers(_Horse):
    """Its process takes a second to end."""

    name = "lingers"

    def load(self, device: str) -> None:
        super().load(device)
        atexit.register(time.sleep, 1)


class Many(_Horse):
    """Takes many at once."""

    name = "many"

    def predict_batch(self, xs: list[int]) -> list[Any]:
        return [self.predict(x) for x in xs]
