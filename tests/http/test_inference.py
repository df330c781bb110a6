"""The Open Inference Protocol: what its clients ask, and what they get."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel, Field, field_validator

from mlq import server
from mlq.http import inference, waiting
from mlq.http.app import make_app
from mlq.http.peer import CONNECTED
from mlq.http.problems import Refused
from mlq.http.routes import Role
from mlq.http.settings import Settings
from mlq.queue import MLQ
from mlq.version import __version__

INFER = "/v2/models/iris/infer"


class Iris:
    """Tells irises apart."""

    name, version = "iris", "1"

    class Input(BaseModel):
        sepal: float = Field(gt=0)
        petal: float
        label: str | None = None

        @field_validator("petal")
        @classmethod
        def known(cls, petal: float) -> float:
            if petal == 13:
                raise ValueError("unlucky")
            return petal

    class Output(BaseModel):
        species: str
        score: float
        pair: list[float]

    def predict_batch(self, xs):
        return [ZeroDivisionError("nothing") if x.petal == 0 else self._one(x) for x in xs]

    def _one(self, x):
        pair = [x.sepal] * (3 if x.label == "longer" else 2)
        return self.Output(species="setosa" if x.petal < 2 else "other", score=x.petal, pair=pair)


class Newer(Iris):
    version = "2"


class Plain:
    name, version, Input, Output = "plain", "1", list[list[int]], int

    def predict(self, x):
        return sum(map(sum, x))


class Boxed:
    name, version, Output = "boxed", "1", int

    class Input(BaseModel):
        it: dict[str, int]

    def predict(self, x):
        return 0


class Stuck:
    name, version, Input, Output = "stuck", "1", int, int
    go = threading.Event()

    def predict(self, x):
        self.go.wait(30)
        return x


class Broken:
    name, version, Input, Output = "broken", "1", int, int

    def load(self, device):
        raise OSError("no weights")

    def predict(self, x):
        return x


class Big:
    name, version, Input, Output = "big", "1", int, str

    def predict(self, x):
        return "x" * x


@pytest.fixture
def host(mlq):
    """Hosts models in this process."""

    def begin(*models, **options):
        for one in models:
            mlq.add_model(one, **options)
        mlq.create_listener(concurrency=4)
        waited = threading.Event()
        while len(mlq.models()) < len(models) or any(one.unserved for one in mlq.models()):
            waited.wait(0.01)

    return begin


def tensor(name, data, datatype="FP64", shape=None):
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data}


def flowers(*petals, **others):
    return {"inputs": [tensor("sepal", [1.0] * len(petals)), tensor("petal", list(petals))], **others}


def outputs(answer):
    return {one["name"]: (one["datatype"], one["shape"], one["data"]) for one in answer.json["outputs"]}


def refusal(answer):
    assert answer.content_type == "application/json"
    assert list(answer.json) == ["error"]
    return answer.status_code, answer.json["error"]


# --- server and models


def test_the_server_tells_about_itself(client):
    assert client.get("/v2").json == {"name": "mlq", "version": __version__, "extensions": []}
    assert client.get("/v2/health/live").json == {"live": True}


def test_the_server_is_ready_when_a_worker_is_alive(client, host):
    assert refusal(client.get("/v2/health/ready"))[0] == 400
    host(Iris)
    answer = client.get("/v2/health/ready")
    assert (answer.status_code, answer.json) == (200, {"ready": True})


def test_health_without_a_server():
    with server.scratch(appendfsync=None, port=0) as running:
        url = running.url
    with MLQ("nobody", url=url) as away:
        asked = make_app(away).test_client()
        assert asked.get("/v2/health/live").status_code == 200
        assert refusal(asked.get("/v2/health/ready")) == (400, "the server does not respond")
        assert refusal(asked.post(INFER, json=flowers(1)))[0] == 503


def test_a_model_tells_its_tensors(client, host):
    host(Iris, Newer, Plain)
    wanted = {
        "name": "iris",
        "versions": ["2", "1"],
        "platform": "mlq",
        "inputs": [
            {"name": "sepal", "datatype": "FP64", "shape": [-1]},
            {"name": "petal", "datatype": "FP64", "shape": [-1]},
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [
            {"name": "species", "datatype": "BYTES", "shape": [-1]},
            {"name": "score", "datatype": "FP64", "shape": [-1]},
            {"name": "pair", "datatype": "FP64", "shape": [-1, -1]},
        ],
    }
    assert client.get("/v2/models/iris").json == wanted
    assert client.get("/v2/models/iris/versions/1").json == wanted | {"versions": ["1", "2"]}
    plain = client.get("/v2/models/plain").json
    assert plain["inputs"] == [{"name": "input", "datatype": "INT64", "shape": [-1, -1, -1]}]
    assert plain["outputs"] == [{"name": "output", "datatype": "INT64", "shape": [-1]}]


@pytest.mark.parametrize("path", ["", "/ready", "/versions/3", "/versions/3/ready"])
def test_an_unknown_model_or_version(client, host, path):
    host(Iris)
    model = "iris" if "versions" in path else "irsi"
    assert refusal(client.get(f"/v2/models/{model}{path}"))[0] == 404
    if not path.endswith("ready"):
        assert refusal(client.post(f"/v2/models/{model}{path}/infer", json=flowers(1)))[0] == 404


def test_a_model_is_ready_when_a_worker_hosts_it(mlq, client, host):
    host(Iris)
    assert client.get("/v2/models/iris/ready").json == {"name": "iris", "ready": True}
    assert client.get("/v2/models/iris/versions/1/ready").status_code == 200
    mlq.shutdown(grace=0)
    status, reason = refusal(client.get("/v2/models/iris/ready"))
    assert status == 400
    assert "no worker is running" in reason


def test_a_model_that_cannot_be_loaded_is_not_ready(mlq, client, host):
    host(Broken)
    sent = {"inputs": [tensor("input", [1], "INT64")]}
    status, reason = refusal(client.post("/v2/models/broken/infer", json=sent))
    assert status == 503
    assert "row 0" in reason
    assert "no weights" in reason
    waited = threading.Event()
    while mlq.models()[0].state != "broken":
        waited.wait(0.01)
    status, reason = refusal(client.get("/v2/models/broken/ready"))
    assert status == 400
    assert "no weights" in reason


def test_a_model_without_tensors(client, host):
    host(Boxed)
    for answer in (client.get("/v2/models/boxed"), client.post("/v2/models/boxed/infer", json=flowers(1))):
        status, reason = refusal(answer)
        assert status == 400
        assert reason.startswith("model boxed can't be used with tensors: the field 'it' of the input is an object")
        assert reason.endswith("; use /models/boxed/predict")
    assert client.get("/v2/models/boxed/ready").status_code == 200


# --- inference


def test_rows_are_answered_in_order(mlq, client, host):
    host(Iris)
    answer = client.post(INFER, json=flowers(1.5, 3, 1, id="42"))
    assert answer.status_code == 200
    assert {name: one for name, one in answer.json.items() if name != "outputs"} == {
        "model_name": "iris",
        "model_version": "1",
        "id": "42",
    }
    assert outputs(answer) == {
        "species": ("BYTES", [3], ["setosa", "other", "setosa"]),
        "score": ("FP64", [3], [1.5, 3.0, 1.0]),
        "pair": ("FP64", [3, 2], [1.0] * 6),
    }
    assert len(mlq.list_jobs()[0]) == 3
    assert mlq.get_job("1")["functions"] == ["iris@1"]


def test_lone_surrogates_come_back_as_they_were_sent(client, host):
    """JSON can hold them, and UTF-8 can't."""
    host(Iris)
    answer = client.post(INFER, data=json.dumps(flowers(1.5, id="\ud800")), content_type="application/json")
    assert (answer.status_code, answer.json["id"]) == (200, "\ud800")
    wrong = {"inputs": [tensor("sepal", [1.0], "\ud800"), tensor("\udfff", [1.0])]}
    answer = client.post(INFER, data=json.dumps(wrong), content_type="application/json")
    assert answer.status_code == 400
    assert r"\ud800" in answer.json["error"]


