"""The routes of limits and pauses of queues, functions, resources and shares."""

from functools import partial
from typing import Annotated, Literal

from flask import Response, request
from msgspec import Meta, Struct
from msgspec.json import encode

from mlq import MLQ
from mlq.core.limit import KINDS
from mlq.http.answers import JSON, as_json
from mlq.http.bodies import decoded
from mlq.http.problems import Refused
from mlq.http.routes import Role, Route
from mlq.http.settings import Settings
from mlq.http.turns import AskedOnce, pausing

Whole = Annotated[int, Meta(ge=1, le=10**9)]
Rate = Annotated[str, Meta(max_length=10, description="Starts in any second, minute or hour: 10/s, 60/m, 500/h.")]


class NewLimit(Struct, forbid_unknown_fields=True, kw_only=True):
    """How many jobs may run, start or wait, over all workers. What is left out is not limited."""

    running: Whole | None = None
    rate: Rate | None = None
    length: Whole | None = None  # jobs that wait in a queue


class NewPause(Struct, forbid_unknown_fields=True, kw_only=True):
    """Who pauses something."""

    by: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class Limited(Struct):
    """What is limited."""

    running: int | None
    rate: str | None
    length: int | None


class Paused(Struct):
    """Since when something is paused, in seconds since 1970, and by whom."""

    since: float
    by: str


class LimitState(Struct):
    """A queue, function, resource or share that is limited or paused."""

    kind: Literal["queue", "function", "resource", "share"]
    name: str
    limit: Limited
    paused: Paused | None
    running: int | None  # jobs that count as running, if that is limited
    started: int | None  # jobs that began within the time of the rate, if there is one
    opens_in: float | None  # seconds until the rate lets the next job begin; null if it holds none back
    holds_back: bool  # whether it keeps jobs from beginning


class Limits(Struct):
    """All that is limited or paused."""

    limits: list[LimitState]


class Changed(Struct):
    """Whether the request changed anything."""

    changed: bool


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """The routes for one queue."""
    refusals = {404: "No such kind: it is queue, function, resource or share."}
    bad = {400: "A wrong name or value.", 422: "A wrong value."} | refusals
    limit, pause = "/limits/<kind>/<path:name>", "/pauses/<kind>/<path:name>"
    return [
        Route("GET", "/limits", partial(_list, AskedOnce(partial(_all, mlq))), Role.READ, "List limits and pauses",
              {200: "What is limited or paused, and what that keeps back; always JSON."}, "Limits", reply=Limits),
        Route("PUT", limit, partial(_limit, mlq), Role.ADMIN, "Limit a queue, function, resource or share",
              {200: "It holds for jobs that begin from now on."} | bad, "Limits", body=NewLimit, reply=Changed,
              about="It replaces an earlier limit as a whole. Jobs that already run go on, and are counted."),
        Route("DELETE", limit, partial(_remove, mlq), Role.ADMIN, "Remove a limit",
              {200: "There is none any more."} | bad, "Limits", reply=Changed),
        Route("PUT", pause, partial(_pause, mlq), Role.ADMIN, "Pause a queue, function, resource or share",
              {200: "No job of it begins; those that run go on."} | bad, "Limits", body=NewPause, reply=Changed),
        Route("DELETE", pause, partial(_resume, mlq), Role.ADMIN, "End a pause",
              {200: "It is not paused."} | bad, "Limits", reply=Changed),
    ]  # fmt: skip


def _all(mlq: MLQ) -> bytes:
    """As JSON, once for all who ask together: there may be 20,000."""
    with pausing():
        return encode({"limits": [one.as_dict() for one in mlq.limits()]})


def _list(asked: AskedOnce[bytes]) -> Response:
    return Response(asked.answer(), content_type=JSON)


def _gate(kind: str, name: str) -> dict[str, str]:
    """The arguments that name a gate. Raises Refused."""
    if kind not in KINDS:
        raise Refused(404, f"there are limits and pauses of {', '.join(KINDS)}, not of {kind!r:.80}")
    return {kind: name}


def _limit(mlq: MLQ, kind: str, name: str) -> Response:
    wanted = decoded(NewLimit)
    changed = mlq.limit(**_gate(kind, name), running=wanted.running, rate=wanted.rate, length=wanted.length)
    return as_json(Changed(changed))


def _remove(mlq: MLQ, kind: str, name: str) -> Response:
    return as_json(Changed(mlq.remove_limit(**_gate(kind, name))))


def _pause(mlq: MLQ, kind: str, name: str) -> Response:
    given = decoded(NewPause) if request.content_length else NewPause()
    return as_json(Changed(mlq.pause(**_gate(kind, name), by=given.by or f"HTTP from {request.remote_addr}")))


def _resume(mlq: MLQ, kind: str, name: str) -> Response:
    return as_json(Changed(mlq.resume(**_gate(kind, name))))
