"""Files over HTTP: kept as they came, found again, listed in order; and everything that is refused."""

import socket
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlq.batches.store import Store, kept_at, new_id
from mlq.http.app import make_app
from mlq.http.owner_places import OwnerPlaces
from mlq.http.problems import Refused
from mlq.http.room import Room
from mlq.http.routes import Role
from mlq.http.settings import Settings
from tests.http.asking import Answer, ask, connect, port_of
from tests.http.openai_files import form, upload
from tests.programs import until


@pytest.fixture
def kept(tmp_path, mlq):
    return kept_at(str(tmp_path), mlq.namespace)


@pytest.fixture
def client(mlq, tmp_path):
    return make_app(mlq, Settings(files=str(tmp_path), file_limit=1000, files_limit=200_000)).test_client()


def names(kept):
    return sorted(one.name for one in Path(kept.where).iterdir()) if Path(kept.where).exists() else []


def test_a_file_is_kept_as_it_came_until_it_is_deleted(client, kept):
    answer = upload(client, b'{"a": 1}\n\xff\r\n', name="../x/rows é.jsonl")
    assert answer.status_code == 200
    made = answer.json
    assert (made["object"], made["bytes"], made["purpose"], made["filename"]) == ("file", 12, "batch", "rows é.jsonl")
    assert made["expires_at"] - made["created_at"] == 30 * 86400
    path = f"/v1/files/{made['id']}"
    assert client.get(path).json == made
    content = client.get(f"{path}/content")
    assert (content.data, content.headers["Content-Length"]) == (b'{"a": 1}\n\xff\r\n', "12")
    assert client.delete(path).json == {"id": made["id"], "deleted": True, "object": "file"}
    for again in (client.get(path), client.get(f"{path}/content"), client.delete(path)):
        assert again.status_code == 404
        assert again.json["error"]["code"] == "not_found"
    assert names(kept) == []


def test_only_their_owner_reads_the_files_of_a_service(client, kept):
    upload(client, b"{}")
    assert Path(kept.where).stat().st_mode & 0o077 == 0


def test_an_upload_says_when_it_expires(client, kept):
    expires = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    made = upload(client, b"{}", **expires).json
    assert made["expires_at"] - made["created_at"] == 3600
    assert client.get("/v1/files").json["data"] == [made]
    assert kept.find(made["id"], made["expires_at"] - 1) is not None
    assert kept.find(made["id"], made["expires_at"]) is None
    assert kept.ids("file-", made["expires_at"]) == []


@pytest.mark.parametrize("seconds", ["", "60", "99999999", "1e4", "-3600", "x", "9" * 300])
def test_a_time_that_no_file_can_have(client, kept, seconds):
    answer = upload(client, b"{}", **{"expires_after[anchor]": "created_at", "expires_after[seconds]": seconds})
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "expires_after")
    assert names(kept) == []


def test_what_has_expired_and_what_was_left_behind_is_swept(kept):
    now = time.time()
    old, new = new_id("file-", now - 90_000, 3600), new_id("file-", now)
    folder = Path(kept.where)
    for one in (old, new):
        kept.create(one).close()
        kept.add_draft(one, one, "a", "batch")
    (folder / f"{old}.jsonl.partial").mkdir()
    for left in (f"{old}.jsonl.partial/part", f"{old}.part", f"{new_id('file-', now - 90_000)}.part"):
        (folder / left).write_bytes(b"x")
    (folder / "a file of somebody else").write_bytes(b"x")
    kept.sweep(now)
    assert names(kept) == sorted(["a file of somebody else", f"{new}.json", f"{new}.jsonl"])


def test_pages_in_both_orders(client, monkeypatch):
    seconds = count(int(time.time()))
    monkeypatch.setattr("mlq.http.receiving.time", SimpleNamespace(time=lambda: next(seconds)))
    ids = [upload(client, b"{}").json["id"] for _ in range(3)]
    page = client.get("/v1/files?limit=2").json
    assert [one["id"] for one in page["data"]] == [ids[2], ids[1]]
    assert (page["has_more"], page["first_id"], page["last_id"]) == (True, ids[2], ids[1])
    page = client.get(f"/v1/files?limit=2&after={ids[1]}").json
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([ids[0]], False)
    page = client.get(f"/v1/files?order=asc&after={ids[0]}").json
    assert [one["id"] for one in page["data"]] == ids[1:]
    assert client.get("/v1/files?purpose=batch_output").json["data"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "order=up"])