def test_many_rows_are_batched_and_stay_in_order(client, host):
    host(Iris)
    petals = [1 + i / 1000 for i in range(1500)]
    answer = client.post(INFER, json=flowers(*petals))
    assert outputs(answer)["score"] == ("FP64", [1500], petals)


def test_a_version_is_asked_by_its_path(client, host):
    host(Iris, Newer)
    for path, version in (("", "2"), ("/versions/1", "1")):
        answer = client.post(f"/v2/models/iris{path}/infer", json=flowers(1))
        assert answer.json["model_version"] == version
        assert "id" not in answer.json


def test_only_the_outputs_that_are_wanted(client, host):
    host(Iris)
    asked = [{"name": "score", "parameters": {"binary_data": True}}, {"name": "species"}]
    answer = client.post(INFER, json=flowers(1, outputs=asked, parameters={"binary_data_output": True}))
    assert list(outputs(answer)) == ["score", "species"]
    assert refusal(client.post(INFER, json=flowers(1, outputs=[{"name": "scores"}])))[0] == 400


def test_arrays_have_further_dimensions(client, host):
    host(Plain)
    for data in ([1, 2, 3, 4, 5, 6, 7, 8], [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]):
        sent = {"inputs": [tensor("input", data, "UINT8", [2, 2, 2])]}
        assert outputs(client.post("/v2/models/plain/infer", json=sent)) == {"output": ("INT64", [2], [10, 26])}


