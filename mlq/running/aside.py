"""Waits for the server beside an event loop, so that the other listeners on the loop go on."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def aside(act: Callable[[], T]) -> T:
    """What `act` returns or raises, on a thread of its own."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()

    def run() -> None:
        result: tuple[T | None, BaseException | None]
        try:
            result = act(), None
        except BaseException as error:  # noqa: BLE001 - to be raised where it is awaited
            result = None, error
        loop.call_soon_threadsafe(arrive, ended, result)

    threading.Thread(target=run, name="mlq-wait", daemon=True).start()
    value, error = await ended
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def arrive(future: "asyncio.Future[Any]", result: Any) -> None:
    """Set a future's result, if somebody still waits for it."""
    if not future.done():
        future.set_result(result)
