"""Messages that are files: raw bytes with a media type of their own, and forms."""

import io

import pytest

from mlq.http.app import make_app
from mlq.http.settings import Settings

JSON = {"Accept": "application/json"}
OPTIONS = {"queue": "slow", "functions": ["f", "g"], "callback": "http://localhost/c", "webhook": "http://localhost/w"}
NUMBERS = {"ttl": "60", "timeout": "2.5", "retries": "3", "backoff": "0.5"}


def file(content=b"\x89PNG", name="a.png"):
    return (io.BytesIO(content), name)


def form(client, **fields):
    return client.post("/jobs", data=fields, content_type="multipart/form-data", headers=JSON)


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "text/plain", "text/csv; charset=latin-1",
                                  "application/xml", "nonsense"])  # fmt: skip
@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x00\xff", b"", b'{"msg": 1}'])
def test_bytes_are_the_message_as_they_are(mlq, client, kind, content):
    given = client.post("/jobs", data=content, content_type=kind, headers=JSON)
    assert given.status_code == 202
    assert mlq.get_job(given.json["id"])["msg"] == content


def test_options_of_bytes_stand_in_the_query(mlq, client):
    given = client.post("/jobs", query_string=OPTIONS | NUMBERS, data=b"x", content_type="image/png", headers=JSON)
    assert given.status_code == 202
    job = mlq.get_job(given.json["id"])
    assert {name: job[name] for name in OPTIONS} == OPTIONS
    assert mlq._redis.get(f"{{{mlq.namespace}}}:post:{job['id']}").count(b"backoff") == 1


def test_a_file_of_a_form_is_the_message(mlq, client):
    given = form(client, msg=file(), **OPTIONS, **NUMBERS)
    assert given.status_code == 202
    job = mlq.get_job(given.json["id"])
    assert job["msg"] == b"\x89PNG"
    assert {name: job[name] for name in OPTIONS} == OPTIONS


def test_a_large_file_keeps_its_bytes(mlq, client):
    content = bytes(range(256)) * 8000  # so large that the parser puts it on disk
    head = b'--b\r\nContent-Disposition: form-data; name="msg"; filename="a"\r\n\r\n'
    body = head + content + b"\r\n--b--\r\n"
    given = client.post("/jobs", data=body, content_type="multipart/form-data; boundary=b", headers=JSON)
    assert mlq.get_job(given.json["id"])["msg"] == content


@pytest.mark.parametrize("name", ["functions", "ttl", "queue", "unknown"])
def test_a_field_of_a_form_is_no_file(mlq, client, name):
    """Others waited for a second while the 60 MB of one were looked at."""
    given = form(client, msg="1", **{name: "1" * 70_000})
    assert given.status_code == 413
    assert name in given.json["detail"]
    assert mlq.last_id() == 0


@pytest.mark.parametrize(("text", "msg"), [("[1, 2]", [1, 2]), ('"a"', "a"), ("null", None), ('{"a": 1}', {"a": 1})])
def test_a_field_of_a_form_is_json(mlq, client, text, msg):
    assert mlq.get_job(form(client, msg=text).json["id"])["msg"] == msg


def test_a_key_and_a_wait_work_for_files_too(mlq, client):
    def size(msg):
        return len(msg)

    mlq.create_listener(size)
    headers = {"Idempotency-Key": "k", "Prefer": "wait=10"}
    for _ in range(2):
        given = client.post("/jobs", data=b"12345", content_type="image/png", headers=headers)
        assert (given.status_code, given.text) == (200, "5")
    assert mlq.last_id() == 1


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("bogus=1", 422, "unknown field `bogus`"),
        ("retries=inf", 422, "retries"),
        ("retries=nan", 422, "retries"),
        ("retries=-1", 422, "retries"),
        ("retries=1.5", 422, "retries"),
        ("retries=1e300", 422, "retries"),
        ("retries=", 422, "send numbers"),
        ("timeout=soon", 422, "send numbers"),
        ("timeout=nan", 422, "timeout"),
        ("timeout=inf", 422, "timeout"),
        ("timeout=0", 422, "timeout"),
        ("ttl=-1", 422, "ttl"),
        ("functions=", 400, "functions"),
        ("functions=a,b", 400, "functions"),
        ("queue=", 422, "queue"),
        ("queue=%00", 400, "queue"),
        ("callback=ftp://x", 400, "callback"),
        ("callback=javascript:alert(1)", 400, "callback"),
        ("webhook=http://u:p@x/", 400, "webhook"),
    ],
)
def test_bad_options_are_refused_with_the_reason(mlq, client, query, status, reason):
    given = client.post(f"/jobs?{query}", data=b"x", content_type="image/png", headers=JSON)
    assert (given.status_code, given.content_type) == (status, "application/problem+json")
    assert reason in given.json["detail"]
    assert mlq.last_id() == 0


def test_a_form_without_a_message_is_refused(mlq, client):
    assert form(client).status_code == 422
    assert form(client, queue="slow").status_code == 422
    assert form(client, msg="not json").status_code == 400
    assert form(client, other=file()).status_code == 422
    assert form(client, msg=file(), more=file()).status_code == 422
    assert mlq.last_id() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"--b\r\n",
        b'--b\r\nContent-Disposition: form-data; name="msg"; filename="a"\r\n\r\nhalf a fi',
        b'--b\r\nContent-Disposition: form-data; filename="a"\r\n\r\nx\r\n--b--\r\n',
        b"--b\r\nContent-Disposition: \xff\r\n\r\nx\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="queue"\r\n\r\n' + b"x" * 600_000 + b"\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n' * 3000 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="msg"\r\n\r\n\xff\xfe\r\n--b--\r\n',
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the parser leaves files to Python
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=b", "multipart/form-data"])
def test_a_broken_form_is_refused(mlq, client, body, kind):
    given = client.post("/jobs", data=body, content_type=kind, headers=JSON)
    assert given.status_code in {400, 413, 422}
    assert given.content_type == "application/problem+json"
    assert mlq.last_id() == 0


def test_a_file_over_the_limit_is_413(mlq):
    client = make_app(mlq, Settings(body_limit=1000)).test_client()
    assert form(client, msg=file(b"x" * 1000)).status_code == 413
    assert client.post("/jobs", data=b"x" * 1001, content_type="image/png").status_code == 413
    assert client.post("/jobs", data=b"x" * 1000, content_type="image/png").status_code == 200
    assert mlq.last_id() == 1