def test_optional_tensors_and_other_layouts(client, host):
    host(Iris)
    sent = [
        tensor("petal", [[1], [3]], "INT32", [2, 1]),
        tensor("sepal", [1, 1], "FP32"),
        tensor("label", ["a", "ß"], "BYTES"),
    ]
    assert outputs(client.post(INFER, json={"inputs": sent}))["species"][2] == ["setosa", "other"]


def test_clients_need_not_name_the_content_type(client, host):
    host(Iris)
    body = json.dumps(flowers(1)).encode()
    for kind in (None, "application/json", "application/vnd.api+json", "application/octet-stream"):
        assert client.post(INFER, data=body, content_type=kind).status_code == 200
    for kind in ("application/x-www-form-urlencoded", "text/plain; charset=utf-8", "multipart/form-data"):
        assert refusal(client.post(INFER, data=body, content_type=kind))[0] == 415


# --- what is refused, without a post


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([], "the body is not as it should be"),
        ({"inputs": []}, "the body is not as it should be"),
        ({"inputs": [{"name": "sepal", "shape": [1], "datatype": "FP64"}]}, "`data`"),
        ({"inputs": [tensor("sepal", [1], shape=[-1])]}, "the body is not as it should be"),
        ({"inputs": [tensor("sepal", [1])]}, "the input 'petal' is missing"),
        (flowers(1, "x"), "input 'petal': 'x' is not of datatype FP64"),
        ({"inputs": [tensor("sepal", [1, 2], shape=[3])]}, "input 'sepal': shape [3] has 3 values, and data 2"),
        ({"inputs": [tensor("sepal", [True], "BOOL")]}, "input 'sepal': its datatype must be"),
        (flowers(*[1] * 10_001), "there may be 1 to 10,000 rows, not 10,001"),
        ({"inputs": [tensor("sepal", [1, -1]), tensor("petal", [1, 1])]}, "row 1: the input of iris does not fit"),
    ],
)  # fmt: skip
def test_wrong_tensors_are_refused_before_a_post(mlq, client, host, sent, reason):
    host(Iris)
    status, told = refusal(client.post(INFER, json=sent))
    assert status == 400
    assert reason in told
    assert mlq.list_jobs()[0] == []


def test_numbers_beyond_all_floats(mlq, client, host):
    host(Iris)
    for data in (b"[1e400]", b"[1" + b"0" * 400 + b"]", b"[NaN]"):
        body = json.dumps(flowers(1)).encode().replace(b"[1.0]", data)
        assert refusal(client.post(INFER, data=body, content_type="application/json"))[0] == 400
    assert mlq.list_jobs()[0] == []


