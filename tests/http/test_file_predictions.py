"""Files that clients name over HTTP: predicted as one job where the operator allows it, and refused elsewhere."""

import pytest

from mlq import JobFailed
from mlq.errors import FolderHeld
from mlq.files import places
from mlq.files.prediction import Wanted, predict_file
from mlq.http.app import make_app
from mlq.http.routes import Role
from mlq.http.settings import Settings
from tests.models.zoo import Iris
from tests.programs import until

ROWS = "length,width,id\n1,2,a\n13,2,b\n3,x,c\n4,1,d\n"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "in.csv").write_text(ROWS)
    (tmp_path / "secret.csv").write_text(ROWS)
    return folder


@pytest.fixture
def client(mlq, data):
    return make_app(mlq, Settings(places=(str(data),))).test_client()


@pytest.fixture
def worker(mlq, data, monkeypatch):
    monkeypatch.setenv("MLQ_FILE_PLACES", str(data))
    mlq.add_model(Iris)
    mlq.create_listener()
    until(lambda: [one for one in mlq.models() if one.unserved is None])


def ended(client, answer):
    path = answer.json["links"]["result"]
    return until(lambda: (found := client.get(path)).status_code != 202 and found)


def test_a_file_is_predicted_where_it_is_allowed(client, worker, data):
    given = {"input": f"{data}/in.csv", "output": f"{data}/out.csv", "keep": ["id"]}
    answer = client.post("/models/iris/predict-file", json=given)
    assert (answer.status_code, answer.headers["Location"]) == (202, answer.json["links"]["self"])
    errors = f"{data}/out.errors.csv"
    assert ended(client, answer).json == {"rows": 4, "failed": 2, "output": f"{data}/out.csv", "errors": errors}
    assert (data / "out.csv").read_text() == "id,species\na,short\nd,long on cpu\n"
    assert [line.split(",")[0] for line in (data / "out.errors.csv").read_text().splitlines()] == ["line", "3", "4"]
    again = ended(client, client.post("/models/iris/predict-file", json=given))
    assert (again.status_code, "exists already" in again.text) == (409, True)


def test_the_same_post_is_one_job(client, worker, data, mlq):
    given = {"input": f"{data}/in.csv", "output": f"{data}/out.csv"}
    posts = [client.post("/models/iris/versions/1/predict-file", json=given, headers={"Idempotency-Key": "a"})
             for _ in range(2)]  # fmt: skip
    assert posts[0].json["id"] == posts[1].json["id"]
    assert ended(client, posts[0]).json["rows"] == 4


@pytest.mark.parametrize("field", ["input", "output", "errors"])
@pytest.mark.parametrize(
    "address",
    ["/etc/passwd", "{0}/../secret.csv", "{0}/link/secret.csv", "in.csv", "file://{0}/in.csv", "s3://a/b", "{0}"],
)
def test_files_elsewhere_are_refused(client, mlq, data, field, address):
    (data / "link").symlink_to(data.parent)
    given = {"input": f"{data}/in.csv", "output": f"{data}/out.csv"} | {field: address.format(data)}
    answer = client.post("/models/iris/predict-file", json=given)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (403, f"#/{field}")
    assert mlq.job_count() == 0


def test_a_worker_looks_again(mlq, worker, data):
    """Whatever a service allows, or a program posts."""
    (data / "link").symlink_to(data.parent)
    for address in (f"{data}/link/secret.csv", f"{data.parent}/secret.csv", "http://127.0.0.1/x.csv"):
        job = mlq.predict_file("iris", address, f"{data}/out.csv")
        with pytest.raises(JobFailed, match="MLQ_FILE_PLACES"):
            job.result(20)
    assert not (data / "out.csv").exists()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 422),
        ({"input": "{0}/in.csv"}, 422),
        ({"input": 1, "output": "{0}/out.csv"}, 422),
        ({"input": "", "output": "{0}/out.csv"}, 422),
        ({"input": "{0}/in.csv", "output": "{0}/out.csv", "keep": "id"}, 422),
        ({"input": "{0}/in.csv", "output": "{0}/out.csv", "fields": {"a": 1}}, 422),
        ({"input": "{0}/in.csv", "output": "{0}/out.csv", "functions": ["f"]}, 422),
        ({"input": "{0}/in.csv", "output": "{0}/out.csv", "webhook": "nowhere"}, 400),
        ({"input": "{0}/in.csv", "output": "{0}/out.csv"}, 404),
    ],
)
def test_bodies_that_are_no_file_prediction(client, mlq, data, given, status):
    whole = {name: value.format(data) if isinstance(value, str) else value for name, value in given.items()}
    model = "nobody" if status == 404 else "iris"
    if status != 404:
        mlq.add_model(Iris)
    assert client.post(f"/models/{model}/predict-file", json=whole).status_code == status
    assert mlq.job_count() == 0


