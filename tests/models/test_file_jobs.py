"""Files that are predicted by a job: in every pool with one slot, and by another worker after the first one died."""

import asyncio
import json
from collections import Counter

import pytest

from mlq import AsyncMLQ
from mlq.http.app import make_app
from mlq.http.settings import Settings
from tests.http.openai_files import lines, upload
from tests.programs import until

pytestmark = pytest.mark.slow

ROWS = 500
LARGEST = 6000  # rows of a chunk of `Counted`: about a second


def hosted(mlq):
    until(lambda: [one for one in mlq.models() if one.unserved is None])
    until(lambda: any("#predict_file" in one["functions"].split(",") for one in mlq.workers()))


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A folder with a file of numbers, which jobs may use."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "in.csv").write_text("x,id\n" + "".join(f"{x},row {x}\n" for x in range(ROWS)))
    (tmp_path / "gate").touch()
    monkeypatch.setenv("MLQ_FILE_PLACES", str(folder))
    monkeypatch.setenv("COUNTED", str(tmp_path / "counted"))
    monkeypatch.setenv("COUNTED_GATE", str(tmp_path / "gate"))
    return folder


WHOLE = "id,square\n" + "".join(f"row {x},{x**2}\n" for x in range(ROWS))


@pytest.mark.parametrize("pool", ["process", "thread", "asyncio", "gevent", "solo"])
def test_in_every_pool_with_one_slot(mlq, start, models_toml, places, tmp_path, pool):
    (tmp_path / "gate").unlink()
    with start("worker", "--models", str(models_toml("Counted", "counted")), "--pool", pool, "--concurrency", "1"):
        hosted(mlq)
        job = mlq.predict_file("counted", f"{places}/in.csv", f"{places}/out.csv", keep=["id"])
        assert job.result(60) == {"rows": ROWS, "failed": 0, "errors": None, "output": f"{places}/out.csv"}
        assert job.progress() == 100
    assert (places / "out.csv").read_text() == WHOLE
    assert sorted(one.name for one in places.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize("pool", ["process", "thread"])
def test_another_worker_goes_on_where_one_died(mlq, start, models_toml, places, tmp_path, pool):
    toml = str(models_toml("Counted", "counted"))
    with start("worker", "--models", toml, "--pool", pool) as worker:
        hosted(mlq)
        job = mlq.predict_file("counted", f"{places}/in.csv", f"{places}/out.csv", keep=["id"])
        until(
            lambda: isinstance(job.progress(), dict) and job.progress()["rows"] >= 96
        )  # the gate is in the fourth part
        before = (tmp_path / "counted").read_text().split()
        worker.kill()
    (tmp_path / "gate").unlink()
    with start("worker", "--models", toml, "--pool", pool):
        assert job.result(60)["rows"] == ROWS
    assert (places / "out.csv").read_text() == WHOLE
    counts = Counter((tmp_path / "counted").read_text().split())
    assert {number for number, times in counts.items() if times > 1} <= set(before[96:])
    assert max(counts.values()) == 2
    assert mlq.get_job(job.id)["retries"] == 1


def test_a_job_that_is_cancelled_lets_another_go_on(mlq, start, models_toml, places, tmp_path):
    with start("worker", "--models", str(models_toml("Counted", "counted")), "--concurrency", "2"):
        hosted(mlq)
        given = ("counted", f"{places}/in.csv", f"{places}/out.csv")
        job = mlq.predict_file(*given, keep=["id"])
        until(lambda: isinstance(job.progress(), dict) and job.progress()["rows"] >= 96)
        job.cancel()
        (tmp_path / "gate").unlink()
        assert mlq.predict_file(*given, keep=["id"]).result(60)["rows"] == ROWS
    assert (places / "out.csv").read_text() == WHOLE
    assert max(Counter((tmp_path / "counted").read_text().split()[:96]).values()) == 1


def test_a_row_that_kills_its_process_fails_alone(mlq, start, models_toml, tmp_path):
    (tmp_path / "files").mkdir()
    client = make_app(mlq, Settings(files=str(tmp_path / "files"))).test_client()
    with start("worker", "--models", str(models_toml("Number")), "--files", str(tmp_path / "files")):
        hosted(mlq)
        file = upload(client, lines("number", [1, 2, -1, 4])).json["id"]
        given = {"input_file_id": file, "endpoint": "/models/number/predict", "completion_window": "24h"}
        made = client.post("/v1/batches", json=given).json
        batch = until(
            lambda: (found := client.get(f"/v1/batches/{made['id']}").json)["status"] == "completed" and found, 110
        )
    assert batch["request_counts"] == {"total": 4, "completed": 3, "failed": 1}
    failed = [json.loads(line) for line in client.get(f"/v1/files/{batch['error_file_id']}/content").data.splitlines()]
    assert [one["custom_id"] for one in failed] == ["r2"]


async def predicted(mlq, url, places):
    async with AsyncMLQ(mlq.namespace, url=url) as client:
        job = await client.predict_file("counted", f"{places}/in.csv", f"{places}/out.csv", keep=["id"])
        return await job.result(60)


def test_from_asyncio_beside_models_that_are_unloaded(mlq, server_url, start, models_toml, places, tmp_path):
    """Each child hosts one model then, and this listener has another."""
    (tmp_path / "gate").unlink()
    toml = str(models_toml("Counted", "counted"))
    with start("worker", "--models", toml, "--memory-budget", "8GiB", "--concurrency", "1"):
        hosted(mlq)
        assert asyncio.run(predicted(mlq, server_url, places))["rows"] == ROWS
    assert (places / "out.csv").read_text() == WHOLE


def test_only_some_listeners_and_queues(mlq, start, models_toml, places, tmp_path):
    (tmp_path / "gate").unlink()
    toml = str(models_toml("Counted", "counted"))
    with start("worker", "--models", toml, "--functions", "counted@1", "--queues", "counted"):
        hosted(mlq)
        assert mlq.predict_file("counted", f"{places}/in.csv", f"{places}/out.csv").result(60)["rows"] == ROWS


def test_a_worker_that_is_told_to_stop_hands_it_on(mlq, start, models_toml, places, tmp_path):
    toml = str(models_toml("Counted", "counted"))
    with start("worker", "--models", toml, "--grace", "1") as worker:
        hosted(mlq)
        job = mlq.predict_file("counted", f"{places}/in.csv", f"{places}/out.csv", keep=["id"])
        until(lambda: isinstance(job.progress(), dict) and job.progress()["rows"] >= 96)
        worker.terminate()
        worker.wait(30)
    (tmp_path / "gate").unlink()
    assert "predicts files" in job.missing() or "no worker" in job.missing()
    with start("worker", "--models", toml):
        assert job.result(60)["rows"] == ROWS
    assert (places / "out.csv").read_text() == WHOLE


def test_chunks_that_exceed_their_time_cost_no_file_its_place(mlq, start, models_toml, raw, keys, places):
    """They end the child in which the file's own job waits."""
    (places / "in.jsonl").write_text("1\n-2\n")
    with start("worker", "--models", str(models_toml("Number", timeout=0.5)), "--concurrency", "1"):
        hosted(mlq)
        job = mlq.predict_file("number", f"{places}/in.jsonl", f"{places}/out.jsonl")
        assert job.result(100)["failed"] == 1
    assert raw.hmget(keys.job + str(job.id), "losses", "shared", "waits_for") == [None, None, None]
    assert mlq.get_job(job.id)["retries"] > 0


def test_files_of_slow_rows_leave_room_for_others(mlq, start, models_toml, places, tmp_path):
    """Each worker used to have four places for files, which those could hold for hours."""
    (places / "slow.csv").write_text("x,id\n100,a\n")
    with start("worker", "--models", str(models_toml("Counted", "counted")), "--concurrency", "6"):
        hosted(mlq)
        slow = [mlq.predict_file("counted", f"{places}/slow.csv", f"{places}/out{one}.csv") for one in range(5)]
        until(lambda: (tmp_path / "counted").exists() and len((tmp_path / "counted").read_text().split()) == 5)
        (places / "quick.csv").write_text("x,id\n3,a\n")
        assert mlq.predict_file("counted", f"{places}/quick.csv", f"{places}/quick-out.csv").result(60)["rows"] == 1
        assert not any(one.ready() for one in slow)
        (tmp_path / "gate").unlink()
        assert [one.result(60)["rows"] for one in slow] == [1] * 5


def test_workers_that_are_told_to_stop_amid_a_batch_repeat_a_chunk_for_each_slot_at_most(
    mlq, start, models_toml, places, tmp_path
):
    rows, toml = 20_000, str(models_toml("Counted", "counted"))
    (tmp_path / "gate").unlink()
    (tmp_path / "files").mkdir()
    client = make_app(mlq, Settings(files=str(tmp_path / "files"))).test_client()
    words = ("worker", "--models", toml, "--files", str(tmp_path / "files"), "--concurrency", "1", "--grace", "1")

    def predicted():
        return (tmp_path / "counted").read_text().split() if (tmp_path / "counted").exists() else []

    with start(*words) as one, start(*words) as two:
        hosted(mlq)
        file = upload(client, lines("counted", [{"x": x} for x in range(1000, 1000 + rows)])).json["id"]
        given = {"input_file_id": file, "endpoint": "/models/counted/predict", "completion_window": "24h"}
        made = client.post("/v1/batches", json=given).json
        until(lambda: len(predicted()) > rows / 5)
        for worker in (one, two):
            worker.terminate()
        for worker in (one, two):
            worker.wait(30)
    before = len(predicted())
    assert before < rows
    with start(*words), start(*words):
        until(lambda: client.get(f"/v1/batches/{made['id']}").json["status"] == "completed", 110)
    batch = client.get(f"/v1/batches/{made['id']}").json
    assert batch["request_counts"] == {"total": rows, "completed": rows, "failed": 0}
    answers = client.get(f"/v1/files/{batch['output_file_id']}/content").data.splitlines()
    assert [json.loads(one)["custom_id"] for one in answers] == [f"r{number}" for number in range(rows)]
    again = [row for row, times in Counter(predicted()).items() if times > 1]
    assert len(set(predicted())) == rows
    assert len(again) <= 2 * LARGEST