def test_pages_that_there_are_not(client, query):
    assert client.get(f"/v1/files?{query}").status_code == 400


@pytest.mark.parametrize(
    "name", ["..", "file-", "file-" + "0" * 40, "x" * 500, "%2e%2e%2fetc%2fpasswd", "file-" + "a" * 40]
)
def test_a_name_that_is_no_id_is_no_path(client, name):
    for path in (f"/v1/files/{name}", f"/v1/files/{name}/content"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json["error"]["type"] == "invalid_request_error"


def test_no_text_but_an_id_becomes_a_path(kept):
    for name in ("", "..", "../x", "file-" + "0" * 39, "file-" + "0" * 41, "file-" + "0" * 40 + "\n"):
        with pytest.raises(KeyError):
            kept.address(name)
        assert kept.read(name, 0) is None


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"purpose": None}, 400, "purpose"),
        ({"purpose": "fine-tune"}, 400, "purpose"),
        ({"content": b"x" * 1001}, 413, "1,000 bytes"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(client, kept, given, status, words):
    answer = upload(client, **({"content": b"{}"} | given))
    assert (answer.status_code, words in answer.json["error"]["message"]) == (status, True)
    assert names(kept) == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"", "multipart/form-data; boundary=b", 400),
        (b"{}", "multipart/form-data", 400),
        (form(b"{}")[0][:-9], "multipart/form-data; boundary=b", 400),
        (form(b"{}")[0].replace(b'"file"', b'"data"'), "multipart/form-data; boundary=b", 400),
        (form(b"{}")[0].replace(b"--b--\r\n", b"") + form(b"{}")[0], "multipart/form-data; boundary=b", 400),
        (
            b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b--',
            "multipart/form-data; boundary=b",
            400,
        ),
    ],
)
def test_bodies_that_are_no_upload(client, kept, body, kind, status):
    assert client.post("/v1/files", data=body, content_type=kind).status_code == status
    assert names(kept) == []


def test_all_files_together_have_a_limit(mlq, tmp_path):
    client = make_app(mlq, Settings(files=str(tmp_path), files_limit=1000)).test_client()
    first = upload(client, b"x" * 500).json
    assert upload(client, b"x" * 400).status_code == 507
    client.delete(f"/v1/files/{first['id']}")
    assert upload(client, b"x" * 400).status_code == 200


def test_a_service_without_files_says_so(mlq):
    client = make_app(mlq).test_client()
    for answer in (upload(client, b"{}"), client.get("/v1/files"), client.get("/v1/files/x")):
        assert (answer.status_code, "--files" in answer.json["error"]["message"]) == (404, True)


def test_a_disk_that_takes_no_more_is_told(client, kept, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "write", full)
    answer = upload(client, b"{}")
    assert (answer.status_code, answer.json["error"]["message"]) == (
        507,
        "the file can't be kept: No space left on device",
    )
    monkeypatch.undo()
    assert client.get("/v1/files").json["data"] == []


def test_roles(mlq, tmp_path):
    tokens = ((b"r" * 16, Role.READ), (b"p" * 16, Role.POST))
    client = make_app(mlq, Settings(tokens, files=str(tmp_path))).test_client()
    body, kind = form(b"{}")
    may = {role: {"Authorization": f"Bearer {role * 16}"} for role in "rp"}
    assert client.post("/v1/files", data=body, content_type=kind).status_code == 401
    assert client.post("/v1/files", data=body, content_type=kind, headers=may["r"]).status_code == 403
    path = f"/v1/files/{client.post('/v1/files', data=body, content_type=kind, headers=may['p']).json['id']}"
    assert client.get(path).json["error"]["code"] == "invalid_api_key"
    assert client.get(f"{path}/content", headers=may["r"]).data == b"{}"
    assert client.delete(path, headers=may["r"]).status_code == 403
    assert client.delete(path, headers=may["p"]).status_code == 200


def test_a_web_page_uploads_nothing(client):
    body, kind = form(b"{}")
    assert (
        client.post("/v1/files", data=body, content_type=kind, headers={"Origin": "http://a.example"}).status_code
        == 403
    )


