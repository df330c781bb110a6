"""Jobs with times and priorities over HTTP: as JSON, in the query and in forms; refusals."""

import time

import pytest

JSON = {"Accept": "application/json"}
GIVEN = {"delay": 60, "expires": 900.5, "priority": -7}


def posted_by(client, how, options):
    """The answer to a post with these options, given in that way."""
    if how == "json":
        return client.post("/jobs", json={"msg": 1} | options, headers=JSON)
    if how == "query":
        return client.post("/jobs", query_string=options, data=b"x", content_type="image/png", headers=JSON)
    fields = {name: str(value) for name, value in ({"msg": "1"} | options).items()}
    return client.post("/jobs", data=fields, content_type="multipart/form-data", headers=JSON)


@pytest.mark.parametrize("how", ["json", "query", "form"])
def test_options(client, how):
    """The state says that it waits; the job shows until when."""
    given = posted_by(client, how, GIVEN)
    assert (given.status_code, given.json["state"]) == (202, "scheduled")
    told = client.get(given.json["links"]["self"]).json
    assert (told["priority"], told["due"] - told["posted"]) == (-7, pytest.approx(60, abs=1e-3))
    assert told["expires"] - told["posted"] == pytest.approx(900.5, abs=1e-3)


@pytest.mark.parametrize("how", ["json", "query", "form"])
@pytest.mark.parametrize("at", ["2099-12-01T08:00+01:00", 4099791600, 4099791600.5])
def test_a_moment(client, how, at):
    """A text, or seconds."""
    given = posted_by(client, how, {"at": at})
    told = client.get(given.json["links"]["self"]).json
    assert int(told["due"]) == 4099791600


REFUSED = [
    {"delay": -1},
    {"delay": "soon"},
    {"at": "2099-12-01T08:00"},
    {"at": "tomorrow"},
    {"at": "x" * 41},
    {"at": 4099791600000},
    {"at": 1},
    {"expires": 0},
    {"priority": 101},
    {"priority": 0.5},
    {"delay": 10, "at": 4099791600},
    {"delay": 10, "expires": 10},
    {"at": 4099791600, "expires": 10},
]


@pytest.mark.parametrize("how", ["json", "query", "form"])
@pytest.mark.parametrize("options", REFUSED, ids=str)
def test_refused(mlq, client, how, options):
    """With the name of the option, and nothing is posted; a time long past as well."""
    given = posted_by(client, how, options)
    assert given.status_code in (400, 422)
    assert any(name in given.text for name in options)
    assert mlq.last_id() == 0


def test_what_is_queued(client):
    """Is known without asking."""
    for options in ({"delay": 0}, {"priority": 3}, {"expires": 60}, {"at": time.time()}):
        assert posted_by(client, "json", options).json["state"] == "queued"


def test_in_bulk(mlq, client):
    given = client.post("/jobs/bulk", json={"msgs": [1, 2], "delay": 60, "priority": 3}, headers=JSON)
    assert [mlq.get_job(job_id)["priority"] for job_id in given.json["ids"]] == [3, 3]
    assert mlq.counts().scheduled == 2


def test_one_that_expired(mlq, client):
    """Its result is as that of a cancelled one; the list tells why."""
    given = posted_by(client, "json", {"expires": 60, "functions": ["nobody"]})
    mlq._redis.zadd(f"{{{mlq.namespace}}}:expiring", {given.json["id"]: 1})
    mlq.create_listener(lambda message: message)
    links = given.json["links"]
    waits = client.get(f"{links['result']}?wait=20", headers=JSON)
    assert waits.headers["MLQ-Job-State"] in ("cancelled", "queued")
    with pytest.raises(Exception, match="expired before a worker began it"):
        mlq.wait(given.json["id"], 60)
    told = client.get(links["self"]).json
    assert (told["state"], told["reason"], told["expires"]) == ("cancelled", "expired", None)
    assert client.get(links["result"], headers=JSON).headers["MLQ-Job-State"] == "cancelled"
    assert client.get("/jobs").json["jobs"][0]["reason"] == "expired"
