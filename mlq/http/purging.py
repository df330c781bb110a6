"""The route that purges a queue."""

import time
from functools import partial

from flask import Response, request
from msgspec import Struct

from mlq import MLQ
from mlq.core.checks import check_functions, check_queue
from mlq.http.answers import as_json
from mlq.http.problems import Refused
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.turns import Places
from mlq.http.waiting import is_number

AT_MOST = 5.0  # seconds of one request: proxies end those that take long
_purging = Places(1, most_waiting=5)  # it keeps the server busy


class Purged(Struct):
    """How far a purge has come."""

    cancelled: int  # jobs, by this request
    done: bool  # false if there may be more: repeat the request with `last`
    last: str  # jobs with larger ids were posted after the purge began, and stay


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - as those of other modules
    """The routes for one namespace."""
    return [
        Route("DELETE", "/queues/<queue>/jobs", partial(_purge, mlq), Role.ADMIN,
              "Cancel all jobs that wait in a queue",
              {200: "So many were cancelled. If `done` is false, repeat the request with the parameter `last`."},
              group="Service", reply=Purged,
              parameters=(Parameter("function", "query", "Only jobs that name this listener."),
                          Parameter("last", "query", "From the answer to an earlier request: only jobs with ids up to "
                                    "this one.", {"type": "integer"}))),
    ]  # fmt: skip


def _purge(mlq: MLQ, queue: str) -> Response:
    function, last = request.args.get("function"), request.args.get("last")
    check_queue(queue)
    check_functions(None if function is None else [function])
    if last is not None and not is_number(last):
        raise Refused(400, f"last must be a number, not {last:.80}")
    with _purging.take():
        highest = mlq.last_id() if last is None else int(last)
        cancelled, until = 0, time.monotonic() + AT_MOST
        for page in mlq._purge(queue, function, highest):  # noqa: SLF001 - only HTTP stops in between
            cancelled += page
            if time.monotonic() > until:
                return as_json(Purged(cancelled, done=False, last=str(highest)))
        return as_json(Purged(cancelled, done=True, last=str(highest)))
