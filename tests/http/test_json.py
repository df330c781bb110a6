"""What programs get that ask for JSON: posting, once where they want, and refusals."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlq import ServerError, UnknownJob, WaitTimeout
from mlq.http import jobs, waiting
from mlq.http.app import make_app
from mlq.http.turns import Places
from tests.http.jobs import address

JSON = {"Accept": "application/json"}
PROBLEM = "application/problem+json"
NOBODY = "no worker is running in namespace"


# --- posting


def test_a_post_is_202_with_where_to_look(mlq, client):
    given = client.post("/jobs", json={"msg": {"a": [1]}}, headers=JSON)
    job_id = given.json["id"]
    assert (given.status_code, given.content_type) == (202, "application/json")
    assert (given.headers["Location"], given.headers["Retry-After"]) == (address(mlq, job_id), "1")
    base = address(mlq, job_id)
    links = {name: f"{base}/{name}" for name in ("result", "progress", "events", "cancel")}
    assert given.json == {
        "id": job_id,
        "state": "queued",
        "links": {"self": base} | links,
        "warning": f"{NOBODY} {mlq.namespace!r}",
    }
    assert mlq.get_job(job_id)["msg"] == {"a": [1]}
    assert [client.get(path, headers=JSON).status_code for name, path in links.items() if name != "cancel"][:2] == [
        202,
        200,
    ]


def test_all_options_reach_the_job(mlq, client):
    options = {
        "callback": "http://localhost/c",
        "webhook": "http://localhost/w",
        "functions": ["f", "g"],
        "queue": "slow",
        "ttl": 60.0,
        "timeout": 5.0,
        "retries": 2,
        "backoff": 0.5,
    }
    job = mlq.get_job(client.post("/jobs", json={"msg": 1} | options, headers=JSON).json["id"])
    assert {name: job[name] for name in ("callback", "webhook", "functions", "queue")} == {
        name: options[name] for name in ("callback", "webhook", "functions", "queue")
    }


def test_who_prefers_to_wait_gets_the_result(client, echo):
    for headers, body in ((JSON, b'"hi"'), ({}, b"hi")):
        given = client.post("/jobs", json={"msg": "hi"}, headers=headers | {"Prefer": "wait=10"})
        assert (given.status_code, given.data, given.headers["MLQ-Job-State"]) == (200, body, "succeeded")
        assert given.headers["Preference-Applied"] == "wait=10"
        assert client.get(given.headers["Location"]).json["state"] == "succeeded"


def test_who_prefers_to_wait_is_told_of_a_failure(client, echo):
    given = client.post("/jobs", json={"msg": {"raise": "too small"}}, headers=JSON | {"Prefer": "wait=10"})
    assert (given.status_code, given.content_type) == (409, PROBLEM)
    assert "ValueError: too small" in given.json["detail"]
    plain = client.post("/jobs", json={"msg": {"raise": "too small"}}, headers={"Prefer": "wait=10"})
    assert (plain.status_code, plain.headers["MLQ-Job-State"]) == (409, "failed")
    assert plain.text == "job 2 failed: ValueError: too small"


def test_a_result_that_is_not_there_in_time_is_an_ordinary_202(mlq, client):
    given = client.post("/jobs", json={"msg": 1}, headers=JSON | {"Prefer": "wait=0"})
    assert (given.status_code, given.json["state"], given.headers["Preference-Applied"]) == (202, "queued", "wait=0")
    plain = client.post("/jobs", json={"msg": 1}, headers={"Prefer": "wait=0"})
    assert (plain.status_code, plain.text) == (202, "2")
    assert plain.headers["Location"] == address(mlq, "2")


@pytest.mark.parametrize("wait", ["", "-1", "1.5", "abc", "²", "1e3", "nan", '"', "1 0", "9" * 400])
def test_a_wait_that_is_no_number_is_ignored(mlq, client, wait):
    given = client.post("/jobs", json={"msg": 1}, headers=JSON | {"Prefer": f"wait={wait}"})
    assert given.status_code == 202
    assert "Preference-Applied" not in given.headers


def test_a_post_of_few_jobs_waits_for_no_larger_one(mlq, client, monkeypatch):
    many = [0] * (jobs.FEW + 1)
    assert client.post("/jobs/bulk", json={"msgs": many}).status_code == 202
    monkeypatch.setattr(jobs, "_bulk", Places(1, most_waiting=0))  # as if too many waited
    given = client.post("/jobs/bulk", json={"msgs": many})
    assert (given.status_code, given.headers["Retry-After"]) == (503, "1")
    assert client.post("/jobs/bulk", json={"msgs": many[1:]}).status_code == 202
    assert mlq.job_count() == 2 * len(many) - 1


def test_of_two_waits_the_first_counts(mlq, client):
    """As RFC 7240 has it."""
    for wait in ("wait=0, wait=60", 'handling="lenient, x", Wait="0", wait=60', "respond-async,wait=0;x,wait=60"):
        given = client.post("/jobs", json={"msg": 1}, headers=JSON | {"Prefer": wait})
        assert given.headers.get("Preference-Applied", "wait=0") == "wait=0"


def test_a_wait_has_a_cap(client, echo):
    given = client.post("/jobs", json={"msg": 1}, headers=JSON | {"Prefer": "respond-async, wait=86400"})
    assert given.headers["Preference-Applied"] == f"wait={waiting.LONGEST:g}"


def test_when_too_many_wait_others_are_answered_at_once(client, echo, monkeypatch):
    monkeypatch.setattr(waiting, "WAITERS", 0)
    given = client.post("/jobs", json={"msg": 1}, headers=JSON | {"Prefer": "wait=30"})
    assert given.status_code == 202
    assert "Preference-Applied" not in given.headers
    plain = client.post("/jobs", json={"msg": 1}, headers={"Prefer": "wait=30"})
    assert (plain.status_code, plain.text) == (202, "2")


def test_the_state_of_a_post_that_waited_in_vain_is_the_true_one(mlq, client):
    def dawdle(_msg):
        time.sleep(3)

    mlq.create_listener(dawdle)
    given = client.post("/jobs", json={"msg": 1}, headers=JSON | {"Prefer": "wait=1"})
    assert (given.status_code, given.json["state"]) == (202, "running")


@pytest.mark.parametrize("error", [UnknownJob("gone"), ServerError("away")])
def test_a_state_that_can_not_be_asked_is_null(mlq, client, monkeypatch, error):
    def fail(_self, *_):
        raise error

    for name in ("wait", "get_state"):
        monkeypatch.setattr(type(mlq), name, fail)
    for number, more in enumerate(({"Prefer": "wait=1"}, {"Idempotency-Key": "k"}), 1):
        given = client.post("/jobs", json={"msg": 1}, headers=JSON | more)
        assert (given.status_code, given.json["id"], given.json["state"]) == (202, str(number), None)


def test_an_ordinary_post_asks_for_no_state(mlq, client, monkeypatch):
    monkeypatch.setattr(type(mlq), "get_state", None)
    assert client.post("/jobs", json={"msg": 1}, headers=JSON).json["state"] == "queued"
    assert client.post("/jobs", json={"msg": 1}, headers={"Idempotency-Key": "k"}).text == "2"


def test_a_job_that_is_cancelled_while_its_poster_waits(mlq, client):
    with ThreadPoolExecutor() as pool:
        post = {"json": {"msg": 1}, "headers": JSON | {"Prefer": "wait=30"}}
        waiting = pool.submit(client.post, "/jobs", **post)
        while not mlq.job_count():
            time.sleep(0.01)
        mlq.cancel("1")
        assert waiting.result(60).status_code == 410


def test_a_post_with_conditions_of_a_get_ignores_them(client, echo):
    for more in ({"If-None-Match": "*"}, {"Range": "bytes=0-0"}):
        given = client.post("/jobs", json={"msg": "hello"}, headers=JSON | {"Prefer": "wait=10"} | more)
        assert (given.status_code, given.json) == (200, "hello")


# --- idempotency keys


def test_the_same_post_with_the_same_key_makes_one_job(mlq, client):
    ids = {client.post("/jobs", json={"msg": 1}, headers=JSON | {"Idempotency-Key": "k"}).json["id"] for _ in range(3)}
    assert ids == {"1"}
    assert client.post("/jobs", json={"msg": 1}, headers={"Idempotency-Key": "k"}).text == "1"
    assert client.post("/jobs", json={"msg": 1}, headers={"Idempotency-Key": "K"}).text == "2"
    assert mlq.job_count() == 2


def test_the_state_of_a_post_that_was_posted_before_is_the_true_one(mlq, client):
    headers = JSON | {"Idempotency-Key": "k"}
    assert client.post("/jobs", json={"msg": 1}, headers=headers).json["state"] == "queued"
    mlq.cancel("1")
    given = client.post("/jobs", json={"msg": 1}, headers=headers)
    assert (given.status_code, given.json["id"], given.json["state"]) == (202, "1", "cancelled")


@pytest.mark.parametrize("body", [{"msg": 2}, {"msg": 1, "queue": "slow"}, {"msg": 1, "webhook": "http://x/"}])
def test_another_post_with_the_same_key_is_422(mlq, client, body):
    client.post("/jobs", json={"msg": 1}, headers={"Idempotency-Key": "k"})
    given = client.post("/jobs", json=body, headers=JSON | {"Idempotency-Key": "k"})
    assert (given.status_code, given.content_type) == (422, PROBLEM)
    assert "another post" in given.json["detail"]
    assert mlq.job_count() == 1


def test_twenty_threads_with_one_key_make_one_job(mlq):
    app = make_app(mlq)
    start = threading.Barrier(20)

    def post(_):
        start.wait(10)
        return app.test_client().post("/jobs", json={"msg": 1}, headers={"Idempotency-Key": "k"}).text

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(post, range(20))) == {"1"}
    assert mlq.job_count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "\x7f"])
def test_a_key_that_can_be_none_is_400(mlq, client, key):
    given = client.post("/jobs", json={"msg": 1}, headers={"Idempotency-Key": key})
    assert given.status_code == 400
    assert "idempotency key" in given.text
    assert mlq.job_count() == 0


def test_a_key_waits_for_the_result_of_the_first_post(client, echo):
    headers = JSON | {"Idempotency-Key": "k", "Prefer": "wait=10"}
    assert [client.post("/jobs", json={"msg": 7}, headers=headers).json for _ in range(2)] == [7, 7]


# --- refusals


def test_a_refusal_has_the_shape_of_a_problem(client):
    given = client.post("/jobs?x=1", json={"msg": 1, "functions": ["f", 5]}, headers=JSON)
    assert (given.status_code, given.content_type) == (422, PROBLEM)
    assert given.json == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "the body is not as it should be: Expected `str`, got `int` (at .functions[1])",
        "instance": "/jobs?x=1",
        "errors": [{"detail": "Expected `str`, got `int`", "pointer": "#/functions/1"}],
    }


@pytest.mark.parametrize("body", [{"msg": 1, "x" * 1_000_000: 1}, {"msg": 1, "functions": ["x" * 1_000_000]}])
def test_a_refusal_does_not_repeat_what_is_long(client, body):
    """Others waited for a second, while its reason of 16 MB was looked through."""
    given = client.post("/jobs", json=body, headers=JSON)
    assert given.status_code in (400, 422)
    assert len(given.data) < 5000


@pytest.mark.parametrize("body", [r'{"msg": 1, "\ud800": 1}', r'"\ud800"', r'{"msg": 1, "retries": "\ud800"}'])
def test_a_text_that_is_none_is_422(mlq, client, body):
    given = client.post("/jobs", data=body, content_type="application/json", headers=JSON)
    assert (given.status_code, given.content_type) == (422, PROBLEM)
    assert "surrogate" in given.json["detail"]
    assert mlq.last_id() == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; charset=utf-8"),
        ("*/*", "text/plain; charset=utf-8"),
        ("text/html,application/json;q=0.5,text/plain", "text/plain; charset=utf-8"),
        ("application/json", PROBLEM),
        (PROBLEM, PROBLEM),
        ("application/json, text/plain, */*", PROBLEM),  # JSON by name, and nothing better: what axios sends
        ("application/*", "text/plain; charset=utf-8"),
        ("\xff ;;q=,,", "text/plain; charset=utf-8"),
    ],
)
def test_what_is_asked_for_decides_the_kind_of_a_refusal(client, accept, kind):
    given = client.get("/jobs/999", headers={"Accept": accept})
    assert (given.status_code, given.content_type) == (404, kind)


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("PUT", "/jobs", {"GET", "POST", "HEAD", "OPTIONS"}), ("POST", "/jobs/1/result", {"GET", "HEAD", "OPTIONS"}),
    ("DELETE", "/jobs", {"GET", "POST", "HEAD", "OPTIONS"}), ("PATCH", "/jobs/1", {"GET", "DELETE", "HEAD", "OPTIONS"}),
])  # fmt: skip
def test_a_wrong_method_is_told_the_right_ones(client, method, path, allowed):
    given = client.open(path, method=method, headers=JSON)
    assert (given.status_code, given.content_type) == (405, PROBLEM)
    assert set(given.headers["Allow"].split(", ")) == allowed


@pytest.mark.parametrize("kind", ["text/json", "application/jsonp", "application/x-www-form-urlencoded", ""])
def test_json_of_another_content_type_is_415_where_only_json_will_do(mlq, client, kind):
    given = client.post("/jobs/bulk", data=b'{"msgs": [1]}', content_type=kind, headers=JSON)
    assert (given.status_code, given.content_type) == (415, PROBLEM)
    assert mlq.job_count() == 0


@pytest.mark.parametrize("error", [WaitTimeout("mine"), UnknownJob("mine"), ServerError("mine")])
def test_a_listener_may_raise_what_waiting_raises(mlq, client, error):
    def wait_in_vain(_msg):
        raise error

    mlq.create_listener(wait_in_vain)
    given = client.post("/jobs", json={"msg": 1}, headers=JSON | {"Prefer": "wait=10"})
    assert (given.status_code, given.headers["MLQ-Job-State"]) == (409, "failed")
    assert given.headers["Location"] == address(mlq, "1")


def test_a_misspelt_option_is_refused_with_the_nearest_name(client):
    given = client.post("/jobs", json={"msg": 1, "retrys": 3})
    assert (given.status_code, "(did you mean 'retries'?)" in given.text) == (422, True)


@pytest.mark.parametrize("backoff", [0, 1e-300, 0.09])
def test_retries_leave_room_for_others(mlq, client, backoff):
    """Jobs that fail and come back at once would keep all others from running."""
    given = client.post("/jobs", json={"msg": 1, "retries": 10**9, "backoff": backoff})
    assert (given.status_code, "backoff" in given.text) == (422, True)
    given = client.post(f"/jobs?retries=5&backoff={backoff}", data=b"x", content_type="application/x-any")
    assert given.status_code == 422
    assert mlq.job_count() == 0
    assert client.post("/jobs", json={"msg": 1, "retries": 5, "backoff": 0.1}, headers=JSON).status_code == 202


@pytest.mark.parametrize(
    "job", [{"functions": ["a@1", "b@1"]}, {"functions": ["a@1", "x", "a@2"]}, {"functions": ["a@1"], "retries": 11}]
)
def test_a_job_names_one_model_at_most(mlq, client, job):
    """Each set of models would get a process of its own, and there are very many sets."""
    for path, message in (("/jobs", {"msg": 1}), ("/jobs/bulk", {"msgs": [1]})):
        assert client.post(path, json=message | job).status_code == 422
    assert mlq.job_count() == 0
    given = client.post("/jobs", json={"msg": 1, "functions": ["a@1", "x"], "retries": 10}, headers=JSON)
    assert given.status_code == 202
