"""The tries to tell of a job's end, and the replay of its webhook, over HTTP."""

import time

import pytest

from mlq.http.app import make_app
from mlq.ops import deliveries as delivery_ops

JSON = {"Accept": "application/json"}


@pytest.fixture
def client(mlq):
    return make_app(mlq).test_client()


@pytest.fixture
def told(mlq):
    """A job whose webhook was tried once, in vain."""
    job = mlq.submit(1, webhook="http://localhost/in", functions=["nobody"])
    job.cancel()
    (taken,) = mlq._shell.run(delivery_ops.take(mlq._keys, "webhook", 1, 10.0, 10))
    mlq._shell.run(delivery_ops.end(mlq._keys, taken, 503, "answered 503", 60.0))
    return job


def test_log_of_tries(client, told):
    answer = client.get(f"/jobs/{told.id}/deliveries")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    found = answer.json
    (one,) = found.pop("deliveries")
    assert found == {"id": told.id, "callback": None, "webhook": "http://localhost/in"}
    assert (one["kind"], one["try"], one["status"], one["error"]) == ("webhook", 1, 503, "answered 503")
    assert one["at"] == pytest.approx(time.time(), abs=20)
    assert one["next"] == pytest.approx(one["at"] + 60, abs=1)


def test_job_without_tries(client, mlq):
    job_id = mlq.post(1)
    assert client.get(f"/jobs/{job_id}/deliveries").json["deliveries"] == []


def test_replay(client, mlq, told):
    answer = client.post(f"/jobs/{told.id}/deliveries")
    assert (answer.status_code, answer.text, answer.mimetype) == (202, "ok", "text/plain")
    (taken,) = mlq._shell.run(delivery_ops.take(mlq._keys, "webhook", 1, 10.0, 10))
    assert (taken.id, taken.attempt) == (told.id, 1)
    assert client.post(f"/jobs/{told.id}/deliveries", headers=JSON).json["id"] == told.id


def test_what_can_not_be_replayed(client, mlq):
    waiting, plain = mlq.post(1, webhook="http://localhost/in"), mlq.submit(1)
    plain.cancel()
    assert client.post(f"/jobs/{waiting}/deliveries").status_code == 409
    assert client.post(f"/jobs/{plain.id}/deliveries").status_code == 409
    for method in (client.get, client.post):
        assert method("/jobs/999/deliveries").status_code == 404
        assert method("/jobs/x/deliveries").status_code == 404


def test_webhook_of_a_post(client, mlq):
    posted = client.post("/jobs", json={"msg": 1, "webhook": "https://hooks.example/in"})
    assert mlq.get_job(posted.text)["webhook"] == "https://hooks.example/in"
    refused = client.post("/jobs", json={"msg": 1, "webhook": "http://user:pass@hooks.example/"})
    assert refused.status_code == 400
    assert "webhook" in refused.text
    assert mlq.job_count() == 1


def test_shape_is_what_is_sent(client, told):
    import msgspec

    from mlq.http.delivery_shapes import Deliveries

    answer = client.get(f"/jobs/{told.id}/deliveries")
    assert msgspec.json.decode(answer.data, type=Deliveries).deliveries[0].number == 1
