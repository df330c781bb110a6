"""Batches over HTTP in OpenAI's form: their states, files and refusals; the public client of OpenAI works with them."""

import json
import threading
import time
from itertools import count

import pytest

from mlq import State
from mlq.batches.batch import Batch
from mlq.batches.store import kept_at, new_id
from mlq.http import batches, repeated
from mlq.http.app import make_app
from mlq.http.routes import Role
from mlq.http.settings import Settings
from tests.http.openai_files import lines, upload
from tests.models.zoo import Iris
from tests.programs import until


@pytest.fixture
def client(mlq, tmp_path):
    return make_app(mlq, Settings(files=str(tmp_path))).test_client()


@pytest.fixture
def worker(mlq, tmp_path, monkeypatch):
    """A worker with one slot."""
    monkeypatch.setenv("MLQ_FILES", str(tmp_path))
    mlq.add_model(Iris)
    mlq.create_listener()
    until(lambda: [one for one in mlq.models() if one.unserved is None])


def begun(client, content=None, endpoint="/models/iris/predict", **more):
    content = lines("iris", [{"length": 1, "width": 2}]) if content is None else content
    file = upload(client, content).json["id"]
    given = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"} | more
    return client.post("/v1/batches", json=given)


def ended(client, batch):
    def look():
        found = client.get(f"/v1/batches/{batch['id']}").json
        return found["status"] in ("completed", "failed", "expired", "cancelled") and found

    return until(look)


def read(client, file):
    return [json.loads(line) for line in client.get(f"/v1/files/{file}/content").data.splitlines()]


def test_a_batch_is_predicted_by_a_worker_with_one_slot(client, worker):
    rows = [
        {"length": 1, "width": 2},
        {"length": "long", "width": 2},
        {"length": 13, "width": 2},
        {"length": 3, "width": 1},
    ]
    answer = begun(client, lines("iris", rows), metadata={"of": "me"})
    assert answer.status_code == 200
    assert answer.json["status"] == "validating"
    batch = ended(client, answer.json)
    assert (batch["status"], batch["request_counts"]) == ("completed", {"total": 4, "completed": 2, "failed": 2})
    assert (batch["metadata"], batch["model"], batch["endpoint"]) == ({"of": "me"}, "iris@1", "/models/iris/predict")
    assert batch["in_progress_at"] <= batch["finalizing_at"] <= batch["completed_at"]
    good, bad = read(client, batch["output_file_id"]), read(client, batch["error_file_id"])
    assert [(one["custom_id"], one["response"]["status_code"], one["response"]["body"]) for one in good] == [
        ("r0", 200, {"species": "short"}), ("r3", 200, {"species": "long on cpu"})
    ]  # fmt: skip
    assert [one["custom_id"] for one in bad] == ["r1", "r2"]
    file = client.get(f"/v1/files/{batch['output_file_id']}").json
    assert (file["purpose"], file["filename"]) == ("batch_output", f"{batch['id']}_output.jsonl")


GATE = threading.Event()


class Gated:
    """Waits at a gate, for numbers below 0."""

    name, version = "gated", "1"
    Input, Output = int, int

    def predict(self, x: int) -> int:
        if x < 0:
            GATE.wait(60)
        return x


@pytest.fixture
def gated(mlq, tmp_path, monkeypatch):
    monkeypatch.setenv("MLQ_FILES", str(tmp_path))
    GATE.clear()
    mlq.add_model(Gated)
    mlq.create_listener()
    until(lambda: [one for one in mlq.models() if one.unserved is None])
    yield
    GATE.set()


GATED = "/models/gated/predict"


def status(client, batch):
    return client.get(f"/v1/batches/{batch['id']}").json["status"]


