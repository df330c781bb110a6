"""The paths of the first MLQ, through Flask's test client: bodies, media types and refusals."""

import contextlib
import json
import threading
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from mlq import MLQ
from mlq.http.app import make_app
from mlq.http.settings import Settings

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(mlq):
    return make_app(mlq).test_client()


@pytest.fixture
def answer(mlq, client):
    """Has a listener return a value; the answer for one of its results."""
    values = []

    def give(_msg):
        if isinstance(values[-1], Exception):
            raise values[-1]
        return values[-1]

    mlq.create_listener(give)

    def get(value, path="result"):
        values.append(value)
        handle = mlq.submit(None, functions=["give"])
        with contextlib.suppress(ValueError):
            handle.result(60)
        return client.get(f"/jobs/{handle.id}/{path}")

    return get


def test_an_application_is_made_without_a_server():
    assert make_app(MLQ("x", url="redis://127.0.0.1:1")).test_client().get("/healthz").data == b"ok"


def test_post_gives_the_id_and_counts(mlq, client):
    body = {"msg": {"a": 1}, "callback": "http://localhost/x", "functions": ["f"]}
    posted = client.post("/jobs", json=body)
    assert (posted.status_code, posted.content_type) == (200, "text/plain; charset=utf-8")
    job = mlq.get_job(posted.text)
    assert {name: job[name] for name in body} == body
    assert client.get("/jobs/count").data == b"1"
    assert client.post("/jobs", json={"msg": None, "callback": None, "functions": None}).status_code == 200


@pytest.mark.parametrize(
    ("value", "body", "kind"),
    [
        (18, b"18", "text/plain; charset=utf-8"),
        ("añ", "añ".encode(), "text/plain; charset=utf-8"),
        (None, b"None", "text/plain; charset=utf-8"),
        (Decimal("1.50"), b"1.50", "text/plain; charset=utf-8"),
        (datetime(2026, 1, 2, tzinfo=UTC), b"2026-01-02T00:00:00+00:00", "text/plain; charset=utf-8"),
        (np.float32(0.5), b"0.5", "text/plain; charset=utf-8"),
        (b"\x00\xff\n", b"\x00\xff\n", "application/octet-stream"),
        ({"a": [1, float("nan")]}, b'{"a": [1, null]}', "application/json"),
        ([1, b"\x00"], b'[1, {"base64": "AA=="}]', "application/json"),
        (np.array([[1, 2]]), b"[[1, 2]]", "application/json"),
    ],
)
def test_a_result_is_the_value_itself(answer, value, body, kind):
    given = answer(value)
    assert (given.status_code, given.data, given.content_type) == (200, body, kind)


@pytest.mark.parametrize(
    ("extension", "kind"),
    [
        ("mp3", "audio/mpeg"),
        ("png", "image/png"),
        ("html", "text/html"),
        ("tar.gz", "application/gzip"),
        ("nobodyknows", "application/octet-stream"),
    ],
)
def test_an_extension_gives_the_same_bytes_with_its_media_type(answer, extension, kind):
    given = answer(b"\x00\xff", f"result.{extension}")
    assert (given.data, given.content_type) == (b"\x00\xff", kind)
    assert given.headers["X-Content-Type-Options"] == "nosniff"


def test_the_short_result(answer):
    assert answer(("brief", b"long"), "short_result").data == b"brief"
    assert answer(18, "short_result").data == b"18"


def test_a_failed_job_gives_its_errors_text(answer):
    given = answer(ValueError("too small"))
    assert (given.status_code, given.headers["MLQ-Job-State"]) == (409, "failed")
    assert given.text.endswith("failed: ValueError: too small")
    assert answer(ValueError("too small"), "progress").data == b"[failed]"


