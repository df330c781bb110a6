"""The route that says why a job does not run, or has not ended."""

from functools import partial
from typing import Annotated, Any

from flask import Response
from msgspec import UNSET, Meta, Struct, UnsetType

from mlq import MLQ
from mlq.http.answers import as_json
from mlq.http.problems import checked
from mlq.http.routes import Role, Route
from mlq.http.settings import Settings
from mlq.http.turns import Places

_asking = Places(4, most_waiting=50)  # of a job that comes after a thousand others, one takes the server some ms


class Reason(Struct):
    """The first reason that holds. Which of the other fields there are depends on it; times are seconds since 1970."""

    reason: Annotated[str, Meta(description="One word, for programs: `docs/why.md` lists them.")]
    text: Annotated[str, Meta(description="For people: what the job waits for, and what to do about it.")]
    worker: str | UnsetType = UNSET
    workers: list[str] | UnsetType = UNSET
    jobs: (
        Annotated[
            list[str], Meta(description="The first ten jobs that it waits for, or that hold the places of a limit.")
        ]
        | UnsetType
    ) = UNSET
    needs: Annotated[int, Meta(description="How many jobs it waits for,")] | UnsetType = UNSET
    of: Annotated[int | None, Meta(description="of how many; or how many retries it has.")] | UnsetType = UNSET
    because: (
        Annotated[dict[str, Any], Meta(description="Why the `job` has not ended that it waits for.")] | UnsetType
    ) = UNSET
    due: Annotated[float | None, Meta(description="When it may begin.")] | UnsetType = UNSET
    ahead: Annotated[int | None, Meta(description="How many jobs come before it.")] | UnsetType = UNSET
    about: Annotated[float, Meta(description="For about how many seconds it waits.")] | UnsetType = UNSET
    gate: Annotated[str, Meta(description="What is paused or at its limit: `queue:gpu`.")] | UnsetType = UNSET
    slots: int | UnsetType = UNSET
    busy: int | UnsetType = UNSET


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - as those of other modules
    """The routes for one queue."""
    return [
        Route("GET", "/jobs/<job_id>/why", partial(_why, mlq), Role.READ, "Say why a job does not run",
              {200: "The first reason that holds; of a job that ended, how.", 404: "No such job.",
               410: "The job was deleted, or has expired."}, reply=Reason),
    ]  # fmt: skip


def _why(mlq: MLQ, job_id: str) -> Response:
    wanted = checked(job_id)
    with _asking.take():
        return as_json(mlq.why(wanted).data(), headers={"Cache-Control": "no-store"})
