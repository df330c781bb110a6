"""The store of files behind a URL: the same as in a directory, through a process of its own that may die."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from mlq.batches.roots import disk_at, folder_of
from mlq.batches.store import Store, kept_at, new_id
from mlq.http.service_disk import ServiceDisk
from tests.http.asking import ask, connect, port_of
from tests.http.openai_files import form, lines
from tests.models.conftest import models_toml, start  # noqa: F401 - fixtures
from tests.programs import until

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(params=["path", "local", "memory", "process"])
def disk(request, tmp_path):
    """An empty folder, reached in each of the ways there are."""
    if request.param != "process":
        yield disk_at(f"{tmp_path}/kept" if request.param == "path" else f"{request.param}://{tmp_path}/kept")
        fsspec.filesystem("memory").store.clear()
        fsspec.filesystem("memory").pseudo_dirs[:] = [""]
        return
    made = ServiceDisk(f"local://{tmp_path}/kept")
    yield made
    for one in (made._control, *made._idle):
        one.close()
    made._process.wait(20)


def add(store, content=b"x", now=None):
    draft, kept = new_id("file-", now or time.time()), new_id("file-", now or time.time())
    with store.create(draft) as opened:
        opened.write(content)
    return store.add_draft(draft, kept, "a.jsonl", "batch")


def test_a_file_from_its_draft_to_its_end(disk):
    store, now = Store(disk), time.time()
    assert (store.ids("file-", now), store.total(), store.read(new_id("file-", now), now)) == ([], 0, None)
    content = os.urandom(700_000) + b"\nend"
    made = add(store, content)
    assert (made.size, store.find(made.id, now), store.ids("file-", now)) == (len(content), made, [made.id])
    with store.open(made.id) as opened:
        assert opened.readline(8_000_000) + opened.read() == content
    assert sorted(disk.names()) == [f"{made.id}.json", f"{made.id}.jsonl"]
    assert store.total() == len(content) + len(disk.read(f"{made.id}.json"))
    store.write(made.id, {"name": "b", "purpose": "batch", "size": 3})
    assert store.find(made.id, now).name == "b"
    store.remove(made.id)
    assert (disk.names(), store.find(made.id, now)) == ([], None)
    with pytest.raises(FileNotFoundError):
        store.open(made.id)
    store.remove(made.id)


def test_drafts_count_for_nothing_and_are_swept(disk):
    store, now = Store(disk), time.time()
    old, left, new = add(store, now=now - 40 * 86400), new_id("file-", now - 90_000), new_id("file-", now)
    for one in (left, new):
        with store.create(one) as opened:
            opened.write(b"half")
    assert store.ids("file-", now) == []
    store.sweep(now)
    assert disk.names() == [f"{new}.part"]
    store.drop_draft(new)
    assert (disk.names(), old.expires < now) == ([], True)


@pytest.fixture
def root(tmp_path):
    return f"local://{tmp_path}/kept"


def kept_names(tmp_path, mlq):
    folder = Path(folder_of(f"{tmp_path}/kept", mlq.namespace))
    return sorted(one.name for one in folder.iterdir()) if folder.exists() else []


LARGE = b"x" * 70_000 * 100


def test_uploads_pass_through_in_pieces(serve, root, mlq, tmp_path):
    serving = serve(files=root, body_limit=100_000, file_limit=len(LARGE))
    body, kind = form(LARGE)
    with closing(connect(serving)) as connection:
        connection.request("POST", "/v1/files", body, {"Content-Type": kind})
        made = json.loads(connection.getresponse().read())
        assert made["bytes"] == len(LARGE)
        connection.request("GET", f"/v1/files/{made['id']}/content")
        assert connection.getresponse().read() == LARGE
    body, kind = form(b"{}")
    others = [ask(serving, "/v1/files", "POST", body, {"Content-Type": kind}).json for _ in range(20)]
    found = ask(serving, "/v1/files").json["data"]
    assert found == sorted([made, *others], key=lambda one: one["id"], reverse=True)
    assert ask(serving, "/v1/files?limit=3").json["data"] == found[:3]
    for one in others:
        assert ask(serving, f"/v1/files/{one['id']}", "DELETE").status == 200
    assert ask(serving, f"/v1/files/{made['id']}", "DELETE").status == 200
    assert ask(serving, f"/v1/files/{made['id']}").status == 404
    assert kept_names(tmp_path, mlq) == []


def test_an_upload_that_breaks_off_leaves_nothing(serve, root, mlq, tmp_path):
    serving = serve(files=root)
    body, kind = form(b"x" * 1_000_000)
    head = f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(serving)), timeout=20) as client:
        client.sendall(head.encode() + body[:500_000])
        until(lambda: kept_names(tmp_path, mlq))
    until(lambda: not kept_names(tmp_path, mlq))


def helpers(pid):
    """The processes that a process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found if b"disk_program" in Path(f"/proc/{one}/cmdline").read_bytes()]


def test_its_process_is_started_again_and_ends_with_the_service(serve, root):
    serving = serve(files=root)
    body, kind = form(b"{}")
    assert ask(serving, "/v1/files", "POST", body, {"Content-Type": kind}).status == 200
    [first] = helpers(serving.pid)
    os.kill(first, signal.SIGTERM)  # which systemd sends to all
    assert len(ask(serving, "/v1/files").json["data"]) == 1
    os.kill(first, signal.SIGKILL)
    until(lambda: ask(serving, "/v1/files").status == 200)
    [second] = helpers(serving.pid)
    assert second != first
    serving.stop(0)
    until(lambda: not Path(f"/proc/{second}").exists())


