"""Jobs as JSON: looking, listing, posting in bulk, cancelling, requeueing, deleting."""

import threading

import pytest

from tests.http.jobs import cancelled, ended, failed

JSON = {"Accept": "application/json"}
PROBLEM = "application/problem+json"


# --- looking


def test_a_job_is_told_without_its_payloads(mlq, client, echo):
    job_id = ended(mlq, {"secret": 1})
    told = client.get(f"/jobs/{job_id}", headers=JSON)
    assert told.status_code == 200
    assert "secret" not in told.text
    assert not {"msg", "result", "short_result"} & told.json.keys()
    assert (told.json["id"], told.json["state"], told.json["progress"]) == (job_id, "succeeded", 100)
    assert told.json["posted"] <= told.json["started"] <= told.json["finished"]
    told_of_runs = [told.json[name] for name in ("errors", "losses", "position")]
    assert (told_of_runs, len(told.json["attempts"])) == ([0, 0, None], 1)
    assert client.get(f"/jobs/{job_id}").json == told.json


def test_a_failed_job_tells_why(mlq, client, echo):
    told = client.get(f"/jobs/{failed(mlq)}").json
    assert (told["state"], told["error"], told["error_type"]) == ("failed", "too small", "builtins.ValueError")
    assert told["attempts"][0]["error"] == "too small"


def test_a_waiting_job_has_a_position(mlq, client):
    ids = [mlq.post(n) for n in range(3)]
    assert [client.get(f"/jobs/{job_id}").json["position"] for job_id in ids] == [0, 1, 2]


def test_what_has_not_changed_is_304_and_what_has_is_not(mlq, client):
    job_id = mlq.post(1)
    first = client.get(f"/jobs/{job_id}")
    tag = {"If-None-Match": first.headers["ETag"]}
    again = client.get(f"/jobs/{job_id}", headers=tag)
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert client.get(f"/jobs/{job_id}", headers={"If-None-Match": '"other"'}).status_code == 200
    mlq.cancel(job_id)
    changed = client.get(f"/jobs/{job_id}", headers=tag)
    assert (changed.status_code, changed.json["state"]) == (200, "cancelled")
    assert changed.headers["ETag"] != first.headers["ETag"]


@pytest.mark.parametrize("path", ["", "/progress", "/result", "/events"])
def test_head_is_get_without_the_body(mlq, client, echo, path):
    job_id = ended(mlq, "hello")
    got, head = client.get(f"/jobs/{job_id}{path}"), client.head(f"/jobs/{job_id}{path}")
    assert (head.status_code, head.data, head.content_type) == (got.status_code, b"", got.content_type)
    for answer in (got, head):
        answer.close()
    assert mlq._inbox._followed == {}


def test_counts(mlq, client, echo):
    failed(mlq)
    mlq.post(1, functions=["nobody"])
    told = client.get("/jobs/count", headers=JSON)
    assert told.json == {"waiting": 1, "scheduled": 0, "running": 0, "failed": 1, "blocked": 0}
    assert client.get("/jobs/count").text == "1"


# --- lists


def pages(client, query):
    """The ids of each page, following the links."""
    path = f"/jobs?{query}"
    while path:
        told = client.get(path)
        assert told.status_code == 200, told.text
        yield [job["id"] for job in told.json["jobs"]]
        path = told.json["next"]


def test_a_list_goes_from_page_to_page_to_the_end(mlq, client):
    mlq.post_many(range(25))
    found = list(pages(client, "limit=10"))
    assert [job_id for page in found for job_id in page] == [str(n) for n in range(25, 0, -1)]
    assert max(map(len, found)) == 10


def test_a_list_goes_on_where_it_was_though_jobs_come_and_go(mlq, client):
    mlq.post_many(range(10))
    first = client.get("/jobs?limit=5").json
    mlq.post_many(range(3))
    mlq.delete("6")
    mlq.delete("5")
    assert [job["id"] for job in client.get(first["next"]).json["jobs"]] == ["4", "3", "2", "1"]


def test_a_list_is_filtered(mlq, client, echo):
    done = ended(mlq, 1)
    bad = failed(mlq)
    gone = cancelled(mlq)
    slow = mlq.post(1, queue="slow", functions=["f", "g"])
    assert list(pages(client, "state=succeeded")) == [[done]]
    assert list(pages(client, "state=failed")) == [[bad]]
    assert list(pages(client, "state=cancelled")) == [[gone]]
    assert list(pages(client, "queue=slow")) == [[slow]]
    assert list(pages(client, "function=g&state=queued")) == [[slow]]
    assert list(pages(client, "function=nobody")) == [[gone]]
    assert list(pages(client, "queue=none")) == [[]]
    told = client.get("/jobs?queue=slow").json["jobs"][0]
    assert (told["state"], told["queue"], told["functions"], told["attempts"]) == ("queued", "slow", ["f", "g"], 0)


