"""Versions of models that predict side by side; each load adds a line to a file, with the version and its process."""

import os
import time
from collections.abc import Iterator
from typing import Any

from tests.models.stable import GATE, LOADED


class Twin:
    """Gives back what it gets."""

    name, version = "twin", "1"
    Input, Output = int, float

    def load(self, device: str) -> None:
        with LOADED.open("a") as file:
            file.write(f"{self.version} {os.getpid()}\n")

    def predict(self, x: int) -> Any:
        return float(x)


class NewTwin(Twin):
    """Nearly the same below 100; some numbers have it do something else."""

    version = "2"

    def predict(self, x: int) -> Any:
        acts = {-1: lambda: 1 / 0, -2: lambda: os._exit(9), -3: lambda: time.sleep(600), -4: _wait}
        acts.get(x, lambda: None)()
        print("a shadow's own words")
        return x * (1 + 1e-9) if x < 100 else x + 1.0


class Broken(Twin):
    """Can't be loaded."""

    version = "3"

    def load(self, device: str) -> None:
        raise FileNotFoundError(2, "No such file", "weights.bin")


class ManyTwin(Twin):
    """Takes many at once."""

    version = "4"

    def predict_batch(self, xs: list[int]) -> list[float]:
        return [float(x) for x in xs]


class Talker:
    """Streams what it gets."""

    name, version = "talker", "1"
    Input, Output = str, str

    def predict(self, x: str) -> Iterator[str]:
        yield x


class NewTalker(Talker):
    """The next one."""

    version = "2"


def _wait() -> None:
    while GATE.is_file():
        time.sleep(0.01)
