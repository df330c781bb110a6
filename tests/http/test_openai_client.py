"""The public Python client of OpenAI uses files and batches of the service, told nothing but its address."""

import json

import pytest

from mlq.http.routes import Role
from tests.http.openai_files import lines
from tests.http.test_batches import worker  # noqa: F401 - a fixture
from tests.programs import until

openai = pytest.importorskip("openai")

KEY = "p" * 16


@pytest.fixture
def client(serve, tmp_path):
    serving = serve(files=str(tmp_path), tokens=((KEY.encode(), Role.POST),))
    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key=KEY, max_retries=0) as made:
        yield made


def test_a_batch_from_its_file_to_its_answers(client, worker, tmp_path):  # noqa: F811
    path = tmp_path / "requests.jsonl"
    path.write_bytes(lines("iris", [{"length": 1, "width": 2}, {"length": 13, "width": 2}, {"length": 3, "width": 1}]))
    file = client.files.create(file=path, purpose="batch")
    assert (file.filename, file.bytes, file.status) == ("requests.jsonl", path.stat().st_size, "processed")
    assert client.files.retrieve(file.id) == file
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/models/iris/predict", completion_window="24h", metadata={"of": "me"}
    )
    assert (batch.status, batch.metadata) == ("validating", {"of": "me"})
    done = until(lambda: (found := client.batches.retrieve(batch.id)).status == "completed" and found)
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 2, 1)
    answers = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    assert [one["response"]["body"] for one in answers] == [{"species": "short"}, {"species": "long on cpu"}]
    wrong = json.loads(client.files.content(done.error_file_id).text)
    assert (wrong["custom_id"], wrong["response"]["status_code"]) == ("r1", 500)
    assert [one.id for one in client.batches.list()] == [batch.id]
    assert {one.id for one in client.files.list()} == {file.id, done.output_file_id, done.error_file_id}
    assert client.files.list(purpose="batch", limit=1).data == [file]
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)
    assert client.files.delete(file.id).deleted


def test_what_is_refused_is_its_own_error(client, worker, tmp_path):  # noqa: F811
    with pytest.raises(openai.NotFoundError, match="no file"):
        client.files.retrieve("file-x")
    with pytest.raises(openai.BadRequestError, match="purpose"):
        client.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune")
    file = client.files.create(file=("a.jsonl", b"no json"), purpose="batch")
    with pytest.raises(openai.BadRequestError, match="hosted a model 'nobody'") as refused:
        client.batches.create(input_file_id=file.id, endpoint="/models/nobody/predict", completion_window="24h")
    assert (refused.value.param, refused.value.type) == ("endpoint", "invalid_request_error")
    batch = client.batches.create(input_file_id=file.id, endpoint="/models/iris/predict", completion_window="24h")
    failed = until(lambda: (found := client.batches.retrieve(batch.id)).status == "failed" and found)
    assert (failed.errors.data[0].code, failed.errors.data[0].line) == ("invalid_json_line", 1)
    with pytest.raises(openai.AuthenticationError), client.with_options(api_key="unknown" * 4) as other:
        other.batches.list()


def test_a_batch_is_cancelled(client, worker):  # noqa: F811
    expiry = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=("a.jsonl", lines("iris", [{"length": 1, "width": 1}] * 5)), purpose="batch",
                               expires_after=expiry)  # fmt: skip
    assert file.expires_at - file.created_at == 3600
    batch = client.batches.create(input_file_id=file.id, endpoint="/models/iris/predict", completion_window="24h",
                                  output_expires_after=expiry)  # fmt: skip
    try:
        assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    except openai.ConflictError:  # it was faster
        return
    until(lambda: client.batches.retrieve(batch.id).status == "cancelled")
