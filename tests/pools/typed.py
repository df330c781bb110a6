"""Listeners with typed messages; their annotations are text, and one is declared later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pydantic
from side_channel import mlq

if TYPE_CHECKING:
    from mlq import JobContext


@mlq.listener(retries=2, backoff=0.01)
def typed(flower: Flower, ctx: JobContext) -> Flower:
    assert type(flower) is Flower
    return Flower(flower.size + ctx.attempt)


@mlq.listener(retries=2, backoff=0.01)
async def typed_async(model: Model) -> Model:
    assert type(model) is Model
    return Model(size=model.size + 1)


@mlq.listener
def type_unknown(msg: Nowhere) -> object:  # type: ignore[name-defined]  # noqa: F821
    return msg


@dataclass
class Flower:
    size: int


class Model(pydantic.BaseModel):
    size: int
