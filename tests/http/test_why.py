"""The route that says why a job does not run."""

import pytest

from mlq.http import reasons
from mlq.http.turns import Places


def test_as_in_python(client, mlq):
    first = mlq.submit(1)
    second = mlq.submit(2, after=[first])
    for job in (first, second):
        told = client.get(f"/jobs/{job.reference}/why")
        assert (told.status_code, told.json) == (200, mlq.why(job.id).data())
        assert told.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("job_id", "status"), [("7", 404), ("seven", 404), ("1", 410)])
def test_no_such_job(client, mlq, job_id, status):
    mlq.submit(1).delete()
    assert client.get(f"/jobs/{job_id}/why").status_code == status


def test_only_few_at_a_time(client, mlq, monkeypatch):
    """One that comes after a thousand others takes the server some ms."""
    job = mlq.submit(1)
    monkeypatch.setattr(reasons, "_asking", Places(1, most_waiting=0))
    assert client.get(f"/jobs/{job.id}/why").status_code == 503


def test_the_document_has_it(client):
    document = client.get("/openapi.json").json
    reply = document["paths"]["/jobs/{job_id}/why"]["get"]["responses"]["200"]
    assert reply["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Reason"}
    assert document["components"]["schemas"]["Reason"]["required"] == ["reason", "text"]
