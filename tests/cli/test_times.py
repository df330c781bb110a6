"""The command line of times and priorities: post, job, jobs."""

import json
import time

import pytest


def shown(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def test_options_reach_the_job_and_are_shown(run, mlq):
    job_id = run("post", "1", "--delay", "60", "--expires", "600", "--priority", "-5").stdout.strip()
    job = mlq.get_job(job_id)
    assert (job["state"], job["priority"], job["due"] - job["posted"]) == ("scheduled", -5, pytest.approx(60, abs=0.01))
    told = run("job", job_id).stdout
    for name, value in (("priority", "-5"), ("runs at", shown(job["due"])), ("expires at", shown(job["expires"]))):
        assert f"\n{name.ljust(10)}  {value}\n" in told
    assert json.loads(run("job", job_id, "--json").stdout)["due"] == job["due"]


@pytest.mark.parametrize("at", ["2099-12-01T08:00+01:00", "4099791600"])
def test_a_moment(run, mlq, at):
    assert mlq.get_job(run("post", "1", "--at", at).stdout.strip())["due"] == 4099791600


def test_a_plain_job_shows_none_of_it(run, mlq):
    told = run("job", mlq.post(1)).stdout
    assert not any(name in told for name in ("priority", "runs at", "expires at"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--delay", "-1"), "delay must be"),
        (("--at", "2099-12-01T08:00"), "time zone"),
        (("--at", "1000000000"), "at is over for more than a minute"),
        (("--at", "4099791600", "--expires", "5"), "would expire before"),
        (("--delay", "1", "--at", "4099791600"), "not both"),
        (("--delay", "5", "--expires", "5"), "expires must be later"),
        (("--priority", "101"), "priority must be"),
    ],
)
def test_refused(run, mlq, words, told):
    """In one line, as other wrong usage; nothing is posted."""
    given = run("post", "1", *words)
    assert (given.exit_code, given.stderr.count("\n"), told in given.stderr) == (2, 1, True), given.stderr
    assert mlq.last_id() == 0


def test_an_expired_one_in_the_list(run, mlq):
    job_id = mlq.post(1, expires=60)
    mlq._redis.zadd(f"{{{mlq.namespace}}}:expiring", {job_id: 1})
    mlq.create_listener(lambda message: message, concurrency=1)
    waited = run("wait", job_id)
    assert (waited.exit_code, "expired before a worker began it" in waited.stderr) == (1, True)
    assert "cancelled (expired)" in run("jobs").stdout
    assert "reason  " in run("job", job_id).stdout
