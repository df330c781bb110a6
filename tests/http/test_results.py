"""Results over HTTP: media types, parts, what has not changed, and what is not there."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlq.http import results
from mlq.http.app import make_app
from mlq.http.settings import Settings
from mlq.ops import Op
from mlq.running.outcomes import success
from tests.http.jobs import address, cancelled, ended, failed

JSON = {"Accept": "application/json"}
PROBLEM = "application/problem+json"


@pytest.mark.parametrize("msg", [1, "añ", None, True, 1.5, [1, {"a": None}], {"b": [1]}, "", [], {}])
def test_a_result_is_json_where_that_is_asked_for(mlq, client, echo, msg):
    given = client.get(f"/jobs/{ended(mlq, msg)}/result", headers=JSON)
    assert (given.status_code, given.content_type, given.json) == (200, "application/json", msg)


def test_bytes_stay_bytes_though_json_is_asked_for(mlq, client, echo):
    job_id = ended(mlq, b"\x89PNG")
    given = client.get(f"/jobs/{job_id}/result", headers=JSON)
    assert (given.data, given.content_type) == (b"\x89PNG", "application/octet-stream")
    given = client.get(f"/jobs/{job_id}/result.png", headers=JSON)
    assert (given.data, given.content_type) == (b"\x89PNG", "image/png")


def test_a_file_has_a_name(mlq, client, echo):
    job_id = ended(mlq, b"x")
    assert "Content-Disposition" not in client.get(f"/jobs/{job_id}/result").headers
    given = client.get(f"/jobs/{job_id}/result.tar.gz")
    assert given.headers["Content-Disposition"] == f"inline; filename=job-{job_id}.tar.gz"


@pytest.mark.parametrize("extension", ["html", "svg", "xml", "xhtml"])
def test_a_page_from_a_job_can_not_act_as_ours(mlq, client, echo, extension):
    given = client.get(f"/jobs/{ended(mlq, '<script>')}/result.{extension}")
    assert given.headers["Content-Security-Policy"] == "sandbox"
    assert given.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 200, b"0123456789", None),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=5-4", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=0-0,5-6", 200, b"0123456789", None),
        ("bytes=abc", 200, b"0123456789", None),
        ("items=0-1", 200, b"0123456789", None),
        ("bytes=" + "9" * 5000 + "-", 200, b"0123456789", None),
        ("", 200, b"0123456789", None),
    ],
)
def test_ranges(mlq, client, echo, asked, status, body, told):
    given = client.get(f"/jobs/{ended(mlq, b'0123456789')}/result", headers={"Range": asked})
    assert (given.status_code, given.headers.get("Content-Range")) == (status, told)
    assert body is None or given.data == body
    assert int(given.headers["Content-Length"]) == len(given.data)


def test_a_range_of_an_older_version_is_not_mixed_in(mlq, client, echo):
    path = f"/jobs/{ended(mlq, b'0123456789')}/result"
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"Range": "bytes=0-1", "If-Range": tag}).status_code == 206
    assert client.get(path, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200


def test_a_result_that_is_known_is_304(mlq, client, echo):
    path = f"/jobs/{ended(mlq, 'hello')}/result"
    first = client.get(path)
    tag = first.headers["ETag"]
    for known in (tag, f'"x", {tag}', "*", f"W/{tag}"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert client.get(path, headers={"If-None-Match": tag} | JSON).status_code == 200
    assert client.get(f"{path}.png", headers={"If-None-Match": tag}).status_code == 200
    assert "Accept" in first.headers["Vary"]


def test_a_result_that_is_not_there_yet_is_202(mlq, client):
    job_id = mlq.post(1)
    given = client.get(f"/jobs/{job_id}/result", headers=JSON)
    assert (given.status_code, given.headers["Retry-After"], given.headers["MLQ-Job-State"]) == (202, "1", "queued")
    assert given.json == {"id": job_id, "state": "queued", "progress": None, "links": {"self": address(mlq, job_id)}}


def test_a_result_that_is_gone_is_410(mlq, client, echo):
    deleted, expired = ended(mlq, 1), ended(mlq, 1, ttl=0.05)
    mlq.delete(deleted)
    give_up = time.monotonic() + 10
    while client.get(f"/jobs/{expired}").status_code == 200 and time.monotonic() < give_up:
        time.sleep(0.01)
    for job_id in (deleted, expired, cancelled(mlq)):
        for path in ("result", "result.png", "short_result"):
            given = client.get(f"/jobs/{job_id}/{path}", headers=JSON)
            assert (given.status_code, given.content_type) == (410, PROBLEM)
    assert client.get("/jobs/999/result", headers=JSON).status_code == 404


@pytest.mark.parametrize(
    "extension", ["a%0d%0aX-Evil:%201", "%00", "%0a", "a%22b", "%c3%a9", "x" * 3000, "a;b", "a%5c", "%20", "a,b"]
)
def test_an_extension_that_would_break_a_header_is_404(mlq, client, echo, extension):
    given = client.get(f"/jobs/{ended(mlq, 'hello')}/result.{extension}")
    assert given.status_code == 404
    assert "X-Evil" not in given.headers


def test_a_job_may_end_between_the_two_replies(mlq, client, hand, monkeypatch):
    """If the server lacks a script, its reply is of later than the one that follows: 68 of 773 answers were 503."""
    job_id, run_each = mlq.post(1), mlq._shell.run_each
    one = hand.claim()

    def apart(ops):
        monkeypatch.setattr(mlq._shell, "run_each", run_each)
        sizes = run_each(ops[1:])
        hand.end(one, success("hello"))
        return [*run_each(ops[:1]), *sizes]

    monkeypatch.setattr(mlq._shell, "run_each", apart)
    given = client.get(f"/jobs/{job_id}/result")
    assert (given.status_code, given.text) == (200, "hello")


def test_containers_are_read_one_at_a_time_but_bytes_are_not(mlq, client, echo, monkeypatch):
    """Four of ten million empty maps took 3.7 GB together."""
    monkeypatch.setattr("mlq.http.turns.PATIENCE", 0.1)
    many, text, binary = (ended(mlq, value) for value in ([0] * 70_000, "x" * 70_000, b"x" * 70_000))
    with ThreadPoolExecutor() as others, results._containers.take():  # which the same thread may take again
        given, *one_string = others.map(lambda job: client.get(f"/jobs/{job}/result"), (many, text, binary))
    assert (given.status_code, given.headers["Retry-After"]) == (503, "1")
    assert [len(answer.data) for answer in one_string] == [70_000, 70_000]
    assert len(client.get(f"/jobs/{many}/result").json) == 70_000


def test_a_result_is_read_without_what_is_large_beside_it(mlq, client, keys):
    """A byte of result took as long, and as much memory, as the message of 64 MiB before it."""
    mlq.create_listener(lambda msg: ("short", "long"))
    job_id = mlq.post("a message")
    mlq.wait(job_id, 10)
    post = mlq._redis.get(keys.post + job_id)
    mlq._redis.set(keys.post + job_id, post[: post.index(b"\xa9a message")] + b"\xc1")
    assert client.get(f"/jobs/{job_id}/result").text == "long"
    mlq._redis.hset(keys.job + job_id, "result", b"\xc1")
    assert client.get(f"/jobs/{job_id}/short_result").text == "short"
    assert client.get(f"/jobs/{job_id}/result").status_code == 422


@pytest.mark.parametrize(("room", "status"), [(True, 422), (False, 503)])
def test_a_result_has_room_before_it_is_decoded(mlq, client, echo, keys, room, status):
    job_id, asked = ended(mlq, 1), []
    mlq._redis.hset(keys.job + job_id, "result", b"\xc1" * 300_000)
    there = {"mlq.keep": lambda size: asked.append(size) or room}
    given = client.get(f"/jobs/{job_id}/result", environ_overrides=there)
    assert (given.status_code, asked) == (status, [300_000])


def test_a_result_of_another_run_than_the_one_that_is_told_is_not_given(mlq, client, echo, keys, monkeypatch):
    job_id = ended(mlq, 1)
    info = mlq.get_info(job_id)
    monkeypatch.setattr(results, "info_of", lambda *_: Op(("PING",), lambda _: info))
    assert client.get(f"/jobs/{job_id}/result").text == "1"
    mlq._redis.hset(keys.job + job_id, "finished", "1795888888.123456")
    given = client.get(f"/jobs/{job_id}/result")
    assert (given.status_code, given.headers["Retry-After"]) == (503, "1")


def test_a_failed_job_is_409_where_json_is_asked_for(mlq, client, echo):
    given = client.get(f"/jobs/{failed(mlq)}/result", headers=JSON)
    assert (given.status_code, given.headers["MLQ-Job-State"]) == (409, "failed")
    assert given.json["detail"].endswith("failed: ValueError: too small")


def test_a_failed_job_is_its_errors_text_for_those_who_know_the_first_mlq(mlq, echo):
    """In plain text, as `controller/app.py` serves it."""
    client = make_app(mlq, Settings(failed_is_200=True)).test_client()
    job_id = failed(mlq)
    given = client.get(f"/jobs/{job_id}/result")
    assert (given.status_code, given.data, given.headers["MLQ-Job-State"]) == (200, b"too small", "failed")
    assert client.get(f"/jobs/{job_id}/result", headers=JSON).status_code == 409


def test_a_job_that_nobody_can_run_is_told_of(mlq, client, echo):
    given = client.post("/jobs", json={"msg": 1, "functions": ["ecko"]})
    lacking = "no live worker has a listener 'ecko' (did you mean 'echo'?)"
    assert (given.status_code, given.headers["MLQ-Warning"]) == (200, lacking)
    assert client.get(f"/jobs/{given.text}").json["unserved"] == lacking
    assert client.post("/jobs", json={"msg": 1, "functions": ["ecko"]}, headers=JSON).json["warning"] == lacking
    good = client.post("/jobs", json={"msg": 1, "functions": ["echo"]})
    assert "MLQ-Warning" not in good.headers
