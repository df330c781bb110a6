"""Jobs with keys over HTTP: as JSON, in the query and in forms; refusals."""

import pytest

from tests.http.test_times import JSON, posted_by


@pytest.mark.parametrize("how", ["json", "query", "form"])
@pytest.mark.parametrize("unique", [None, "waiting", "active", 600])
def test_the_job_that_is_there(mlq, client, how, unique):
    """The same answer, but for a field that tells; plain text has a header."""
    options = {"key": "report-7"} | ({"unique": unique} if unique else {})
    first, second = posted_by(client, how, options), posted_by(client, how, options)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json == first.json | {"new": False}
    assert mlq.last_id() == 1
    assert client.get(first.json["links"]["self"]).json["key"] == "report-7"
    plain = client.post("/jobs", json={"msg": 1} | options)
    assert (plain.status_code, plain.text, plain.headers["MLQ-New"]) == (200, "1", "false")
    assert "MLQ-New" not in client.post("/jobs", json={"msg": 1}).headers


@pytest.mark.parametrize("how", ["json", "query", "form"])
def test_replace(mlq, client, how):
    replace = True if how == "json" else "true"
    first, second = (posted_by(client, how, {"key": "k", "replace": replace, "delay": s}) for s in (60, 600))
    assert (first.json["id"], second.json["id"], second.json["new"]) == ("1", "1", False)
    job = mlq.get_job("1")
    assert job["due"] - job["posted"] > 590


def test_state_of_one_that_runs(mlq, client, gate):
    """The answer tells the state of the job that is there."""
    begun = mlq.submit(1, functions=["wait"], key="k")

    def wait(_):
        gate.wait(60)

    mlq.create_listener(wait)
    while begun.state() != "running":
        pass
    given = client.post("/jobs", json={"msg": 1, "functions": ["wait"], "key": "k"}, headers=JSON)
    assert (given.json["id"], given.json["state"], given.json["new"]) == (begun.id, "running", False)
    gate.set()
    begun.result(60)


def test_idempotency_key(mlq, client):
    """The same post is answered as the first time, for a day."""
    headers = JSON | {"Idempotency-Key": "i"}
    mlq.post(1, key="k")
    given = [client.post("/jobs", json={"msg": 1, "key": "k"}, headers=headers) for _ in range(2)]
    assert [one.json["new"] for one in given] == [False, False]
    mlq.delete("1")
    mlq.post(1)
    assert client.post("/jobs", json={"msg": 2, "key": "k"}, headers=headers).status_code == 422


REFUSED = [
    {"key": "x" * 1001},
    {"key": "é" * 501},
    {"key": "a\nb"},
    {"unique": "waiting"},
    {"replace": "true"},
    {"key": "k", "unique": "soon"},
    {"key": "k", "unique": 0},
    {"key": "k", "unique": "nan"},
    {"key": "k", "replace": "perhaps"},
    {"key": "k", "replace": "true", "unique": 5},
]


@pytest.mark.parametrize("how", ["json", "query", "form"])
@pytest.mark.parametrize("options", REFUSED, ids=str)
def test_refused(mlq, client, how, options):
    """With the name of the option, and nothing is posted."""
    given = posted_by(client, how, options)
    assert given.status_code in (400, 422)
    assert any(name in given.text for name in options)
    assert mlq.last_id() == 0


@pytest.mark.parametrize("key", [5, "", ["k"], {"k": 1}, True])
def test_no_text(mlq, client, key):
    given = posted_by(client, "json", {"key": key})
    assert (given.status_code, "key" in given.text, mlq.last_id()) == (422, True, 0)


def test_in_bulk(mlq, client):
    """A key is of one job."""
    given = client.post("/jobs/bulk", json={"msgs": [1, 2], "key": "k"}, headers=JSON)
    assert (given.status_code, "key is of one job" in given.text, mlq.last_id()) == (400, True, 0)


@pytest.mark.parametrize("path", ["/jobs", "/jobs/bulk"])
def test_a_full_queue(mlq, client, path):
    """Is 429, with when to ask again."""
    mlq.limit(queue="gpu", length=2)
    mlq.post_many([1, 2], queue="gpu")
    body = {"msg": 1} if path == "/jobs" else {"msgs": [1]}
    given = client.post(path, json=body | {"queue": "gpu"}, headers=JSON)
    assert (given.status_code, given.headers["Retry-After"]) == (429, "1")
    assert "queue 'gpu' is full: 2 jobs wait in it, and the limit is 2;" in given.json["detail"]
    assert mlq.last_id() == 2
