"""Models over HTTP: listed, described, predicted with, and shown in the OpenAPI document."""

import pytest
from openapi_spec_validator import validate

from mlq import MLQ, JobFailed
from mlq.http.app import make_app
from mlq.http.model_documents import _moved
from mlq.http.peer import CONNECTED
from mlq.http.routes import Role
from mlq.http.settings import Settings
from mlq.ops.models import describe
from tests.models.zoo import Broken, Iris, NewerIris, Number, Words
from tests.programs import until

GOOD = {"length": 1, "width": 2}
WAIT = {"Prefer": "wait=20"}


@pytest.fixture
def zoo(mlq):
    """A queue whose worker hosts models, which it has described."""
    for kind in (Iris, NewerIris, Number, Words, Broken):
        mlq.add_model(kind)
    mlq.create_listener(concurrency=4)
    mlq.model("number").predict(1, 20)
    return mlq


def post(client, path, value, **headers):
    return client.post(path, json=value, headers=headers)


def test_a_prediction_is_posted_and_its_output_comes(zoo, client):
    given = post(client, "/models/iris/versions/1/predict", GOOD)
    told = given.json
    assert (given.status_code, given.headers["Retry-After"]) == (202, "1")
    assert (told["id"], told["state"]) == (told["task_id"], "queued")
    assert given.headers["Location"] == told["links"]["result"]
    zoo.wait(told["id"], 20)
    given = client.get(told["links"]["result"])
    assert (given.status_code, given.content_type, given.json) == (200, "application/json", {"species": "short"})
    assert client.get(told["links"]["self"], headers={"Accept": "application/json"}).json["queue"] == "iris"


def test_an_output_that_is_not_there_yet_is_202(mlq, client):
    mlq.add_model(Iris)
    mlq._shell.run_many(mlq_describes(mlq))
    told = post(client, "/models/iris/predict", GOOD).json
    given = client.get(told["links"]["result"])
    assert (given.status_code, given.json["state"], given.headers["Retry-After"]) == (202, "queued", "1")
    assert "no worker is running" in told["warning"]


def mlq_describes(mlq):
    """The ops by which a worker would describe the models of this queue."""

    return [op for one in mlq.listeners.all() for op in describe(mlq._keys, one.about)]


@pytest.mark.parametrize(
    ("path", "output"),
    [("/models/iris", "newer"), ("/models/iris/versions/1", "short"), ("/models/iris/versions/1.10", "newer")],
)
def test_whoever_waits_gets_the_output(zoo, client, path, output):
    given = post(client, f"{path}/predict", GOOD, **WAIT)
    assert (given.status_code, given.json) == (200, {"species": output})
    assert given.headers["Preference-Applied"] == "wait=20"


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        ('{"length": "x", "width": true}', 422, ["#/length", "#/width"]),
        ('{"length": 1}', 422, ["#/width"]),
        ('{"length": 1e400, "width": 1}', 422, ["#/length"]),
        ("[]", 422, ["#"]),
        ("null", 422, ["#"]),
        ('{"length": NaN, "width": 1}', 400, None),
        ('{"length": Infinity, "width": 1}', 400, None),
        ("{", 400, None),
        ("[" * 10_000 + "]" * 10_000, 400, None),
        ('{"length": 1, "width": ' + "[" * 900 + "]" * 900 + "}", 422, ["#"]),
        ('{"length": 1, "width": "' + "x" * 10_000_000 + '"}', 422, ["#/width"]),
    ],
    ids=range(11),
)
def test_wrong_inputs_are_refused_and_nothing_is_queued(zoo, client, body, status, pointers):
    before = zoo.last_id()
    given = client.post("/models/iris/predict", data=body, content_type="application/json")
    assert (given.status_code, given.content_type) == (status, "application/problem+json")
    assert len(given.data) < 2000
    assert pointers is None or sorted(one["pointer"] for one in given.json["errors"]) == pointers
    assert zoo.last_id() == before


def test_an_int_is_a_float(zoo, client):
    assert post(client, "/models/iris/versions/1/predict", {"length": 1, "width": 1}, **WAIT).status_code == 200


def test_what_the_model_alone_can_refuse_looks_the_same(zoo, client):
    given = post(client, "/models/iris/predict", {"length": 1, "width": 7}, **WAIT)
    assert (given.status_code, given.headers["MLQ-Job-State"]) == (422, "failed")
    assert [one["pointer"] for one in given.json["errors"]] == ["#/width"]


