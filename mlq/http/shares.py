"""The routes of shares: GET and PUT /shares."""

from functools import partial
from typing import Annotated

from flask import Response
from msgspec import Meta, Struct
from msgspec.json import encode

from mlq import MLQ
from mlq.http.answers import JSON
from mlq.http.bodies import decoded
from mlq.http.routes import Role, Route
from mlq.http.settings import Settings
from mlq.http.turns import AskedOnce, pausing


class Share(Struct):
    """A share of the workers' time."""

    name: str
    waiting: int  # its jobs that wait for a worker
    weight: float


class Shares(Struct):
    """All shares with jobs that wait, or with a weight of their own."""

    shares: list[Share]


class NewWeight(Struct, forbid_unknown_fields=True):
    """How much of the workers' time a share gets, beside others, whose weight is 1."""

    share: Annotated[str, Meta(min_length=1, max_length=100)]
    weight: Annotated[float, Meta(ge=0.001, le=1000)]


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """The routes for one queue."""
    asked = AskedOnce(partial(_all, mlq))
    return [
        Route("GET", "/shares", partial(_list, asked), Role.READ, "List the shares", {200: "By name."}, "Queues",
              reply=Shares),
        Route("PUT", "/shares", partial(_weigh, mlq, asked), Role.ADMIN, "Set the weight of a share",
              {200: "All shares.", 400: "Not JSON.", 422: "Wrong shape, or no weight from 0.001 to 1000."}, "Queues",
              body=NewWeight, reply=Shares,
              about="It counts for jobs that workers take from now on."),
    ]  # fmt: skip


def _all(mlq: MLQ) -> bytes:
    """As JSON, once for all who ask together: whoever may post can make any number of shares."""
    with pausing():
        return encode(Shares([Share(*one) for one in mlq.shares()]))


def _list(asked: AskedOnce[bytes]) -> Response:
    return Response(asked.answer(), content_type=JSON)


def _weigh(mlq: MLQ, asked: AskedOnce[bytes]) -> Response:
    wanted = decoded(NewWeight)
    mlq.share_weight(wanted.share, wanted.weight)
    return _list(asked)