def test_a_service_that_allows_no_files(mlq, data):
    given = {"input": f"{data}/in.csv", "output": f"{data}/out.csv"}
    answer = make_app(mlq).test_client().post("/models/iris/predict-file", json=given)
    assert (answer.status_code, "MLQ_FILE_PLACES" in answer.json["detail"]) == (403, True)


def test_reading_is_not_enough(mlq, data):
    settings = Settings(((b"r" * 16, Role.READ),), places=(str(data),))
    answer = (
        make_app(mlq, settings)
        .test_client()
        .post("/models/iris/predict-file", json={}, headers={"X-API-Key": "r" * 16})
    )
    assert answer.status_code == 403


@pytest.fixture
def doubling(mlq, data, monkeypatch, gate):
    """A worker with a listener, which waits at the gate with one row."""
    monkeypatch.setenv("MLQ_FILE_PLACES", str(data))
    (data / "numbers.csv").write_text("x\n" + "".join(f"{x}\n" for x in range(100)))

    def double(row):
        if row["x"] == "50":
            gate.wait(60)
        return {"twice": 2 * int(row["x"])}

    mlq.create_listener(double)
    until(mlq.workers)
    return Wanted("double", f"{data}/numbers.csv", f"{data}/twice.csv")


TWICE = "twice\n" + "".join(f"{2 * x}\n" for x in range(100))


def test_an_attempt_finds_what_an_earlier_one_has_finished(mlq, doubling, data, gate):
    """As if that had died between the last thing that it did and saying so."""
    job = mlq.predict_file("double", doubling.input, doubling.output)
    until(lambda: isinstance(job.progress(), dict) and job.progress()["rows"])
    job.cancel()
    gate.set()
    folder = places.folder_for(doubling.output)
    until(lambda: _is_free(folder))
    assert predict_file(mlq, doubling).is_whole
    job.requeue()
    assert job.result(30)["output"] == doubling.output
    assert (data / "twice.csv").read_text() == TWICE
    other = mlq.predict_file("double", doubling.input, doubling.output)
    with pytest.raises(JobFailed, match="exists already"):  # what is there is not its own
        other.result(30)
    other.requeue()
    with pytest.raises(JobFailed, match="exists already"):
        other.result(30)


def _is_free(folder):
    try:
        folder.hold()
    except FolderHeld:
        return False
    folder.release()
    return True


def test_an_attempt_waits_for_one_that_still_holds_the_folder(mlq, doubling, data, gate):
    gate.set()
    folder = places.folder_for(doubling.output)
    folder.hold()
    job = mlq.predict_file("double", doubling.input, doubling.output)
    until(lambda: job.state() == "running")
    folder.release()
    assert job.result(30)["rows"] == 100
    assert (data / "twice.csv").read_text() == TWICE


def test_no_chunk_of_a_job_that_was_cancelled_is_left(mlq, doubling, data, gate):
    """It would take a slot from others, and what it gives would be kept for a day."""
    (data / "numbers.csv").write_text("x\n" + "".join(f"{x}\n" for x in [*range(40), 50, *range(5000)]))
    job = mlq.predict_file("double", doubling.input, doubling.output)
    until(lambda: [one for one in mlq.jobs() if one.lane == "#rows:double"])
    until(lambda: isinstance(job.progress(), dict) and job.progress()["rows"] == 32)
    job.cancel()
    until(lambda: not [one for one in mlq.jobs() if one.lane == "#rows:double"])
    assert job.state() == "cancelled"