def test_a_batch_that_is_cancelled_keeps_what_was_predicted(client, gated):
    rows = [*range(40), -1, *range(100)]  # the first chunk has 32 rows
    batch = begun(client, lines("gated", rows), GATED).json
    until(lambda: client.get(f"/v1/batches/{batch['id']}").json["request_counts"]["completed"] == 32)
    cancelled = client.post(f"/v1/batches/{batch['id']}/cancel").json
    assert (cancelled["status"], cancelled["cancelling_at"] > 0) == ("cancelling", True)
    assert client.post(f"/v1/batches/{batch['id']}/cancel").json["cancelling_at"] == cancelled["cancelling_at"]
    found = ended(client, batch)
    assert (found["status"], found["request_counts"]["completed"]) == ("cancelled", 32)
    assert [one["response"]["body"] for one in read(client, found["output_file_id"])] == list(range(32))
    assert found["error_file_id"] is None
    assert client.post(f"/v1/batches/{batch['id']}/cancel").status_code == 409


def test_a_batch_that_has_not_begun_is_cancelled_at_once(client, mlq):
    mlq._models.add_own(described(Gated))
    batch = begun(client, lines("gated", [1]), GATED).json
    assert client.post(f"/v1/batches/{batch['id']}/cancel").json["status"] == "cancelled"
    assert mlq.get_state(batch["job"]) == "cancelled"
    found = client.get(f"/v1/batches/{batch['id']}").json
    assert (found["status"], found["cancelled_at"] > 0, found["output_file_id"]) == ("cancelled", True, None)


def described(kind):
    """What clients know of a model that no worker hosts now."""
    from mlq.models.declaration import declaration_of

    return declaration_of(kind, "here").info._replace(queue=kind.name)


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (b"", ["empty_file"]),
        (b"a,b\n1,2\n", ["invalid_json_line"] * 2),
        (lines("gated", [1, 2], custom_id="same"), ["duplicate_custom_id"]),
        (lines("gated", [1]) + lines("iris", [1], custom_id="x"), ["invalid_url"]),
        (lines("gated", [1])[:-9], ["invalid_json_line"]),
    ],
)
def test_a_file_that_is_no_batch_is_refused_whole(client, gated, content, codes):
    batch = ended(client, begun(client, content, GATED).json)
    assert (batch["status"], [one["code"] for one in batch["errors"]["data"]]) == ("failed", codes)
    assert (batch["output_file_id"], batch["error_file_id"]) == (None, None)


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"input_file_id": "file-no"}, 400, "input_file_id"),
        ({"input_file_id": "../../etc/passwd"}, 400, "input_file_id"),
        ({"input_file_id": 3}, 422, "input_file_id"),
        ({"endpoint": "/models/nobody/predict"}, 400, "endpoint"),
        ({"endpoint": "/models/gated/versions/9/predict"}, 400, "endpoint"),
        ({"endpoint": "/v1/embeddings"}, 400, "endpoint"),
        ({"endpoint": "http://elsewhere/models/gated/predict"}, 400, "endpoint"),
        ({"completion_window": "1h"}, 422, "completion_window"),
        ({"metadata": {"a": 1}}, 422, None),
        ({"metadata": {"a" * 65: "b"}}, 422, None),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 5}}, 422, None),
    ],
)
def test_batches_that_are_not_begun(client, mlq, kept, more, code, param):
    mlq._models.add_own(described(Gated))
    answer = begun(client, lines("gated", [1]), **({"endpoint": GATED} | more))
    assert (answer.status_code, answer.json["error"]["type"]) == (code, "invalid_request_error")
    assert param is None or answer.json["error"]["param"] == param
    assert (kept.ids("batch_", 0), mlq.job_count()) == ([], 0)


@pytest.fixture
def kept(mlq, tmp_path):
    return kept_at(str(tmp_path), mlq.namespace)


def test_a_batch_in_other_forms_than_json(client):
    assert client.post("/v1/batches", data=b"x", content_type="text/plain").status_code == 415
    assert client.post("/v1/batches", data=b"{", content_type="application/json").status_code == 400