def test_a_failed_prediction_is_a_final_answer_with_type_and_message(zoo, client):
    waited = post(client, "/models/number/predict", -3, **WAIT)
    for given in (waited, client.get(f"/models/number/result/{zoo.last_id()}")):
        told = given.json
        assert (given.status_code, told["error_type"]) == (409, "mlq.errors.WrongOutput")
        assert "no number" in told["error"]
    broken = post(client, "/models/broken/predict", 1, **WAIT)
    assert (broken.status_code, broken.json["error_type"]) == (409, "mlq.errors.NotLoaded")


def test_what_is_not_there(zoo, client):
    job = zoo.model("number").submit(1)
    job.result(60)
    for path in ("/models/irs", "/models/iris/versions/3", "/models/iris/result/999", f"/models/iris/result/{job.id}",
                 f"/models/number/versions/2/result/{job.id}", "/models/number/result/x"):  # fmt: skip
        given = client.get(path)
        assert (given.status_code, given.content_type) == (404, "application/problem+json"), path
    assert post(client, "/models/irs/predict", GOOD).status_code == 404
    assert post(client, "/models/iris/versions/3/predict", GOOD).status_code == 404
    assert "did you mean 'iris'" in post(client, "/models/irs/predict", GOOD).json["detail"]
    assert client.get(f"/models/number/versions/1/result/{job.id}").json == 2


@pytest.mark.parametrize("functions", [None, ["iris"], ["iris@1", "double"], ["iris@"], ["double"]])
def test_other_jobs_have_no_output_of_a_model(mlq, client, functions):
    """Only a job of exactly that function is a prediction."""
    job = mlq.post(GOOD, functions=functions)
    paths = ("iris", "iris@1,double", "iris/versions/1", "iris/versions/1%2Cdouble", "double", "")
    for path in (f"/models/{path}/result/{job}" for path in paths):
        assert client.get(path).status_code == 404, path
    other = mlq.post(GOOD, functions=["iris@1"])
    assert client.get(f"/models/iris/versions/1/result/{other}").status_code == 202


def test_other_content_types_and_options(zoo, client):
    assert client.post("/models/iris/predict", data="{}").status_code == 415
    for option in ("queue", "functions", "msg"):
        given = post(client, f"/models/iris/predict?{option}=x", GOOD)
        assert (given.status_code, f"no option '{option}'" in given.json["detail"]) == (422, True)
    assert post(client, "/models/iris/predict?nonsense=1", GOOD).status_code == 422
    told = post(client, "/models/iris/predict?ttl=1000&timeout=9", GOOD).json
    assert zoo.get_job(told["id"])["timeout"] == 9


def test_a_prediction_has_no_more_time_than_its_model(mlq, client):
    """Else a valid one could keep a worker for ever."""
    mlq.add_model(Iris, timeout=50)
    mlq.add_model(NewerIris)
    mlq.add_model(Number, timeout=None)
    mlq._shell.run_many(mlq_describes(mlq))
    for version, longest in (("1", 50), ("1.10", 600)):
        path = f"/models/iris/versions/{version}/predict?timeout="
        assert post(client, f"{path}{longest}", GOOD).status_code == 202
        for timeout in (longest + 0.1, 1e9):
            given = post(client, f"{path}{timeout}", GOOD)
            assert (given.status_code, f"may take {longest} s" in given.json["detail"]) == (422, True)
    assert mlq.job_count() == 2
    assert post(client, "/models/number/predict?timeout=100000&retries=10", 1).status_code == 202
    assert post(client, "/models/number/predict?retries=11", 1).status_code == 422


@pytest.mark.parametrize(
    ("path", "body"), [("/models/iris/predict", GOOD), ("/jobs", {"msg": 1, "functions": ["nobody"]})]
)
def test_who_has_hung_up_does_not_wait(mlq, client, path, body):
    mlq.add_model(Iris)
    mlq._shell.run_many(mlq_describes(mlq))
    is_open = {CONNECTED: lambda: not mlq.job_count()}
    given = client.post(path, json=body, headers={"Prefer": "wait=60"}, environ_overrides=is_open)
    assert (given.status_code, "has closed the connection" in given.text) == (503, True)
    assert mlq.job_count() == 1


def test_the_same_key_posts_one_prediction(zoo, client):
    ids = {post(client, "/models/number/predict", 5, **{"Idempotency-Key": "k"}).json["id"] for _ in range(3)}
    assert len(ids) == 1
    assert post(client, "/models/number/predict", 6, **{"Idempotency-Key": "k"}).status_code == 422


