"""The route that purges a queue."""

import pytest

from mlq.http import purging
from mlq.http.app import make_app
from mlq.http.routes import Role
from mlq.http.settings import Settings
from mlq.http.turns import Places
from tests.http.tokens import GIVEN, bearer


def test_a_queue(client, mlq):
    mlq.post_many([1] * 150, queue="gpu")
    mlq.post(1, queue="gpu", functions=["f"])
    other = mlq.submit(1)
    told = client.delete("/queues/gpu/jobs?function=f")
    assert (told.status_code, told.json) == (200, {"cancelled": 1, "done": True, "last": "152"})
    assert client.delete("/queues/gpu/jobs").json == {"cancelled": 150, "done": True, "last": "152"}
    assert other.state() == "queued"


def test_one_that_takes_long_goes_on_in_another_request(client, mlq, monkeypatch):
    """What was posted meanwhile stays."""
    mlq.post_many([1] * 250, queue="gpu")
    monkeypatch.setattr(purging, "AT_MOST", -1)
    first = client.delete("/queues/gpu/jobs").json
    assert first == {"cancelled": 100, "done": False, "last": "250"}
    later = mlq.submit(1, queue="gpu")
    monkeypatch.setattr(purging, "AT_MOST", 60)
    assert client.delete("/queues/gpu/jobs?last=250").json == {"cancelled": 150, "done": True, "last": "250"}
    assert later.state() == "queued"


@pytest.mark.parametrize("path", ["a:b/jobs", "%23rows/jobs", "gpu/jobs?function=a,b", "gpu/jobs?last=x"])
def test_refused(client, path):
    assert client.delete(f"/queues/{path}").status_code == 400


def test_only_administrators(mlq):
    guarded = make_app(mlq, Settings(GIVEN)).test_client()
    given = [guarded.delete("/queues/gpu/jobs", headers=bearer(role)).status_code for role in (Role.POST, Role.ADMIN)]
    assert given == [403, 200]


def test_one_at_a_time(client, monkeypatch):
    monkeypatch.setattr(purging, "_purging", Places(1, most_waiting=0))
    assert client.delete("/queues/gpu/jobs").status_code == 503
