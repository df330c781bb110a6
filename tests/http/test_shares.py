"""Shares over HTTP."""

import threading

import pytest

from mlq.http.app import make_app
from tests.programs import until

JSON = {"Accept": "application/json"}


def posted_by(client, how, options):
    """The answer to a post with these options, given in that way."""
    if how == "json":
        return client.post("/jobs", json={"msg": 1} | options, headers=JSON)
    if how == "query":
        return client.post("/jobs", query_string=options, data=b"x", content_type="image/png", headers=JSON)
    return client.post("/jobs", data={"msg": "1"} | options, content_type="multipart/form-data", headers=JSON)


@pytest.mark.parametrize("how", ["json", "query", "form"])
def test_the_share_of_a_job(client, how):
    given = posted_by(client, how, {"share": "team:a"})
    assert given.json["state"] == "queued"
    told = client.get(given.json["links"]["self"]).json
    assert (told["share"], told["queue"], told["functions"]) == ("team:a", "default", None)
    assert [(one["share"], one["queue"]) for one in client.get("/jobs").json["jobs"]] == [("team:a", "default")]


@pytest.mark.parametrize("how", ["json", "query", "form"])
@pytest.mark.parametrize("share", ["a|b", "x" * 101, "a\nb"])
def test_refused(mlq, client, how, share):
    given = posted_by(client, how, {"share": share})
    assert given.status_code in (400, 422)
    assert "share" in given.text
    assert mlq.last_id() == 0


def test_weights(mlq, client):
    mlq.post(1, share="b")
    given = client.put("/shares", json={"share": "a", "weight": 2})
    assert given.json == {
        "shares": [{"name": "a", "waiting": 0, "weight": 2.0}, {"name": "b", "waiting": 1, "weight": 1.0}]
    }
    assert client.get("/shares").json == given.json


@pytest.mark.parametrize(
    "body", [{"share": "a"}, {"weight": 1}, {"share": "a", "weight": 0}, {"share": "a", "weight": "2"},
             {"share": "a|b", "weight": 2}, {"share": "a", "weight": 1001}, []]
)  # fmt: skip
def test_wrong_weights(mlq, client, body):
    assert client.put("/shares", json=body).status_code in (400, 422)
    assert mlq.shares() == []


@pytest.mark.parametrize("what", ["shares", "limits"])
def test_long_lists_are_made_one_at_a_time(mlq, monkeypatch, what):
    """Of 60,000 shares, twenty lists at once were three seconds in which nobody got an answer."""
    begun, inside, most, got, go, real = [], [], [], [], threading.Event(), getattr(mlq, what)
    mlq.post(1, share="a")
    mlq.limit(share="a", running=1)

    def slow():
        inside.append(1)
        most.append(len(inside))
        go.wait(20)
        found = real()
        inside.pop()
        return found

    monkeypatch.setattr(mlq, what, slow)
    app = make_app(mlq)
    app.before_request(lambda: begun.append(1))
    threads = [threading.Thread(target=lambda: got.append(app.test_client().get(f"/{what}").json)) for _ in range(6)]
    for thread in threads:
        thread.start()
    until(lambda: len(begun) == 6)
    go.set()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert [len(one[what]) for one in got] == [1] * 6
