"""The model as MLQ hosts it. MLQ itself is not imported."""

import os

from benchmarks.models.shapes import Flower, Species
from benchmarks.models.work import FIELDS, loaded

MODEL = os.environ["BENCH_MODEL"]


class Hosted:
    """Tells the species of an iris."""

    name, version = MODEL, "1"
    Input, Output = Flower, Species

    def load(self, device: str) -> None:  # noqa: ARG002 - the CPU
        self._model = loaded(MODEL)

    def predict_batch(self, flowers: list[Flower]) -> list[Species]:
        rows = [[getattr(flower, name) for name in FIELDS] for flower in flowers]
        return [Species(species=name) for name in self._model.predict_batch(rows)]
