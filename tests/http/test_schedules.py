"""Schedules over HTTP: put, list, show, run, pause, resume, remove; roles and refusals."""

import time

import pytest

from mlq.core.checks import STRANGERS
from mlq.http.app import make_app
from mlq.http.routes import Role
from mlq.http.settings import Settings
from tests.http.tokens import GIVEN, bearer

DIGEST = {"cron": "0 8 * * 1-5", "tz": "Europe/Berlin", "functions": ["digest"], "msg": {"to": "all"}, "priority": 3}


def test_from_the_beginning_to_the_end(client, mlq):
    made = client.put("/schedules/digest", json=DIGEST)
    assert made.status_code == 200
    told = made.json
    assert (told["cron"], told["tz"], told["msg"], told["owner"]) == ("0 8 * * 1-5", "Europe/Berlin", {"to": "all"},
                                                                       "run time")  # fmt: skip
    assert (told["options"], told["functions"], told["paused"]) == ({"priority": 3}, ["digest"], None)
    assert client.put("/schedules/digest", json=DIGEST).json["next"] == told["next"]
    [listed] = client.get("/schedules").json["schedules"]
    assert listed == {name: value for name, value in client.get("/schedules/digest").json.items()
                      if name not in ("msg", "options")}  # fmt: skip

    posted = client.post("/schedules/digest/run")
    assert (posted.status_code, posted.json["state"]) == (202, "queued")
    job = client.get(posted.json["links"]["self"]).json
    assert (job["schedule"], job["priority"], job["tick"]) == ("digest", 3, pytest.approx(time.time(), abs=60))
    again = client.post("/schedules/digest/run", headers={"Accept": "application/json"})
    assert (again.status_code, "has not ended" in again.json["detail"]) == (409, True)

    assert client.post("/schedules/digest/pause").json["next"] is None
    assert client.post("/schedules/digest/resume").json["next"] == told["next"]
    assert client.delete("/schedules/digest").status_code == 204
    assert client.get("/schedules").json == {"schedules": []}
    assert mlq.schedules.all() == []


def test_what_is_answered_has_the_shape_that_is_described(client):
    from openapi_schema_validator import OAS31Validator

    shapes = client.get("/openapi.json").json["components"]["schemas"]
    asked = {
        "WholeSchedule": client.put("/schedules/digest", json=DIGEST),
        "Schedules": client.get("/schedules"),
        "Posted": client.post("/schedules/digest/run"),
    }
    for name, given in asked.items():
        OAS31Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": shapes}}).validate(given.json)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, "a cron line or an interval"),
        ({"cron": "0 0 31 2 *"}, 400, "never due"),
        ({"cron": "* * * * *", "tz": "Mars"}, 400, "no time zone"),
        ({"every": 0.5}, 422, "every"),
        ({"every": 5, "missed": "never"}, 422, "missed"),
        ({"every": 5, "missed": "all"}, 400, "needs overlap"),
        ({"every": 5, "at": 5}, 422, "at"),
        ({"every": 5, "after": ["1"]}, 422, "after"),
        ({"every": 5, "functions": ["#predict-file"]}, 422, "MLQ's own listeners"),
        ({"every": 5, "msg": "x" * 70_000}, 413, "store it elsewhere"),
    ],
)
def test_refused(client, mlq, body, status, told):
    given = client.put("/schedules/s", json=body, headers={"Accept": "application/json"})
    assert (given.status_code, told in given.text) == (status, True), given.text
    assert mlq.schedules.all() == []


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("delete", ""), ("post", "/run"), ("post", "/pause"),
                                              ("post", "/resume")])  # fmt: skip
def test_unknown(client, method, path):
    assert getattr(client, method)(f"/schedules/x{path}").status_code == 404


def test_one_of_the_code(client, mlq):
    """It is not changed here."""
    from mlq.core.schedule import BY_CODE, schedule_of
    from mlq.ops import schedules as schedule_ops

    made = schedule_of("s", None, 5, None, None, None, None, None, None, {})
    mlq._shell.run(schedule_ops.declare(mlq._keys, made, 4e9, BY_CODE))
    assert client.put("/schedules/s", json={"every": 6}).status_code == 409
    assert client.put("/schedules/s", json={"every": 5}).json["owner"] == "code"


def test_roles(mlq):
    """Readers look, administrators change; who may post jobs may not have them posted for ever."""
    mlq.schedules.add("s", every=500)
    guarded = make_app(mlq, Settings(GIVEN)).test_client()
    assert guarded.get("/schedules", headers=bearer(Role.READ)).status_code == 200
    for role, status in ((Role.READ, 403), (Role.POST, 403), (Role.ADMIN, 200)):
        assert guarded.put("/schedules/t", json={"every": 5}, headers=bearer(role)).status_code == status
        assert guarded.post("/schedules/s/pause", headers=bearer(role)).status_code == status


def test_webhooks_of_strangers(mlq):
    """They lead to public addresses only, as with jobs."""
    guarded = make_app(mlq, Settings(GIVEN)).test_client()
    body = {"every": 500, "webhook": "http://example.com/hook"}
    told = guarded.put("/schedules/s", json=body, headers=bearer(Role.ADMIN)).json
    assert told["options"] == {"webhook": "http://example.com/hook"}
    job = mlq.schedules.run("s")
    assert STRANGERS.encode() in mlq._redis.get(mlq._keys.post + job.id)
