"""The route of a pipeline's steps, as a tree."""

from functools import partial
from typing import Literal

from flask import Response, request
from msgspec import Struct

from mlq import MLQ
from mlq.core.tree import STEPS, Growing
from mlq.http.answers import as_json
from mlq.http.lookups import looked_up
from mlq.http.problems import Refused, checked
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.shapes import StateName
from mlq.http.turns import Places, Turns
from mlq.http.waiting import is_number
from mlq.ops.pipelines import tree

MOST = 5000  # steps of one answer: 2 MB of JSON
# 5,000 steps take the server 0.2 s and this process 0.6 s: so two are read at a time, and parsed page by page
_reading, _turns = Places(2, most_waiting=20), Turns()


class Steps(Struct):
    """How many steps of a pipeline succeeded, failed or were cancelled, and exist. More may be posted."""

    done: int
    failed: int
    of: int


class Tree(Struct):
    """A job and the jobs that ran for it. Times are seconds since 1970 by the server's clock."""

    id: str
    runs_as: Literal["root", "needed", "next", "part", "join"]  # needed: the root comes after it
    state: StateName | Literal["gone"]
    queue: str
    functions: list[str]
    attempts: int
    posted: float | None
    started: float | None
    finished: float | None
    took: float | None  # seconds from the start of the last attempt to the end of the job, or until now
    reason: str | None
    error_type: str | None
    error: str | None  # its beginning
    cause: str | None  # the job because of which it failed
    becomes: str | None  # the job whose outcome it has or will have
    gave: str | None  # the job that got its result
    needs: int | None  # jobs that it still waits for
    parts: int | None  # of a join: the jobs whose results it gets
    progress: Steps | None  # of the root of a pipeline
    left_out: int  # of the root: steps that exist, but are not shown
    steps: list["Tree"]


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """The route for one queue."""
    return [
        Route("GET", "/jobs/<job_id>/tree", partial(_tree, mlq), Role.READ, "Show the pipeline that a job belongs to",
              {200: "The job that the pipeline was posted as, with its steps.", 404: "No such job.",
               410: "The job was deleted, or has expired."}, reply=Tree,
              parameters=(Parameter("limit", "query", f"Steps at most, up to {MOST}; {STEPS} if left out.",
                                    {"type": "integer"}),),
              about="`left_out` says how many more steps there are. A job of no pipeline is shown alone, with the jobs "
                    "that it comes after."),
    ]  # fmt: skip


def _tree(mlq: MLQ, job_id: str) -> Response:
    limit = request.args.get("limit", "")
    if limit and not (is_number(limit) and 1 <= int(limit) <= MOST):
        raise Refused(400, f"limit must be a number from 1 to {MOST}, not {limit:.80}")
    growing, wanted, keys = Growing(int(limit or STEPS)), mlq._named(checked(job_id)), mlq._keys  # noqa: SLF001 - as in lookups.py
    with _reading.take():
        while not growing.is_whole:
            with looked_up(mlq, tree(keys, wanted, growing.after, growing.wanted), turns=_turns) as (page,):
                growing.add(page())
        return as_json(growing.tree(), in_turn=True)