def test_a_batch_expires_if_its_window_passes(client, mlq, kept, monkeypatch, tmp_path):
    mlq._models.add_own(described(Gated))
    batch = begun(client, lines("gated", [1]), GATED).json
    monkeypatch.setattr("mlq.batches.batch.WINDOW", 0)
    until(lambda: status(client, batch) == "expired")  # nobody has begun it
    monkeypatch.setenv("MLQ_FILES", str(tmp_path))
    mlq.add_model(Gated)
    mlq.create_listener()
    until(lambda: mlq.get_state(batch["job"]) == "succeeded")
    found = client.get(f"/v1/batches/{batch['id']}").json
    assert (found["status"], found["expired_at"] > 0) == ("expired", True)


def test_what_becomes_of_a_batch_whose_job_is_gone(client, mlq, gated):
    batch = begun(client, lines("gated", [1]), GATED).json
    found = ended(client, batch)
    mlq.delete(batch["job"])
    assert client.get(f"/v1/batches/{batch['id']}").json == found
    other = begun(client, lines("gated", [-1]), GATED).json
    until(lambda: status(client, other) == "in_progress")
    mlq.cancel(other["job"])
    assert status(client, other) == "cancelled"


def test_a_batch_whose_service_stopped_before_it_knew_the_job(client, mlq, gated, kept):
    batch = begun(client, lines("gated", [-1]), GATED).json
    until(lambda: status(client, batch) == "in_progress")
    Batch.find(kept, batch["id"]).want(job=None)
    assert client.get(f"/v1/batches/{batch['id']}").json["job"] == batch["job"]
    mlq.cancel(batch["job"])
    assert status(client, batch) == "cancelled"


def test_a_job_that_fails_is_told(client, mlq, monkeypatch, tmp_path):
    """The worker knows no place for files; after it does, the job can be requeued."""
    monkeypatch.setenv("MLQ_FILE_PLACES", str(tmp_path))
    mlq.add_model(Gated)
    mlq.create_listener()
    until(lambda: [one for one in mlq.models() if one.unserved is None])
    batch = begun(client, lines("gated", [1]), GATED).json
    found = ended(client, batch)
    assert (found["status"], found["errors"]["data"][0]["code"]) == ("failed", "job_failed")
    assert "MLQ_FILES" in found["errors"]["data"][0]["message"]


def test_batches_are_listed_newest_first(client, mlq, monkeypatch):
    mlq._models.add_own(described(Gated))
    seconds = count(int(time.time()))
    monkeypatch.setattr("mlq.http.repeated.new_id", lambda kind, _, life=10**6: new_id(kind, next(seconds), life))
    ids = [begun(client, lines("gated", [1]), GATED).json["id"] for _ in range(3)]
    page = client.get("/v1/batches?limit=2").json
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([ids[2], ids[1]], True)
    page = client.get(f"/v1/batches?after={page['last_id']}").json
    assert ([one["id"] for one in page["data"]], page["has_more"]) == ([ids[0]], False)


@pytest.mark.parametrize("name", ["batch_no", "file-" + "0" * 40, "..", "batch_" + "0" * 40, "x" * 300])
def test_batches_that_there_are_not(client, name):
    for answer in (client.get(f"/v1/batches/{name}"), client.post(f"/v1/batches/{name}/cancel")):
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")


def test_nobody_posts_for_listeners_of_our_own(client):
    for given in ({"functions": ["#predict_file"]}, {"functions": ["f"], "then": ["#predict_file"]},
                  {"functions": ["f"], "then": ["q:#predict_file"]}):  # fmt: skip
        answer = client.post("/jobs", json={"msg": {"batch": "x"}} | given)
        assert answer.status_code == 422
        assert client.post("/jobs/bulk", json={"msgs": [1]} | given).status_code == 422
    assert client.post("/jobs?functions=%23predict_file", data=b"x", content_type="image/png").status_code == 422


def test_roles(mlq, tmp_path):
    tokens = ((b"r" * 16, Role.READ), (b"p" * 16, Role.POST))
    client = make_app(mlq, Settings(tokens, files=str(tmp_path))).test_client()
    reads = {"Authorization": f"Bearer {'r' * 16}"}
    assert client.get("/v1/batches", headers=reads).json["data"] == []
    assert client.get("/v1/batches").status_code == 401
    assert client.post("/v1/batches", json={}, headers=reads).status_code == 403
    assert client.post("/v1/batches/x/cancel", headers=reads).status_code == 403


