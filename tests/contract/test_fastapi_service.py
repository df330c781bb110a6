"""examples/fastapi_service, through FastAPI's test client, with a real worker."""

import time
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

import mlq as mlq_package
from examples.fastapi_service.service import app
from tests.programs import EXAMPLES, MLQ, cleared, running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


@pytest.fixture
def queue(server_url: str) -> Iterator[mlq_package.MLQ]:
    with cleared("irises", server_url) as queue:
        yield queue


@pytest.fixture
def client(server_url: str, queue: mlq_package.MLQ, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The program, as its lifespan begins and ends it."""
    monkeypatch.setenv("MLQ_URL", server_url)
    with TestClient(app) as client:
        yield client


@pytest.fixture
def worker(server_url: str, queue: mlq_package.MLQ) -> Iterator[None]:
    with running(server_url, MLQ, "worker", str(EXAMPLES / "fastapi_service" / "worker.py")):
        yield


def posted(client: TestClient, **changed: float) -> str:
    answer = client.post("/predictions", json=SETOSA | changed)
    assert answer.status_code == 202, answer.text
    return answer.json()["task_id"]


def ended(client: TestClient, task_id: str):
    """The answer once it is no longer 202."""

    def look():
        answer = client.get(f"/predictions/{task_id}")
        return answer if answer.status_code != 202 else None

    return until(look)


def test_a_task_id_at_once_then_202_then_the_prediction(client, request) -> None:
    """The worker comes only after the post, which nobody waits for."""
    begun = time.monotonic()
    answer = client.post("/predictions", json=SETOSA)
    assert time.monotonic() - begun < 5
    task_id = answer.json()["task_id"]
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/predictions/{task_id}")

    waiting = client.get(answer.headers["Location"])
    assert (waiting.status_code, waiting.json()) == (202, {"task_id": task_id, "state": "queued"})
    assert waiting.headers["Retry-After"] == "1"

    request.getfixturevalue("worker")
    result = ended(client, task_id)
    assert result.status_code == 200
    assert result.json()["species"] == "setosa"
    assert sum(result.json()["probabilities"].values()) == pytest.approx(1, abs=0.01)


def test_a_client_may_wait_for_the_prediction(client, request) -> None:
    """A worker's error is answered as it would be later; without a worker, the answer is the task's id."""
    answer = client.post("/predictions?wait=0.2", json=SETOSA)
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    request.getfixturevalue("worker")
    answer = client.post("/predictions?wait=20", json=SETOSA)
    assert (answer.status_code, answer.json()["species"]) == (200, "setosa")
    assert client.get(answer.headers["Location"]).json() == answer.json()
    refused = client.post("/predictions?wait=20", json=SETOSA | {"petal_width": 5})
    assert refused.status_code == ended(client, posted(client, petal_width=5)).status_code == 422


@pytest.mark.parametrize(
    "features",
    [{}, {**SETOSA, "petal_width": "wide"}, {**SETOSA, "petal_width": -1}, {**SETOSA, "colour": 1}, [SETOSA]],
    ids=["nothing", "no number", "negative", "unknown", "a list"],
)
def test_wrong_features_are_422_and_no_job(client, queue, features) -> None:
    answer = client.post("/predictions", json=features)
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert list(queue.jobs()) == []


def test_the_models_own_error_is_422_and_its_defects_are_500(client, queue, worker) -> None:
    answer = ended(client, posted(client, petal_length=0.1))
    assert (answer.status_code, answer.json()) == (422, {"detail": "petals of irises are longer than wide"})
    broken = ended(client, queue.post({"petals": 5}, functions=["classify"]))
    assert (broken.status_code, broken.json()) == (500, {"detail": "the prediction failed"})


def test_what_never_was_is_404_and_what_is_gone_410(client, queue) -> None:
    for path in ("/predictions/999999", "/predictions/999999/events"):
        assert client.get(path).status_code == 404
    cancelled, deleted = posted(client), posted(client)
    queue.cancel(cancelled)
    queue.delete(deleted)
    for task_id in (cancelled, deleted):
        assert client.get(f"/predictions/{task_id}").status_code == 410


def test_events_tell_the_states_to_the_end(client, worker) -> None:
    task_id = posted(client)
    with client.stream("GET", f"/predictions/{task_id}/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-2:] == ["event: end", 'data: {"state": "succeeded"}']
    assert client.get(f"/predictions/{task_id}").status_code == 200


def test_a_queue_that_is_away_is_503(monkeypatch) -> None:
    monkeypatch.setenv("MLQ_URL", "redis://127.0.0.1:1")
    with TestClient(app) as client:
        answer = client.post("/predictions", json=SETOSA)
    assert (answer.status_code, answer.json()["detail"]) == (503, "the queue does not answer; try again")
