"""A model with types of pydantic 2 for other interpreters, back to Python 3.7."""

from typing import List, Optional

from pydantic import BaseModel, Field, field_validator


class Leaf(BaseModel):
    size: float = Field(gt=0)


class Plant(BaseModel):
    name_: str = Field(alias="name")
    leaves: List[Leaf] = []
    age: Optional[int] = None

    @field_validator("name_")
    @classmethod
    def _is_no_weed(cls, name):
        if name == "weed":
            raise ValueError("no weeds")
        return name


class Known(BaseModel):
    kind: str = Field(alias="class")
    area: float


class Botanist:
    """Knows plants."""

    name, version = "botanist", "2.0"
    Input, Output = Plant, Known

    def predict(self, x):
        if x.age == 0:
            return {"class": "none"}
        return Known(**{"class": x.name_.upper(), "area": sum(leaf.size for leaf in x.leaves)})

    def predict_batch(self, xs):
        return [self.predict(x) for x in xs]


class Leaves:
    """Streams models of pydantic."""

    name, version = "leaves", "1"
    Input, Output = int, List[Leaf]

    def predict(self, x):
        for n in range(1, x + 1):
            yield Leaf(size=n)
        return [Leaf(size=x)]


class Odd:
    """Has a type that pydantic can't describe."""

    name, version = "odd", "1"
    Input, Output = object(), int

    def predict(self, x):
        return x