def test_the_filters_stay_on_the_next_page(mlq, client):
    for n in range(6):
        mlq.post(n, queue="a&b=c"[n % 2 : n % 2 + 1])
    found = list(pages(client, "limit=2&queue=a"))
    assert [job_id for page in found for job_id in page] == ["5", "3", "1"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=-1", "limit=x", "limit=²", "limit=1e2", "limit=" + "9" * 400,
     "cursor=x", "cursor=-1", "cursor=²", "cursor=" + "9" * 40, "state=gone", "state=nothing"],
)  # fmt: skip
def test_a_list_with_bad_values_is_400(client, query):
    given = client.get(f"/jobs?{query}", headers=JSON)
    assert (given.status_code, given.content_type) == (400, PROBLEM)
    assert len(given.json["detail"]) < 300


def test_an_empty_namespace_has_an_empty_list(client):
    assert client.get("/jobs").json == {"jobs": [], "next": None}


# --- bulk


def test_a_bulk_post_keeps_the_order(mlq, client):
    given = client.post("/jobs/bulk", json={"msgs": list(range(1500)), "functions": ["f"]})
    assert (given.status_code, given.json["ids"]) == (202, [str(n) for n in range(1, 1501)])
    assert [mlq.get_job(job_id)["msg"] for job_id in ("1", "777", "1500")] == [0, 776, 1499]
    assert mlq.get_job("9")["functions"] == ["f"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"msgs": [1, 2, 10**30]}, 400),
        ({"msgs": [1, "\ud800"]}, 400),
        ({"msgs": []}, 422),
        ({"msgs": 1}, 422),
        ({"msgs": list(range(10_001))}, 422),
        ({"msgs": [1], "msg": 1}, 422),
        ({"msgs": [1], "callback": "ftp://x"}, 400),
    ],
)
def test_a_bulk_post_with_one_bad_message_posts_none(mlq, client, body, status):
    given = client.post("/jobs/bulk", json=body, headers=JSON)
    assert (given.status_code, given.content_type) == (status, PROBLEM)
    assert mlq.last_id() == 0


# --- changing


def test_cancel_requeue_and_delete(mlq, client):
    job_id = mlq.post(1)
    cancel, requeue, job = f"/jobs/{job_id}/cancel", f"/jobs/{job_id}/requeue", f"/jobs/{job_id}"
    assert client.post(requeue, headers=JSON).status_code == 409
    gone = client.post(cancel, headers=JSON)
    assert (gone.status_code, gone.json["state"]) == (202, "cancelled")
    assert client.post(cancel).status_code == 202
    back = client.post(requeue, headers=JSON)
    assert (back.status_code, back.json["state"]) == (202, "queued")
    assert (client.post(cancel).status_code, client.post(requeue).text) == (202, "ok")
    deleted = client.delete(job)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert [client.open(path, method=method).status_code for method, path in (
        ("DELETE", job), ("POST", cancel), ("POST", requeue), ("GET", job))] == [410] * 4  # fmt: skip


def test_a_running_job_is_not_deleted_but_cancelled(mlq, client):
    started, go = threading.Event(), threading.Event()

    def hold(_msg):
        started.set()
        go.wait(20)

    mlq.create_listener(hold)
    job_id = mlq.post(1)
    assert started.wait(10)
    refused = client.delete(f"/jobs/{job_id}", headers=JSON)
    assert refused.status_code == 409
    assert "running" in refused.json["detail"]
    assert client.post(f"/jobs/{job_id}/cancel", headers=JSON).json["state"] == "cancelled"
    go.set()


@pytest.mark.parametrize(("method", "path"), [("DELETE", ""), ("POST", "/cancel"), ("POST", "/requeue"), ("GET", "")])
@pytest.mark.parametrize("job_id", ["1", "0", "abc", "²", "9" * 40, "1%0a", "-1", "1.0", "+1"])
def test_what_never_was_is_404(client, method, path, job_id):
    given = client.open(f"/jobs/{job_id}{path}", method=method, headers=JSON)
    assert (given.status_code, given.content_type) == (404, PROBLEM)
