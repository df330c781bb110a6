"""Listeners with declared routes."""

from typing import Any

from side_channel import mlq

from mlq import route, step


@mlq.listener(retries=3)
def sorts(value: Any) -> Any:
    return value


@mlq.listener
async def sorts_async(value: Any) -> Any:
    return value


@mlq.listener(batch=8, retries=3)
def sorts_together(values: list[Any]) -> list[Any]:
    return values


@mlq.listener
def reads(value: Any) -> Any:
    return {"read": value}


for sorter in (sorts, sorts_async, sorts_together):
    sorter >> route({"book": reads, "twice": step("sorts_again")}, by="kind")


@mlq.listener
def sorts_again(value: Any) -> Any:
    return {"kind": len(value["kind"]), "before": value}


sorts_again >> route({1: "nobody"}, by="kind", otherwise=reads)