def test_what_is_answered_has_the_shape_that_is_described(client, gated):
    from openapi_schema_validator import OAS31Validator

    shapes = client.get("/openapi.json").json["components"]["schemas"]
    batch = ended(client, begun(client, lines("gated", [1, "x"]), GATED, metadata={"a": "b"}).json)
    asked = {
        "Batch": batch,
        "Batches": client.get("/v1/batches").json,
        "File": client.get(f"/v1/files/{batch['error_file_id']}").json,
        "Files": client.get("/v1/files").json,
        "FileDeleted": client.delete(f"/v1/files/{batch['output_file_id']}").json,
        "Refusal": client.get("/v1/batches/x").json,
    }
    for name, given in asked.items():
        OAS31Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": shapes}}).validate(given)


def test_a_batch_needs_room_for_what_it_writes(mlq, kept, tmp_path):
    mlq._models.add_own(described(Gated))
    client = make_app(mlq, Settings(files=str(tmp_path), files_limit=1000)).test_client()
    assert begun(client, lines("gated", [1] * 8), GATED).status_code == 507
    assert kept.ids("batch_", 0) == []


def test_no_chunk_of_a_batch_that_was_cancelled_goes_on(client, mlq, gated):
    """Each might keep a slot for as long as the model may take."""
    batch = begun(client, lines("gated", [*range(32), *[-1] * 200]), GATED).json
    until(lambda: client.get(f"/v1/batches/{batch['id']}").json["request_counts"]["completed"] == 32)
    until(lambda: [one for one in mlq.jobs(State.RUNNING) if one.lane == "#rows:gated@1"])
    client.post(f"/v1/batches/{batch['id']}/cancel")
    assert ended(client, batch)["status"] == "cancelled"
    assert [one for one in mlq.jobs() if one.lane == "#rows:gated@1"] == []


def test_a_batch_is_begun_once_for_each_key(client, mlq, kept, monkeypatch):
    """A client that lost the answer asks again."""
    mlq._models.add_own(described(Gated))
    file = upload(client, lines("gated", [1])).json["id"]
    given = {"input_file_id": file, "endpoint": GATED, "completion_window": "24h"}

    def ask(key, **more):
        return client.post("/v1/batches", json=given | more, headers={"Idempotency-Key": key})

    first = ask("a").json
    client.delete(f"/v1/files/{file}")  # what began once is not looked at again
    assert ask("a").json == first
    assert len(kept.ids("batch_", 0)) == mlq.job_count() == 1
    other = ask("a", metadata={"of": "me"})
    assert (other.status_code, "another batch" in other.json["error"]["message"]) == (422, True)
    assert ask("").status_code == 400
    assert ask("b").status_code == 400  # there is no such file any more


@pytest.mark.parametrize("after", ["promised", "add", "_post"])
def test_a_service_that_stops_while_it_begins_a_batch(client, mlq, kept, monkeypatch, after):
    """The same request, to another service, goes on with that batch."""
    mlq._models.add_own(described(Gated))
    file = upload(client, lines("gated", [1])).json["id"]
    given = {"input_file_id": file, "endpoint": GATED, "completion_window": "24h"}
    place = {"promised": repeated, "add": batches.KeptBatch, "_post": batches}[after]
    whole = getattr(place, after)

    def stops(*words):
        whole(*words)
        raise ArithmeticError("it stops here")

    monkeypatch.setattr(place, after, stops)
    assert client.post("/v1/batches", json=given, headers={"Idempotency-Key": "a"}).status_code == 500
    monkeypatch.undo()
    made = [client.post("/v1/batches", json=given, headers={"Idempotency-Key": "a"}).json for _ in range(2)]
    assert made[0] == made[1]
    assert (kept.ids("batch_", 0), mlq.job_count()) == ([made[0]["id"]], 1)
    assert made[0]["job"] is not None
