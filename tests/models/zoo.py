"""Models of the tests, good and bad. Their module can be imported by the workers of tests, too."""

import os
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, field_validator

PIDS = os.environ.get("ZOO_PIDS")  # a file to which each process that imports this adds its id
if PIDS:
    with Path(PIDS).open("a") as file:
        file.write(f"{os.getpid()}\n")


class Flower(BaseModel):
    """Measures of a flower, in cm."""

    model_config = {"json_schema_extra": {"examples": [{"length": 5, "width": 2.5}]}}
    length: float = Field(gt=0)
    width: float

    @field_validator("width")
    @classmethod
    def _is_no_seven(cls, width: float) -> float:
        if width == 7:
            raise ValueError("seven is for the model alone")
        return width


class Species(BaseModel):
    """What it is."""

    species: str


class Iris:
    """Tells the species of an iris.

    By its length alone.
    """

    name, version = "iris", "1"
    Input, Output = Flower, Species
    model: dict[float, str]

    def load(self, device: str) -> None:
        self.device = device
        self.model = {1.0: "short"}

    def predict(self, x: Flower) -> Species:
        if x.length == 13:
            raise ArithmeticError("thirteen")
        return Species(species=self.model.get(x.length, f"long on {self.device}"))

    def predict_batch(self, xs: list[Flower]) -> list[Any]:
        return [ArithmeticError("thirteen") if x.length == 13 else self.predict(x) for x in xs]


class NewerIris(Iris):
    """The next one."""

    version = "1.10"

    def predict(self, x: Flower) -> Species:
        return Species(species="newer")


class Number:
    """Adds one; some numbers have it do something else."""

    name, version = "number", "1"
    Input, Output = int, int

    def predict(self, x: int) -> Any:
        acts = {-1: lambda: os._exit(9), -2: lambda: time.sleep(600), -3: lambda: "no number", -4: exit, -5: _odd}
        return acts.get(x, lambda: x + 1)()


class Numbers:
    """Doubles many; `predict_batch` alone."""

    name, version = "numbers", "1"
    Input, Output = int, int

    def predict_batch(self, xs: list[int]) -> list[int]:
        if 404 in xs:
            return [0] * (len(xs) + 1)
        return [2 * x for x in xs]


class Odd:
    """Has a length of 0, and no truth value."""

    name, version = "odd", "1"
    Input, Output = int, list[str]

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        raise ValueError("ambiguous")

    def predict(self, x: int) -> list[str]:
        return [str(x)]


class Words:
    """Streams words."""

    name, version = "words", "1"
    Input, Output = str, str

    def predict(self, x: str) -> Any:
        yield from x.split()
        return x.upper()


class Waiting:
    """A coroutine."""

    name, version = "waiting", "1"
    Input, Output = int, int

    async def predict(self, x: int) -> int:
        return -x


class Broken:
    """Can't be loaded."""

    name, version = "broken", "1"
    Input, Output = int, int

    def load(self, device: str) -> None:
        raise FileNotFoundError(2, "No such file", "weights.bin")

    def predict(self, x: int) -> int:
        return x


class Unprintable(Exception):
    """Its text is an error."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _odd() -> None:
    raise Unprintable(object())


class Halves:
    """Gives what is no number, and what is no end."""

    name, version = "halves", "1"
    Input, Output = int, float

    def predict(self, x: int) -> float:
        return float(("nan", "inf")[x])


class Slow:
    """Takes 20 ms for a batch."""

    name, version = "slow", "1"
    Input, Output = int, int

    def predict_batch(self, xs: list[int]) -> list[int]:
        time.sleep(0.02)
        return [-x for x in xs]
