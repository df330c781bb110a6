"""Links after a loss of the server's data: they never lead to another job that has the id now."""

import subprocess
import sys

import pytest

JSON = {"Accept": "application/json"}
STRANGER = "import sys; from mlq import MLQ; print(MLQ(sys.argv[2], url=sys.argv[1]).post('secret'))"


@pytest.fixture
def lost(mlq, client, raw, keys, server_url):
    """What a post answered whose job was lost; its id is that of a stranger's job by now."""
    given = client.post("/jobs", json={"msg": "mine"}, headers=JSON)
    raw.delete(*raw.scan_iter(f"{keys.root}*", count=10_000))
    done = subprocess.run([sys.executable, "-c", STRANGER, server_url, mlq.namespace], capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    assert done.stdout.split() == [given.json["id"]]
    return given


def test_links_lead_to_no_other_job(mlq, client, lost):
    links = lost.json["links"]
    looks = [f"{links['self']}/{name}" for name in ("result.png", "short_result", "deliveries")]
    for path in (lost.headers["Location"], links["result"], links["progress"], links["events"], *looks):
        given = client.get(path)
        assert (given.status_code, "is lost" in given.text) == (410, True), path
        assert "secret" not in given.text
    for method, path in (("POST", links["cancel"]), ("POST", f"{links['self']}/requeue"), ("DELETE", links["self"])):
        assert client.open(path, method=method).status_code == 410
    assert mlq.counts().waiting == 1


def test_nor_does_the_id_where_the_service_posted_the_job(client, lost):
    assert client.get(f"/jobs/{lost.json['id']}/result").status_code == 410


def test_references_are_taken_where_ids_are(mlq, client):
    links = client.post("/jobs", json={"msg": "mine"}, headers=JSON).json["links"]
    assert client.get(links["self"]).json["links"] == links
    assert client.get(links["self"]).json["id"] == "1"
    assert client.get("/jobs/1").json["links"] == links
    assert client.post(links["cancel"]).status_code == 202
    assert mlq.get_state("1") == "cancelled"
    assert client.delete(links["self"]).status_code == 204
    assert client.get(links["self"]).status_code == 410


@pytest.mark.parametrize("reference", ["1@", "1@1", "1@1.5", "@1.000000", "1@1.000000@1", "1@-1.000000"])
def test_what_is_no_reference(client, reference):
    assert client.get(f"/jobs/{reference}/result").status_code == 404
