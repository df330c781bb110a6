"""The command line of schedules: mlq schedule add, list, show, run, pause, resume, remove."""

import json
import time

import pytest

ADD = ("schedule", "add", "digest", "--cron", "0 8 * * 1-5", "--tz", "Europe/Berlin", "--functions", "digest",
       "--msg", '{"to": "all"}', "--priority", "3")  # fmt: skip


def lines(text: str) -> dict[str, str]:
    """Names and values of a description."""
    return {line[:14].strip(): line[14:].strip() for line in text.splitlines()}


def test_from_the_beginning_to_the_end(run, mlq):
    made = run(*ADD)
    assert (made.exit_code, made.stderr) == (0, "")
    told = lines(made.stdout)
    assert told["due"] == "At 08:00 on Monday through Friday (Europe/Berlin)"
    assert told["message"] == '{"to": "all"}'
    assert told["options"] == '{"priority": 3}'
    assert told["owner"].startswith("run time, declared ")
    assert "paused" not in told

    job_id = run("schedule", "run", "digest").stdout.strip()
    job = mlq.get_job(job_id)
    assert (job["msg"], job["schedule"]) == ({"to": "all"}, "digest")
    assert "\nschedule    digest, for " in run("job", job_id).stdout
    assert lines(run("schedule", "show", "digest").stdout)["last job"] == f"{job_id} (queued)"

    assert run("schedule", "pause", "digest").stderr == "mlq: paused digest\n"
    assert lines(run("schedule", "show", "digest").stdout)["paused"].startswith("since ")
    assert "paused" in run("schedule", "list").stdout
    assert run("schedule", "resume", "digest").stderr.startswith("mlq: resumed digest, which is due ")
    assert run("schedule", "remove", "digest").stderr == "mlq: removed digest\n"
    assert run("schedule", "list").stderr.startswith("mlq: no schedules in namespace")


def test_a_list(run):
    """A line for each, and JSON without messages."""
    run(*ADD)
    run("schedule", "add", "beat", "--every", "3600", "--missed", "all", "--overlap", "queue")
    heads, *rows = run("schedule", "list").stdout.splitlines()
    assert heads.split() == ["NAME", "WHEN", "NEXT", "LAST", "OUTCOME", "LEFT", "OUT", "OWNER", "DECLARED", "FUNCTIONS"]
    assert [row.split()[0] for row in rows] == ["beat", "digest"]
    beat, digest = json.loads(run("schedule", "list", "--json").stdout)
    assert (beat["name"], beat["every"], beat["missed"], beat["overlap"]) == ("beat", 3600, "all", "queue")
    assert beat["next"] - time.time() == pytest.approx(3600, abs=60)
    assert (digest["cron"], digest["tz"], "msg" in digest) == ("0 8 * * 1-5", "Europe/Berlin", False)
    assert json.loads(run("schedule", "show", "digest", "--json").stdout)["msg"] == {"to": "all"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("add", "s"), 2, "a cron line or an interval"),
        (("add", "s", "--every", "0"), 2, "every must be"),
        (("add", "s", "--cron", "0 0 31 2 *"), 2, "never due"),
        (("add", "s", "--cron", "* * * * *", "--tz", "Mars"), 2, "no time zone 'Mars'"),
        (("add", "a/b", "--every", "5"), 2, "a schedule's name"),
        (("show", "s"), 1, "no schedule 's'"),
        (("run", "s"), 1, "no schedule 's'"),
        (("pause", "s"), 1, "no schedule 's'"),
        (("resume", "s"), 1, "no schedule 's'"),
        (("remove", "s"), 1, "no schedule 's'"),
    ],
)
def test_refused(run, words, code, told):
    """In one line."""
    given = run("schedule", *words)
    assert (given.exit_code, given.stderr.count("\n"), told in given.stderr) == (code, 1, True), given.stderr


def test_a_job_that_runs(run):
    """A second one is refused."""
    run("schedule", "add", "s", "--every", "60")
    assert run("schedule", "run", "s", "--json").stdout == '{"id": "1"}\n'
    given = run("schedule", "run", "s")
    assert (given.exit_code, "has not ended" in given.stderr) == (1, True)
