"""The command line of pipelines: tree, posts after others, blocked jobs, and changes of the whole."""

import json

import pytest
from click.testing import Result

from mlq import Progress, Split, State
from mlq.core.tree import Tree
from mlq.system import terminal


@pytest.fixture
def pipeline(mlq, gate):
    """A queue with a worker that runs one job at a time, and a job of 40 parts whose last one runs."""

    def scan(count):
        return Split(range(count), each="read", into="merge", on_failure="run")

    def read(number):
        if number == 3:
            raise ValueError("page 3 is \x1b[31m red, \n" + "and long " * 20)
        if number == 39:
            assert gate.wait(20)
        return number

    def merge(results):
        return len(results)

    for function in (scan, read, merge):
        mlq.listener(function)
    mlq.create_listener()
    job = mlq.submit(40, functions=["scan"])
    for update in job.follow(every=5):
        if isinstance(update.progress, Progress) and update.progress.done + update.progress.failed == 39:
            break
    while mlq.get_state("42") != State.RUNNING:
        next(iter(mlq.follow("42", every=0.1)))
    return job


def one_line(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("mlq: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_tree_in_eighty_columns(run, pipeline, gate, monkeypatch):
    """Parts that are alike are summed up; nothing controls the terminal."""
    monkeypatch.setattr(terminal, "width", lambda: 80)
    lines = run("tree", pipeline.id).stdout.splitlines()
    assert [line[: line.index("  ", 4)].rstrip() for line in lines] == [
        "JOB", "1 scan", "  2 merge", "    6 read", "    42 read", "    38 more"]  # fmt: skip
    assert [line.split()[2] for line in lines[1:5]] == ["blocked", "blocked", "failed", "running"]
    assert lines[1].endswith("38 of 41 steps, 1 failed")
    assert lines[2].endswith("joins 40 parts, waits for 1 of them")
    assert "ValueError: page 3 is" in lines[3]
    assert lines[5].endswith("38 succeeded")
    assert all(len(line) <= 80 and line.isprintable() for line in lines)
    gate.set()
    assert pipeline.result(60) == 40
    assert run("tree", "42").stdout.splitlines()[1].endswith("41 steps")


def test_a_tree_as_json(run, pipeline):
    """With every step, and the names that Python has."""
    found = json.loads(run("tree", pipeline.id, "--json").stdout)
    assert found.keys() == set(Tree._fields)
    assert found["progress"] == {"done": 38, "failed": 1, "of": 41}
    assert len(found["steps"][0]["steps"]) == 40


def test_what_a_tree_leaves_out_is_said(run, pipeline):
    """With the way to see it."""
    result = run("tree", pipeline.id, "--limit", "4")
    assert len(result.stdout.splitlines()) == 6
    assert result.stderr == "mlq: 37 more steps were not read; --limit reads more\n"
    assert "no job 900" in one_line(run("tree", "900"), 1)


def test_blocked_jobs_are_listed_and_counted(run, pipeline):
    """With how far they are, and what they wait for."""
    status = run("status").stdout.splitlines()
    assert "blocked       2" in status
    assert json.loads(run("status", "--json").stdout)["blocked"] == 2
    rows = run("jobs", "--state", "blocked").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["ID", "2", "1"]
    assert "38 of 41 steps, 1 failed" in rows[2]
    listed = json.loads(run("jobs", "--state", "blocked", "--json").stdout)
    assert listed[1]["progress"] == {"done": 38, "failed": 1, "of": 41}
    told = run("job", pipeline.id).stdout
    assert "blocked (it waits for job 42, which is running)" in told
    assert "becomes" in told
    assert "41 (mlq tree 1 shows them)" in told
    assert run("count").stdout == "3\n"


def test_the_whole_is_cancelled_and_deleted(run, mlq, pipeline, gate):
    """By the id of its root; the command says how many jobs that were."""
    assert run("cancel", pipeline.id).stdout == "cancelled 1 with the 2 of its 41 steps that had not ended\n"
    assert {mlq.get_state(job_id) for job_id in ("1", "2", "42")} == {State.CANCELLED}
    gate.set()
    assert "it is a step of job 1; delete that one" in one_line(run("delete", "42"), 1)
    assert run("delete", pipeline.id).stdout == "deleted 1 with its 41 steps\n"
    assert list(mlq.jobs()) == []
    mlq.post(1, functions=["nobody"])
    assert run("cancel", "43").stdout == "cancelled 43\n"
    assert run("delete", "43").stdout == "deleted 43\n"


def test_posts_after_others(run, mlq):
    """With what becomes of the job if one of them fails."""
    first, second = mlq.post(1), mlq.post(2)
    job_id = run(
        "post", "3", "--after", first, "--after", second, "--on-failure", "run", "--then", "a,b"
    ).stdout.strip()
    found = mlq.get_job(job_id)
    assert (found["state"], found["after"], found["on_failure"]) == ("blocked", [first, second], "run")
    assert found["then"] == ["a", "b"]
    told = run("job", job_id).stdout
    assert f"it waits for job {first}, which is queued; no worker is running" in told
    shown = run("tree", job_id).stdout.splitlines()
    assert [line.split()[:2] for line in shown[1:]] == [[job_id, "blocked"], ["after", first], ["after", second]]


@pytest.mark.parametrize(
    ("after", "code", "words"),
    [
        ("99", 1, "there is no job 99; nothing was posted"),
        ("1", 2, "job 1 has ended without a result (cancelled)"),
        ("one", 2, "one"),
    ],
)
def test_posts_after_what_can_not_be_needed(run, mlq, after, code, words):
    """Nothing is posted."""
    mlq.cancel(mlq.post(1))
    assert words in one_line(run("post", "3", "--after", after), code)
    assert mlq.last_id() == 1


def test_who_waits_for_a_blocked_job_is_told_for_which(run, mlq):
    """In one sentence, and with what is wrong with that one."""
    first = mlq.post(1)
    job_id = mlq.post(1, after=[first])
    result = run("wait", job_id, "--timeout", "0.2")
    assert (result.exit_code, f"it waits for job {first}, which is queued; no worker is running" in result.stderr) == (
        4,
        True,
    )
    assert f"job {job_id} waits for job {first}, which is queued" in run("wait", job_id, "--timeout", "3.1").stderr
