"""The routes of schedules: list, put, run, pause, resume and remove them. They speak JSON alone."""

from functools import partial
from typing import TYPE_CHECKING, cast

from flask import Response

from mlq import MLQ
from mlq.core.schedule import ScheduleState
from mlq.deliveries import allowed
from mlq.http import bodies
from mlq.http.answers import as_json
from mlq.http.problems import checked
from mlq.http.routes import Role, Route
from mlq.http.schedule_shapes import NewSchedule, Schedules, WholeSchedule
from mlq.http.settings import Settings
from mlq.http.shapes import Posted, StateName
from mlq.http.turns import ALWAYS, AskedOnce, Turns, pausing
from mlq.http.waiting import given_options, links, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "Schedules"
FEW = 50  # schedules that are written as JSON in no time
_turns = Turns(most_waiting=50)


def routes(mlq: MLQ, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    trusts = not settings.tokens or allowed.trusts_strangers()
    path, one, conflict = "/schedules/<name>", {404: "No such schedule."}, "It can't be run now, as its last job runs."
    return [
        Route("GET", "/schedules", partial(_list, AskedOnce(partial(_all, mlq))), Role.READ, "List schedules",
              {200: "All schedules, by name."}, GROUP, reply=Schedules),
        Route("GET", path, partial(_show, mlq), Role.READ, "Show a schedule", {200: "The schedule."} | one, GROUP,
              reply=WholeSchedule),
        Route("PUT", path, partial(_put, mlq, trusts), Role.ADMIN, "Add or change a schedule",
              {200: "It is as the body says; the same body again changes nothing.",
               400: "Not JSON; or a wrong line, an unknown zone, a wrong name or option.", 413: "Too large.",
               409: "It is declared in code, and differs from this.", 415: "Wrong content type.", 422: "Wrong shape."},
              GROUP, body=NewSchedule, reply=WholeSchedule,
              example={"cron": "0 8 * * 1-5", "tz": "Europe/Berlin", "functions": ["digest"], "msg": {"to": "all"}}),
        Route("DELETE", path, partial(_remove, mlq), Role.ADMIN, "Remove a schedule", {204: "It is gone."} | one,
              GROUP),
        Route("POST", f"{path}/run", partial(_run, mlq), Role.ADMIN, "Post the job of a schedule now",
              {202: "The job was posted.", 409: conflict} | one, GROUP, reply=Posted),
        Route("POST", f"{path}/pause", partial(_change, mlq, "pause"), Role.ADMIN, "Pause a schedule",
              {200: "It posts no jobs until it is resumed."} | one, GROUP, reply=WholeSchedule),
        Route("POST", f"{path}/resume", partial(_change, mlq, "resume"), Role.ADMIN, "Let a schedule go on",
              {200: "It is due at its next tick."} | one, GROUP, reply=WholeSchedule),
    ]  # fmt: skip


def _all(mlq: MLQ) -> list[ScheduleState]:
    with pausing():
        return mlq.schedules.all()


def _list(asked: AskedOnce[list[ScheduleState]]) -> Response:
    found = asked.answer()
    with _turns.take(ALWAYS if len(found) > FEW else 0):
        rows = [{name: value for name, value in one._asdict().items() if name not in ("msg", "options")}
                for one in found]  # fmt: skip
        return as_json({"schedules": rows}, in_turn=True)


def _show(mlq: MLQ, name: str) -> Response:
    return as_json(mlq.schedules.get(name)._asdict())


def _put(mlq: MLQ, trusts: bool, name: str) -> Response:  # noqa: FBT001 - a view
    given = given_options(bodies.decoded(NewSchedule), trusts=trusts)
    return as_json(mlq.schedules.add(name, given.pop("cron", None), **given)._asdict())


def _remove(mlq: MLQ, name: str) -> Response:
    mlq.schedules.remove(name)
    return Response(status=204)


def _run(mlq: MLQ, name: str) -> Response:
    job_id = checked(mlq.schedules.run(name).reference)
    return as_json(Posted(str(job_id), cast("StateName | None", state_of(mlq, job_id)), links(job_id)), 202)


def _change(mlq: MLQ, verb: str, name: str) -> Response:
    changes: dict[str, Callable[[str], None]] = {"pause": mlq.schedules.pause, "resume": mlq.schedules.resume}
    changes[verb](name)
    return _show(mlq, name)
