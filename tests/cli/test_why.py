"""The command `why`."""

import json


def test_words(run, mlq):
    job = mlq.submit(1)
    told = run("why", job.id)
    assert (told.exit_code, told.stdout) == (0, f"No worker is running in namespace {mlq.namespace!r}.\n")


def test_json(run, mlq):
    job = mlq.submit(1, delay=60)
    told = json.loads(run("why", job.id, "--json").stdout)
    assert (told["reason"], told["due"]) == ("early", mlq.get_job(job.id)["due"])


def test_gone(run):
    told = run("why", "7")
    assert (told.exit_code, "no job 7" in told.stderr) == (1, True)


def test_no_id(run):
    told = run("why", "seven")
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
