"""Two models of iris flowers: one that takes next to no time, and one that takes 1 ms a row."""

import time

from benchmarks.foreign.flower import Flower, Species


class Iris:
    """A tree of two questions."""

    name, version = "iris", "1"
    Input, Output = Flower, Species

    def predict_batch(self, flowers: list[Flower]) -> list[Species]:
        return [Species(species=_species(one), probability=one.petal_length * one.petal_width) for one in flowers]


class Slow(Iris):
    """The same, 1 ms a row."""

    name = "slow"

    def predict_batch(self, flowers: list[Flower]) -> list[Species]:
        time.sleep(0.001 * len(flowers))
        return super().predict_batch(flowers)


def _species(one: Flower) -> str:
    if one.petal_length < 2.5:
        return "setosa"
    return "versicolor" if one.petal_width < 1.75 else "virginica"
