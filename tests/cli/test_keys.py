"""The command line of keys: post, job."""

import json

import pytest


def test_the_job_that_is_there(run, mlq):
    """The same id on stdout, so that scripts go on, and a word on stderr."""
    first = run("post", "1", "--key", "report-7")
    assert (first.exit_code, first.stderr.count("holds the key")) == (0, 0)
    second = run("post", "2", "--key", "report-7")
    assert (second.exit_code, second.stdout) == (0, first.stdout)
    assert "holds the key: nothing was posted" in second.stderr
    job_id = first.stdout.strip()
    assert mlq.get_job(job_id)["msg"] == 1
    assert "\nkey         report-7\n" in run("job", job_id).stdout
    assert "\nkey" not in run("job", mlq.post(1)).stdout


@pytest.mark.parametrize(("unique", "stored"), [("waiting", "waiting"), ("active", None), ("3600", 3600.0)])
def test_how_long(run, mlq, unique, stored):
    given = run("post", "1", "--key", "k", "--unique", unique, "--json")
    job_id = json.loads(given.stdout)["id"]
    again = run("post", "1", "--key", "k", "--unique", unique, "--json")
    assert json.loads(given.stdout) == {"id": job_id, "new": True}
    assert json.loads(again.stdout) == {"id": job_id, "new": False}
    entry = mlq._redis.get(f"{{{mlq.namespace}}}:unique:\nk").split()[2]
    assert entry == {"waiting": b"w", "active": b"a"}.get(unique, b"t")


def test_replace(run, mlq):
    first = run("post", "1", "--key", "k", "--delay", "60", "--replace")
    second = run("post", "2", "--key", "k", "--delay", "600", "--replace")
    assert second.stdout == first.stdout
    assert "holds the key: it has the new message" in second.stderr
    job = mlq.get_job(first.stdout.strip())
    assert (job["msg"], job["state"]) == (2, "scheduled")
    assert job["due"] - job["posted"] > 590


def test_waiting_for_the_one_that_is_there(run, mlq):
    job_id = mlq.post(20, functions=["double"], key="k")
    mlq.create_listener(double)
    waited = run("post", "1", "--functions", "double", "--key", "k", "--wait", "--timeout", "60")
    assert waited.stdout in ("40\n", "2\n")  # the first one may have ended before
    assert mlq.wait(job_id, 60) == 40


def double(message):
    return 2 * message


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--key", ""), "key must be"),
        (("--key", "x" * 1001), "key must be"),
        (("--unique", "waiting"), "unique needs a key"),
        (("--replace",), "replace needs a key"),
        (("--key", "k", "--unique", "soon"), "unique must be"),
        (("--key", "k", "--unique", "0"), "unique must be"),
        (("--key", "k", "--unique", "5", "--replace"), "can't be combined"),
    ],
)
def test_refused(run, mlq, words, told):
    given = run("post", "1", *words)
    assert (given.exit_code, given.stderr.count("\n"), told in given.stderr) == (2, 1, True), given.stderr
    assert mlq.last_id() == 0


def test_a_full_queue(run, mlq):
    """Has the exit code of a server that refuses."""
    mlq.limit(queue="gpu", length=1)
    mlq.post(1, queue="gpu")
    given = run("post", "1", "--queue", "gpu")
    assert (given.exit_code, given.stdout) == (3, "")
    assert "queue 'gpu' is full: 1 job waits in it, and the limit is 1;" in given.stderr