def test_what_is_no_json_or_too_large(client, host):
    host(Iris)
    assert refusal(client.post(INFER, data=b"{", content_type="application/json"))[0] == 400
    assert refusal(client.post(INFER, data=b"[" * 100_000, content_type="application/json"))[0] == 400
    assert refusal(client.post(INFER, data=b"[" + b"1," * 600_000, content_type="application/json"))[0] == 413


def test_the_binary_extension_is_not_spoken(client, host):
    host(Iris)
    answer = client.post(INFER, data=b"{}12345678", headers={"Inference-Header-Content-Length": "2"})
    status, reason = refusal(answer)
    assert status == 400
    assert "binary extension" in reason


# --- rows that fail


def test_a_row_that_fails_fails_the_request(client, host):
    host(Iris)
    status, reason = refusal(client.post(INFER, json=flowers(1, 0, 2)))
    assert status == 500
    assert reason == "row 1: job 2 failed: ZeroDivisionError: nothing"


def test_an_input_that_only_the_model_can_refuse(client, host):
    host(Iris)
    status, reason = refusal(client.post(INFER, json=flowers(1, 13)))
    assert status == 400
    assert reason.startswith("row 1: job 2 failed: ValidationError")
    assert "unlucky" in reason


def test_outputs_of_different_shapes_are_refused(client, host):
    host(Iris)
    sent = flowers(1, 1)
    sent["inputs"].append(tensor("label", ["", "longer"], "BYTES"))
    assert refusal(client.post(INFER, json=sent))[0] == 400
    assert client.post(INFER, json=sent | {"outputs": [{"name": "score"}]}).status_code == 200


def test_large_outputs(client, host, monkeypatch):
    host(Big)
    sent = {"inputs": [tensor("input", [100_000, 3], "INT64")]}
    answer = client.post("/v2/models/big/infer", json=sent)
    assert outputs(answer)["output"][2] == ["x" * 100_000, "xxx"]
    monkeypatch.setattr(inference, "MOST_OUTPUT", 1000)
    status, reason = refusal(client.post("/v2/models/big/infer", json=sent))
    assert status == 413
    assert "/models/big/result/ID; the jobs are 3-4" in reason


def test_who_waits_too_long_is_told_the_jobs(mlq, client, host):
    Stuck.go.clear()
    host(Stuck)
    sent = {"inputs": [tensor("input", [1, 2], "INT64")]}
    for more, headers in (({"parameters": {"timeout": 1000}}, {}), ({}, {"Prefer": "wait=0"})):
        status, reason = refusal(client.post("/v2/models/stuck/infer", json=sent | more, headers=headers))
        assert status == 504
        assert reason.startswith("not all rows were ready within 0")
    assert "the jobs are 3-4, their outputs at /models/stuck/result/ID" in reason
    Stuck.go.set()
    assert mlq.wait_many(["1", "2", "3", "4"], 20) == [1, 2, 1, 2]
    assert client.get("/models/stuck/result/4").json == 2


def test_who_waits_in_vain_is_told_why(mlq, client, host):
    host(Plain)
    mlq.shutdown(grace=0)
    sent = {"inputs": [tensor("input", [1], "INT64", [1, 1, 1])]}
    status, reason = refusal(client.post("/v2/models/plain/infer", json=sent, headers={"Prefer": "wait=0"}))
    assert status == 504
    assert f"within 0 s: no worker is running in namespace {mlq.namespace!r}; the jobs are 1, " in reason


def test_a_job_that_is_cancelled_or_deleted_meanwhile(mlq, client, host):
    """The request ends at once."""
    Stuck.go.clear()
    host(Stuck, timeout=20)
    sent = {"inputs": [tensor("input", [1], "INT64")]}
    waited = threading.Event()
    for number, change in ((1, MLQ.cancel), (2, lambda queue, job: (queue.cancel(job), queue.delete(job)))):
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.post, "/v2/models/stuck/infer", json=sent)
            while mlq.last_id() < number:
                waited.wait(0.01)
            change(mlq, str(number))
            status, reason = refusal(asked.result(60))
        assert status in (500, 503)
        assert str(number) in reason
    Stuck.go.set()