def test_a_store_that_does_not_answer_keeps_nobody_else_waiting(serve, root, prepared):
    prepared("import mlq.http.service_disk as disk; disk.LONG = 1.0")
    serving = serve(files=root)
    until(lambda: ask(serving, "/v1/files").status == 200)
    [helper] = helpers(serving.pid)
    os.kill(helper, signal.SIGSTOP)
    until(lambda: ") T " in Path(f"/proc/{helper}/stat").read_text())  # else it may still answer
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask(serving, "/v1/files")))
    asking.start()
    assert ask(serving, "/healthz").status == 200
    asking.join()
    assert (answers[0].status, answers[0].headers["Retry-After"]) == (503, "1")
    assert "does not answer" in answers[0].json["error"]["message"]
    os.kill(helper, signal.SIGCONT)
    until(lambda: ask(serving, "/v1/files").status == 200)


def test_a_store_that_refuses_is_told(serve, root, tmp_path):
    (tmp_path / "kept").write_text("no folder")
    serving = serve(files=root)
    answer = ask(serving, "/v1/files")
    assert (answer.status, "the store of files can't be used now" in answer.json["error"]["message"]) == (503, True)
    body, kind = form(b"{}")
    assert ask(serving, "/v1/files", "POST", body, {"Content-Type": kind}).status in (503, 507)


def batch_over(serving):
    """Upload, begin, and follow a batch to its end; its answers."""
    body, kind = form(lines("number", [1, 2, "x", 4]))
    file = ask(serving, "/v1/files", "POST", body, {"Content-Type": kind}).json
    wanted = json.dumps({"input_file_id": file["id"], "endpoint": "/models/number/predict", "completion_window": "24h"})
    made = ask(serving, "/v1/batches", "POST", wanted.encode(), {"Content-Type": "application/json"}).json

    def ended():
        found = ask(serving, f"/v1/batches/{made['id']}").json
        assert found["status"] != "failed", found
        return found["status"] == "completed" and found

    batch = until(ended, 60)
    assert batch["request_counts"] == {"total": 4, "completed": 3, "failed": 1}
    answers = ask(serving, f"/v1/files/{batch['output_file_id']}/content").body.splitlines()
    wrong = ask(serving, f"/v1/files/{batch['error_file_id']}/content").body.splitlines()
    assert [json.loads(one)["custom_id"] for one in (*answers, *wrong)] == ["r0", "r1", "r3", "r2"]
    assert len(ask(serving, "/v1/files").json["data"]) == 3


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["process", "thread"])
def test_a_batch_from_its_file_to_its_answers(serve, start, mlq, models_toml, root, tmp_path, pool):  # noqa: F811
    with start("worker", "--models", str(models_toml("Number")), "--files", root, "--pool", pool):
        until(lambda: [one for one in mlq.models() if one.unserved is None])
        batch_over(serve(files=root))
    assert [one for one in kept_names(tmp_path, mlq) if one.endswith((".part", ".partial"))] == []


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """A bucket on a server that speaks S3's protocol, in a process of its own."""
    for module in ("s3fs", "moto", "flask_cors"):
        pytest.importorskip(module)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1",
                        "AWS_CONFIG_FILE": str(tmp_path / "none"), "FSSPEC_S3_ENDPOINT_URL": url}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-c", "from moto.server import main; main()", "-p", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            until(lambda: _listens(port), 60)
            made = "import fsspec; fsspec.filesystem('s3').mkdir('bucket')"
            subprocess.run([sys.executable, "-c", made], check=True, timeout=60)
            yield "s3://bucket/files"
        finally:
            server.kill()


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_batch_over_s3(serve, start, mlq, models_toml, bucket):  # noqa: F811
    with start("worker", "--models", str(models_toml("Number")), "--files", bucket):
        until(lambda: [one for one in mlq.models() if one.unserved is None])
        serving = serve(files=bucket)
        batch_over(serving)
        body, kind = form(LARGE * 2)
        made = ask(serving, "/v1/files", "POST", body, {"Content-Type": kind}).json
        assert made["bytes"] == 2 * len(LARGE)
        assert ask(serving, f"/v1/files/{made['id']}/content").body == LARGE * 2


def test_what_is_no_place_for_files():
    from mlq import InputError

    for root in ("files", "s3://b/../c", "s3://b?x=1", "zip::s3://b/x", "nothing://b"):
        with pytest.raises(InputError):
            kept_at(root, "a")


def test_a_record_that_is_damaged_hides_no_other(disk, monkeypatch):
    monkeypatch.setattr("mlq.batches.store.PAUSE", 0.0)
    store, now = Store(disk), time.time()
    made = [add(store) for _ in range(3)]
    for one, content in ((made[0], b"{"), (made[1], b"[1]")):
        disk.write(f"{one.id}.json", content)
    assert [store.find(one.id, now) for one in made] == [None, None, made[2]]
    store.write(made[0].id, {"name": "no size"})
    assert store.find(made[0].id, now) is None


@pytest.mark.parametrize("disk", ["process"], indirect=True)
def test_a_file_that_a_process_had_open_is_none_of_the_next_one(disk, monkeypatch):
    """Else an upload might go on in the file of another."""
    monkeypatch.setattr("mlq.http.service_disk.PAUSE", 0.0)
    before = disk.create("before.part")
    disk._process.kill()
    disk._process.wait(20)
    with disk.create("after.part") as after:
        after.write(b"whole")
        with pytest.raises(OSError, match="not open any more"):
            before.write(b"x" * 300_000)
    with suppress(OSError):
        before.close()
    assert disk.read("after.part") == b"whole"
