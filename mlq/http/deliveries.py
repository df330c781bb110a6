"""The routes of deliveries: the tries to tell others of a job's end, and the replay of its webhook."""

from functools import partial

from flask import Response

from mlq import MLQ
from mlq.http.answers import as_json, said, wants_json
from mlq.http.problems import checked
from mlq.http.routes import Role, Route
from mlq.http.settings import Settings
from mlq.http.shapes import Deliveries


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """All of them."""
    path, unknown = "/jobs/<job_id>/deliveries", {404: "No such job.", 410: "The job was deleted, or has expired."}
    return [
        Route("GET", path, partial(_list, mlq), Role.READ, "List the tries to tell of a job's end",
              {200: "The last 20 of its callback and its webhook, the oldest first; as JSON, always."} | unknown,
              group="Deliveries", reply=Deliveries),
        Route("POST", path, partial(_again, mlq), Role.POST, "Send the webhook of a job again",
              {202: "It is sent soon.", 409: "The job has not ended, or has no webhook."} | unknown,
              group="Deliveries", reply=Deliveries,
              about="It is the same event, with the same `webhook-id`, and has all its tries again."),
    ]  # fmt: skip


def _list(mlq: MLQ, job_id: str) -> Response:
    return _told(mlq, checked(job_id), 200)


def _again(mlq: MLQ, job_id: str) -> Response:
    wanted = checked(job_id)
    mlq.redeliver(wanted)
    return _told(mlq, wanted, 202) if wants_json() else said("ok", 202)


def _told(mlq: MLQ, job_id: str, status: int) -> Response:
    job = mlq.get_info(job_id)
    return as_json({name: job[name] for name in ("id", "callback", "webhook", "deliveries")}, status)
