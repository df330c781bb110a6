"""Limits and pauses over HTTP."""

import pytest

from mlq.http.app import make_app
from mlq.http.routes import Role
from mlq.http.settings import Settings
from tests.http.tokens import GIVEN, bearer


def test_limits(client, mlq):
    assert client.get("/limits").json == {"limits": []}
    assert client.put("/limits/function/a/b", json={"running": 2, "rate": "60/m"}).json == {"changed": True}
    assert client.put("/limits/function/a/b", json={"running": 2, "rate": "60/m"}).json == {"changed": False}
    assert client.get("/limits").json == {
        "limits": [
            {
                "kind": "function", "name": "a/b", "limit": {"running": 2, "rate": "60/m", "length": None},
                "paused": None, "running": 0, "started": 0, "opens_in": None, "holds_back": False,
            }
        ]
    }  # fmt: skip
    assert client.delete("/limits/function/a/b").json == {"changed": True}
    assert mlq.limits() == []


def test_pauses(client, mlq):
    assert client.put("/pauses/queue/gpu", json={"by": "ann"}).json == {"changed": True}
    assert client.put("/pauses/queue/gpu").json == {"changed": False}
    (state,) = client.get("/limits").json["limits"]
    assert (state["paused"]["by"], state["limit"]["running"]) == ("ann", None)
    assert client.delete("/pauses/queue/gpu").json == {"changed": True}
    assert client.delete("/pauses/queue/gpu").json == {"changed": False}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/limits/planet/x", {"running": 1}, 404),
        ("/limits/queue/a", {"running": 0}, 422),
        ("/limits/queue/a", {"running": 1.5}, 422),
        ("/limits/queue/a", {"speed": 1}, 422),
        ("/limits/queue/a", {}, 400),
        ("/limits/queue/a", {"rate": "0/m"}, 400),
        ("/limits/queue/a", {"rate": "1/d"}, 400),
        ("/limits/queue/a", {"rate": "1" * 11}, 422),
        ("/limits/function/f", {"length": 5}, 400),
        ("/limits/queue/a,b", {"running": 1}, 400),
        ("/limits/queue/%23rows", {"running": 1}, 400),
        ("/limits/function/a,b", {"running": 1}, 400),
        ("/pauses/resource/a", {"by": ""}, 422),
        ("/pauses/planet/a", {"by": "me"}, 404),
    ],
)
def test_refused(client, mlq, path, body, status):
    given = client.put(path, json=body)
    assert given.status_code == status
    assert len(given.text) < 1000
    assert mlq.limits() == []


@pytest.mark.parametrize("role", [Role.READ, Role.POST, Role.ADMIN])
def test_only_admins_change_them(mlq, role):
    client, allowed = make_app(mlq, Settings(tokens=GIVEN)).test_client(), role is Role.ADMIN
    assert client.get("/limits", headers=bearer(role)).status_code == 200
    for path in ("/limits/queue/a", "/pauses/queue/a"):
        assert client.put(path, json={"running": 1} if "limits" in path else {}, headers=bearer(role)).status_code == (
            200 if allowed else 403
        )
        assert client.delete(path, headers=bearer(role)).status_code == (200 if allowed else 403)