def test_a_job_that_has_not_ended(mlq, client):
    started, go = threading.Event(), threading.Event()

    def half(_msg, context):
        context.update_progress(50)
        started.set()
        go.wait(20)

    job_id = mlq.post(1)
    waiting = client.get(f"/jobs/{job_id}/result")
    assert (waiting.status_code, waiting.data) == (202, b"[queued; not started]")
    mlq.create_listener(half)
    assert started.wait(10)
    assert any(news.progress for news in mlq.follow(job_id))  # recorded soon after it was reported
    assert client.get(f"/jobs/{job_id}/progress").data == b"50"
    assert client.get(f"/jobs/{job_id}/short_result").status_code == 202
    go.set()


def test_a_cancelled_job_is_gone(mlq, client):
    job_id = mlq.post(1)
    mlq.cancel(job_id)
    given = client.get(f"/jobs/{job_id}/result")
    assert (given.status_code, given.data) == (410, f"job {job_id} was cancelled".encode())


@pytest.mark.parametrize("path", ["progress", "result", "short_result", "result.png"])
@pytest.mark.parametrize("job_id", ["999", "abc", "-1", "9" * 40])
def test_an_unknown_job_is_404_with_the_reason(client, path, job_id):
    given = client.get(f"/jobs/{job_id}/{path}")
    assert given.status_code == 404
    assert given.text.startswith(f"no job {job_id}")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "not JSON"),
        (b'{"msg": 1', 400, "not JSON"),
        (b'{"msg": NaN}', 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b'{"msg": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400, "nested"),
        (b"[1]", 422, "Expected `object`"),
        (b"{}", 422, "`msg`"),
        (b'{"msg": 1, "functions": "f"}', 422, "at .functions"),
        (b'{"msg": 1, "functions": []}', 422, "length >= 1"),
        (b'{"msg": 1, "functions": [1]}', 422, "at .functions[0]"),
        (b'{"msg": 1, "functions": ["a,b"]}', 400, "functions must be"),
        (b'{"msg": 1, "queue": "#rows"}', 400, "queue must not begin with #"),
        (b'{"msg": 1, "callback": 5}', 422, "at .callback"),
        (b'{"msg": 1, "callback": "ftp://x"}', 400, "callback must be"),
        (b'{"msg": 1, "timeout": 0}', 422, "at .timeout"),
        (b'{"msg": 1, "queue": "a:b"}', 400, "queue must be"),
        (b'{"msg": 1, "calback": null}', 422, "unknown field `calback`"),
        (b'{"msg": 99999999999999999999999}', 400, "64 bits"),
        (b'{"msg": "\\ud800"}', 400, "surrogates"),
        (b"{" + b",".join(b'"k%d": 1' % i for i in range(50_000)) + b"}", 422, "unknown field"),
    ],
)
def test_bad_input_says_why_and_leaves_no_job(mlq, client, body, status, reason):
    given = client.post("/jobs", data=body, headers=JSON)
    assert (given.status_code, given.content_type) == (status, "text/plain; charset=utf-8")
    assert reason in given.text
    told = client.post("/jobs", data=body, headers=JSON | {"Accept": "application/json"})
    assert (told.status_code, told.content_type) == (status, "application/problem+json")
    assert reason in told.json["detail"]
    assert mlq.job_count() == 0


def test_what_nobody_says_the_kind_of_is_415(mlq, client):
    assert client.post("/jobs", data=json.dumps({"msg": 1})).status_code == 415
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/jobs", data=json.dumps({"msg": 1}), headers=form).status_code == 415
    assert mlq.job_count() == 0


def test_a_large_body_is_413(mlq):
    client = make_app(mlq, Settings(body_limit=1000)).test_client()
    given = client.post("/jobs", data=b'{"msg": "' + b"x" * 1000 + b'"}', headers=JSON)
    assert given.status_code == 413
    assert "too large" in given.text
    assert mlq.job_count() == 0


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("PUT", "/jobs", 405)])
def test_other_paths_are_refused(client, method, path, status):
    assert client.open(path, method=method).status_code == status


def test_a_server_that_is_not_there_is_503():
    client = make_app(MLQ("x", url="redis://127.0.0.1:1")).test_client()
    given = client.post("/jobs", json={"msg": 1})
    assert (given.status_code, given.headers["Retry-After"]) == (503, "1")
    assert "redis://127.0.0.1:1" in given.text