LARGE = b"x" * 70_000 * 100


def test_a_large_file_passes_through_in_pieces(serve, kept, tmp_path):
    """Larger than any body that is kept in memory may be."""
    serving = serve(files=str(tmp_path), body_limit=100_000, file_limit=len(LARGE))
    body, kind = form(LARGE)
    for chunked in (False, True):
        connection = connect(serving)
        given = (body[at : at + 50_001] for at in range(0, len(body), 50_001)) if chunked else body
        connection.request("POST", "/v1/files", given, {"Content-Type": kind}, encode_chunked=chunked)
        made = Answer(connection.getresponse())
        assert (made.status, made.json["bytes"]) == (200, len(LARGE))
        connection.request("GET", f"/v1/files/{made.json['id']}/content")  # the connection was kept
        assert Answer(connection.getresponse()).body == LARGE
        connection.close()
    body, kind = form(LARGE + b"x")
    answer = ask(serving, "/v1/files", "POST", body, {"Content-Type": kind})
    assert (answer.status, answer.json["error"]["code"]) == (413, "file_too_large")
    assert len(names(kept)) == 4
    assert ask(serving, "/jobs", "POST", body, {"Content-Type": kind}).status == 413  # others keep their limit


def test_a_client_that_waits_for_a_word_sends_then(serve, kept, tmp_path):
    serving = serve(files=str(tmp_path))
    body, kind = form(b"{}")
    head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", port_of(serving)), timeout=20) as client:
        client.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_an_upload_that_breaks_off_leaves_nothing(serve, kept, tmp_path):
    serving = serve(files=str(tmp_path))
    body, kind = form(b"x" * 1_000_000)
    head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(serving)), timeout=20) as client:
        client.sendall(head.encode() + body[:500_000])
        until(lambda: names(kept))
    until(lambda: not names(kept))


def test_any_name_of_a_file_is_told(client):
    made = upload(client, b"{}", name="日本.jsonl").json
    said = client.get(f"/v1/files/{made['id']}/content").headers["Content-Disposition"]
    assert "filename=__.jsonl" in said.replace('"', "")
    assert "filename*=UTF-8''%E6%97%A5%E6%9C%AC.jsonl" in said


def slow_upload(serving, token):
    """The beginning of an upload that goes on for ever."""
    body, kind = form(b"x" * 1_000_000)
    client = socket.create_connection(("127.0.0.1", port_of(serving)), timeout=20)
    head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    client.sendall(f"{head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:1000])
    return client


def test_slow_uploads_of_one_token_leave_room_for_others(serve, kept, tmp_path):
    slow, other = "s" * 16, "o" * 16
    tokens = tuple((one.encode(), Role.POST) for one in (slow, other))
    serving = serve(files=str(tmp_path), tokens=tokens, files_limit=40_000_000)
    held = [slow_upload(serving, slow) for _ in range(60)]
    try:
        until(lambda: len(names(kept)) == 32)
        body, kind = form(b"{}")
        for _ in range(5):
            sent = {"Content-Type": kind, "Authorization": f"Bearer {other}"}
            assert ask(serving, "/v1/files", "POST", body, sent).status == 200
    finally:
        for one in held:
            one.close()


def test_uploads_are_counted_as_they_come(mlq, tmp_path):
    """What is announced takes no room from others."""
    room, coming = Room(1000), []
    with room.coming() as first, room.coming() as second:
        assert first.add(600)
        assert second.add(300)
        assert not second.add(101)
        assert not room.has(1, lambda: 0)
    assert room.has(1000, lambda: coming.append(1) or 0)
    assert coming == []  # it was measured a moment ago


def test_places_of_owners():
    places, held = OwnerPlaces(8), ExitStack()
    for owner in (b"a", b"a", b"a", b"a", b"b", b"b", b"c"):
        held.enter_context(places.take(owner))
    with held, pytest.MonkeyPatch.context() as patched:
        patched.setattr("mlq.http.owner_places.PATIENCE", 0.0)
        for owner in (b"a", b"b", b"c"):
            with pytest.raises(Refused), places.take(owner):
                pass
        with places.take(b"d"):
            pass
    assert places._free == 8
    assert not places._held
    assert not places._waiting
