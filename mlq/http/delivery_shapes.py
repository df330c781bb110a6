"""The shapes of what is told about callbacks and webhooks, as those of `shapes.py`."""

from typing import Literal

from msgspec import Struct


class Try(Struct, rename={"number": "try"}):
    """One try of a delivery. Times are seconds since 1970 by the server's clock."""

    kind: Literal["callback", "webhook"]
    number: int
    at: float
    status: int | None  # of the receiver's response, if there was one
    error: str | None  # why it failed; null if it succeeded
    next: float | None  # when the next try is due


class Deliveries(Struct):
    """The tries to send a job's callback and webhook."""

    id: str
    callback: str | None
    webhook: str | None
    deliveries: list[Try]