def test_those_who_wait_are_limited(mlq, client, host, monkeypatch):
    """A request with many rows counts for several; nothing is posted if there is no room."""
    host(Iris)
    monkeypatch.setattr(waiting, "WAITERS", 4)
    assert client.post(INFER, json=flowers(*[1] * 500)).status_code == 200
    before = mlq.last_id()
    status, reason = refusal(client.post(INFER, json=flowers(*[1] * 1000)))
    assert status == 503
    assert "ask again" in reason
    assert mlq.last_id() == before
    assert client.post(INFER, json=flowers(1)).status_code == 200  # all places are free again


def test_large_requests_leave_half_of_the_places_to_others(monkeypatch):
    monkeypatch.setattr(waiting, "WAITERS", 8)
    places = waiting.Waiting(None)
    with places.places(2), places.places(2):
        for number in (2, 3, 20):
            with pytest.raises(Refused, match="ask again"), places.places(number):
                pass
        with places.places(1), places.places(1), places.places(1), places.places(1):
            assert not places.has_room()
            with pytest.raises(Refused, match="ask again"), places.places(1):
                pass
        with places.places(1):
            pass
    with places.places(4):
        pass
    with pytest.raises(Refused), places.places(5):
        pass


def test_any_whole_number_is_a_time(client, host):
    host(Iris)
    for timeout in (10**400, 10**12, 1_000_000):
        assert client.post(INFER, json=flowers(1, parameters={"timeout": timeout})).status_code == 200
    assert inference._seconds({"timeout": 10**400}) == inference._seconds({"timeout": 10**9}) == 60
    assert inference._seconds({"timeout": 1_500_000}) == 1.5


@pytest.mark.parametrize("rows", [1, 600])
def test_who_has_hung_up_keeps_no_place(mlq, client, host, monkeypatch, rows):
    """The wait ends, although the rows have not."""
    monkeypatch.setattr(waiting, "WAITERS", 4)
    host(Iris)
    mlq.shutdown(grace=0)
    asked = flowers(*[1] * rows, parameters={"timeout": 60_000_000})
    for number in range(1, 4):
        is_open = lambda number=number: mlq.last_id() < number * rows  # noqa: E731
        given = client.post(INFER, json=asked, environ_overrides={CONNECTED: is_open})
        assert refusal(given) == (503, "the client has closed the connection")
        assert mlq.last_id() == number * rows


def test_ids_are_told_in_ranges():
    assert inference._ranges([7, 8, 9, 12, 14, 15]) == "7-9, 12, 14-15"


# --- the form of refusals, and roles


def test_every_refusal_has_the_form_of_the_protocol(mlq, client):
    assert refusal(client.get("/v2/nothing"))[0] == 404
    assert refusal(client.delete("/v2"))[0] == 405
    assert refusal(client.get("/v2", headers={"Host": "evil.example"}))[0] == 403
    assert client.get("/v2x", headers={"Accept": "application/json"}).content_type == "application/problem+json"
    below = make_app(mlq, Settings(prefix="/mlq")).test_client()
    assert refusal(below.get("/mlq/v2/nothing"))[0] == 404


def test_tokens(mlq):
    asked = make_app(mlq, Settings(((b"r" * 16, Role.READ), (b"p" * 16, Role.POST)))).test_client()
    read, post = ({"Authorization": f"Bearer {letter * 16}"} for letter in "rp")
    for path in ("/v2", "/v2/health/live"):
        assert asked.get(path).status_code == 200
    assert refusal(asked.get("/v2/health/ready"))[0] == 400
    for path in ("/v2/models/iris", "/v2/models/iris/ready"):
        assert [refusal(asked.get(path, headers=one))[0] for one in ({}, read)] == [401, 404]
    given = [refusal(asked.post(INFER, json=flowers(1), headers=one))[0] for one in ({}, read, post)]
    assert given == [401, 403, 404]
