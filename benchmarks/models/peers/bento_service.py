"""The model behind BentoML, which gathers batches by itself."""

import os

import bentoml

from benchmarks.models.shapes import Flower, Species
from benchmarks.models.work import FIELDS, MOST, loaded

MODEL = os.environ["BENCH_MODEL"]


@bentoml.service(workers=1, traffic={"timeout": 30}, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Flowers:
    def __init__(self) -> None:
        self._model = loaded(MODEL)

    @bentoml.api(batchable=True, max_batch_size=MOST, max_latency_ms=30_000)
    def predict(self, flowers: list[Flower]) -> list[Species]:
        rows = [[getattr(flower, name) for name in FIELDS] for flower in flowers]
        return [Species(species=name) for name in self._model.predict_batch(rows)]
