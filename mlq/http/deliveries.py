"""The routes of deliveries: the tries to send a job's callback and webhook, and sending its webhook again."""

from functools import partial

from flask import Response

from mlq import MLQ
from mlq.http.answers import as_json, plain_text, wants_json
from mlq.http.delivery_shapes import Deliveries
from mlq.http.lookups import looked_up
from mlq.http.problems import checked
from mlq.http.routes import Role, Route
from mlq.http.settings import Settings
from mlq.ops import jobs as job_ops


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """The routes for one queue."""
    path, unknown = "/jobs/<job_id>/deliveries", {404: "No such job.", 410: "The job was deleted, or has expired."}
    return [
        Route("GET", path, partial(_list, mlq), Role.READ, "List the tries to send a job's callback and webhook",
              {200: "The last 20, oldest first; always JSON."} | unknown,
              group="Deliveries", reply=Deliveries),
        Route("POST", path, partial(_again, mlq), Role.POST, "Send the webhook of a job again",
              {202: "It will be sent soon.", 409: "The job has not ended, or has no webhook."} | unknown,
              group="Deliveries", reply=Deliveries,
              about="It is the same event, with the same `webhook-id`; all its tries start again."),
    ]  # fmt: skip


def _list(mlq: MLQ, job_id: str) -> Response:
    return _deliveries(mlq, checked(job_id), 200)


def _again(mlq: MLQ, job_id: str) -> Response:
    wanted = checked(job_id)
    mlq.redeliver(wanted)
    return _deliveries(mlq, wanted, 202) if wants_json() else plain_text("ok", 202)


def _deliveries(mlq: MLQ, job_id: str, status: int) -> Response:
    op = job_ops.info(mlq._keys, mlq._named(job_id))  # noqa: SLF001 - errors of 2 MB are decoded in turns
    with looked_up(mlq, op) as (info,):
        job = info()
        shown = {name: job[name] for name in ("id", "callback", "webhook", "deliveries")}
        return as_json(shown, status, in_turn=True)
