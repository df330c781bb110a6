"""A model that does almost nothing, with the types of a usual one."""

from pydantic import BaseModel


class Flower(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class Species(BaseModel):
    species: str
    probability: float


class One:
    """Takes one flower at a time."""

    name, version = "one", "1"
    Input, Output = Flower, Species

    def predict(self, x: Flower) -> Species:
        return Species(species="setosa", probability=x.petal_width)


class Many(One):
    """Takes batches."""

    name = "many"

    def predict_batch(self, xs: list[Flower]) -> list[Species]:
        return [self.predict(x) for x in xs]
