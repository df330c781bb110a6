"""Chunks of files in every pool, for listeners of every kind."""

import json

import pytest

from mlq import JobCancelled, JobFailed
from mlq.core.chunk import Chunk
from tests.chunks import post_chunk, predicted

pytestmark = pytest.mark.slow


def values(*given):
    """A chunk of JSON Lines."""
    return Chunk("jsonl", "".join(f"{json.dumps(one)}\n" for one in given).encode(), 1)


def predictions(found):
    """The predictions of JSON Lines, and the errors by line."""
    lines = [json.loads(line)["prediction"] for line in found.output.splitlines()]
    return lines, {one["line"]: one["error"] for one in map(json.loads, found.errors.splitlines())}


@pytest.mark.parametrize("name", ["together", "together_async"])
def test_batches(shared, name):
    """Calls have up to 8 messages; one to blame fails alone."""
    found, errors = predictions(predicted(shared.mlq, name, values("return error", *range(20), "raise", "a")))
    assert [value for value, _ in found] == [*range(20), "a"]
    assert max(size for _, size in found) == 8
    assert errors == {1: "KeyError: 'returned'", 22: "ZeroDivisionError: one of them"}


@pytest.mark.parametrize("name", ["echo", "echo_async", "pair"])
def test_row_by_row(shared, name):
    found, errors = predictions(predicted(shared.mlq, name, values(1, "x", None, [2])))
    assert (found, errors) == ([1, "x", None, [2]], {})


@pytest.mark.parametrize("name", ["fails", "fails_async"])
def test_all_rows_can_fail(shared, name):
    found, errors = predictions(predicted(shared.mlq, name, values(1, 2)))
    assert (found, errors) == ([], {1: "ZeroDivisionError: about 1", 2: "ZeroDivisionError: about 2"})


def test_sys_exit_is_the_error_of_its_row(shared):
    found, errors = predictions(predicted(shared.mlq, "leaves", values(3, 0)))
    assert (found, errors) == ([], {1: "SystemExit: 3", 2: "SystemExit: 0"})


def test_csv(shared):
    chunk = Chunk("csv", b'1,"x\ny",z\n2,b\n3,c,d\n', 10, ("id", "a", "b"), (("text", "a"),), ("id",))
    found = predicted(shared.mlq, "echo", chunk)
    assert (found.output, found.outputs) == (b'1,"x\ny"\n3,c\n', ("text",))
    assert found.errors == b'12,"it has 2 columns, and the header has 3"\n'


def test_what_is_printed_is_of_the_job(shared):
    job = post_chunk(shared.mlq, "prints_much", values(3, 4))
    job.result(60)
    assert job.logs() == "yyy\nyyyy\n"


def test_it_can_be_cancelled(shared):
    """No more rows are begun."""
    job = post_chunk(shared.mlq, "together_until_cancelled", values(*range(100)))
    assert shared.tell.heard("batch") == "8"
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(60)
    assert predictions(predicted(shared.mlq, "together", values(5))) == ([[5, 1]], {})
    assert shared.tell.count("batch") == 0


def test_a_damaged_chunk_is_tried_once(shared):
    job = post_chunk(shared.mlq, "echo", "no chunk", retries=3)
    with pytest.raises(JobFailed, match="not a chunk"):
        job.result(60)
    assert len(shared.mlq.get_job(job.id)["attempts"]) == 1


def test_a_row_that_kills_its_process_costs_the_chunk(begin, mlq):
    """The run halves it then."""
    begin("process", "--max-losses", "1")
    with pytest.raises(JobFailed) as failed:
        post_chunk(mlq, "together_deadly", values(1, "die", 2)).result(60)
    assert failed.value.reason == "lost"
    assert predictions(predicted(mlq, "together_deadly", values(1, 2))) == ([1, 2], {})


def test_workers_of_other_queues_serve_listeners_of_no_queue(begin, mlq):
    begin("thread", "--queues", "other")
    assert predictions(predicted(mlq, "echo", values(1))) == ([1], {})