def test_models_are_listed_with_state_and_figures(zoo, client):
    zoo.model("iris", "1").predict(GOOD, 20)
    with pytest.raises(JobFailed):
        zoo.model("broken").predict(1, 20)
    until(lambda: client.get("/models/broken").json["state"] == "broken")  # with the worker's next heartbeat
    listed = {one["name"]: one for one in client.get("/models").json["models"]}
    assert set(listed) == {"iris", "number", "words", "broken"}
    newest, oldest = listed["iris"]["versions"]
    assert (newest["version"], newest["state"], oldest["version"], oldest["state"]) == ("1.10", "cold", "1", "ready")
    assert oldest["processes"][0]["state"] == "ready"
    assert oldest["input"]["required"] == ["length", "width"]
    assert "weights.bin" in listed["broken"]["versions"][0]["why"]
    assert client.get("/models/iris").json == listed["iris"] | {"figures": client.get("/models/iris").json["figures"]}
    assert listed["number"]["figures"]["succeeded"] >= 1
    assert len(client.get("/models/iris/versions/1").json["versions"]) == 1


def test_streams_are_followed_as_those_of_every_job(zoo, client):
    told = post(client, "/models/words/predict", "a b").json
    zoo.wait(told["id"], 20)
    events = client.get(told["links"]["events"]).text
    assert [f'"data": "{word}"' in events for word in "ab"] == [True, True]


def test_the_document_has_the_models_with_their_schemas_and_examples(zoo, client):
    document = client.get("/openapi.json").json
    validate(document)
    for path in ("/models/iris/predict", "/models/iris/versions/1/predict", "/models/number/predict"):
        assert path in document["paths"]
    content = document["paths"]["/models/iris/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert content == {
        "schema": {"$ref": "#/components/schemas/iris.1.10.Input"},
        "example": {"length": 5, "width": 2.5},
    }
    assert "/models/iris/predict" in client.get("/docs").text


def test_strangers_are_shown_no_models(zoo):
    client = make_app(zoo, Settings(tokens=((b"secret", Role.READ),))).test_client()
    assert "/models/iris/predict" not in client.get("/openapi.json").json["paths"]
    known = client.get("/openapi.json", headers={"Authorization": "Bearer secret"})
    assert "/models/iris/predict" in known.json["paths"]
    assert client.get("/models").status_code == 401
    assert client.post("/models/iris/predict", json=GOOD, headers={"Authorization": "Bearer secret"}).status_code == 403


def test_the_document_needs_no_server(namespace):

    client = make_app(MLQ(namespace, url="redis://127.0.0.1:1")).test_client()
    assert "/models/{name}/predict" in client.get("/openapi.json").json["paths"]


def test_references_are_right_at_their_new_place_and_values_are_left_alone():
    schema = {
        "$defs": {"Cat": {"const": "#/$defs/Cat"}},
        "properties": {"default": {"$ref": "#/$defs/Cat"}, "mapping": {"default": {"$ref": "#/kept"}}},
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/$defs/Cat"}},
        "oneOf": [{"$ref": "#/$defs/Cat"}],
    }
    there = "#/components/schemas/x/$defs/Cat"
    assert _moved(schema, "#/components/schemas/x") == {
        "$defs": {"Cat": {"const": "#/$defs/Cat"}},
        "properties": {"default": {"$ref": there}, "mapping": {"default": {"$ref": "#/kept"}}},
        "discriminator": {"propertyName": "kind", "mapping": {"cat": there}},
        "oneOf": [{"$ref": there}],
    }


def test_requests_are_spread_over_versions(zoo, client):
    until(lambda: sum(one.unserved is None for one in zoo.models()) == 5)
    zoo._lanes.remember_workers(zoo.workers())
    zoo.model("iris").set_traffic(default="1", shares={"1.10": 0.5})
    users = {user: post(client, f"/models/iris/predict?sticky={user}", GOOD).json["version"] for user in range(40)}
    assert set(users.values()) == {"1", "1.10"}
    assert users == {user: post(client, f"/models/iris/predict?sticky={user}", GOOD).json["version"] for user in users}
    for key in map(str, range(20)):
        first, again = (post(client, "/models/iris/predict", GOOD, **{"Idempotency-Key": key}).json for _ in range(2))
        assert (first["id"], first["version"]) == (again["id"], again["version"])
    assert post(client, "/models/iris/versions/1.10/predict?sticky=0", GOOD).json["version"] == "1.10"
    told = {one["version"]: (one["share"], one["default"]) for one in client.get("/models/iris").json["versions"]}
    assert told == {"1": (0.5, True), "1.10": (0.5, False)}
    given = post(client, "/models/iris/predict?sticky=", GOOD)
    assert (given.status_code, "sticky must be a text" in given.text) == (400, True)
    inputs = [{"name": name, "shape": [1], "datatype": "FP64", "data": [1.0]} for name in ("length", "width")]
    told = {
        post(client, f"/v2/models/iris/infer?sticky={user}", {"inputs": inputs}).json["model_version"]
        for user in (0, 0)
    }
    assert told == {users[0]}
