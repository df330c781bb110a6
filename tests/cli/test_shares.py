"""The command line of shares: post, job, jobs, shares."""

import json

import pytest


def test_the_share_of_a_job(run, mlq):
    job_id = run("post", "1", "--share", "team:a/b c").stdout.strip()
    assert mlq.get_job(job_id)["share"] == "team:a/b c"
    assert "\nshare       team:a/b c\n" in run("job", job_id).stdout
    assert "share" not in run("job", mlq.post(1)).stdout
    assert [one["share"] for one in json.loads(run("jobs", "--json").stdout)] == [None, "team:a/b c"]
    assert mlq.get_job(job_id)["queue"] == "default"


def test_shares(run, mlq):
    """Those that wait, and those with a weight."""
    assert "no share has jobs that wait" in run("shares").stderr
    mlq.post(1, share="b")
    mlq.post(1, share="b", functions=["f"])
    assert "has weight 2.5 now" in run("shares", "weight", "a", "2.5").stderr
    assert [line.split() for line in run("shares").stdout.splitlines()] == [
        ["SHARE", "WAITING", "WEIGHT"], ["a", "0", "2.5"], ["b", "2", "1"]]  # fmt: skip
    run("shares", "weight", "a", "1")
    assert json.loads(run("shares", "--json").stdout) == [{"name": "b", "waiting": 2, "weight": 1.0}]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("post", "1", "--share", "a|b"), "share must be"),
        (("post", "1", "--share", ""), "share must be"),
        (("post", "1", "--share", "x" * 101), "share must be"),
        (("shares", "weight", "a", "0"), "weight of a share must be"),
        (("shares", "weight", "a", "nan"), "weight of a share must be"),
        (("shares", "weight", "a|b", "1"), "share must be"),
    ],
)
def test_refused(run, mlq, words, told):
    """In one line; nothing is written."""
    given = run(*words)
    assert (given.exit_code, given.stderr.count("\n"), told in given.stderr) == (2, 1, True), given.stderr
    assert mlq.last_id() == 0


def test_dead_letters_of_many_shares_are_one_group(run, mlq):
    @mlq.listener(name="f")
    def fail(_message):
        raise ValueError("no")

    ids = [mlq.post(1, functions=["f"], share=share) for share in "abc"]
    mlq.create_listener(None)
    for job_id in ids:
        with pytest.raises(ValueError, match="no"):
            mlq.wait(job_id, 30)
    assert {letter["share"] for letter in json.loads(run("dead", "list", "--json").stdout)} == set("abc")
    assert len(run("dead", "list").stdout.splitlines()) == 2
