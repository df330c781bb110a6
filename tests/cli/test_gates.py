"""The command line of limits and pauses."""

import json

import pytest


def test_limits(run, mlq):
    assert run("limits").output == f"mlq: nothing is limited or paused in namespace {mlq.namespace!r}\n"
    assert run("limit", "--function", "embed", "--running", "4", "--rate", "60/m").stdout == "set\n"
    assert run("limit", "--function", "embed", "--running", "4", "--rate", "60/m").stdout == "set already\n"
    told = run("limits").stdout
    assert "0 of 4" in told
    assert "0 of 60/m" in told
    (state,) = json.loads(run("limits", "--json").stdout)
    assert (state["kind"], state["name"], state["limit"]["rate"]) == ("function", "embed", "60/m")
    assert run("limit", "--function", "embed", "--remove").stdout == "removed\n"
    assert run("limit", "--function", "embed", "--remove").stdout == "there was no limit\n"


def test_pauses(run, mlq):
    mlq.post(1, queue="gpu")
    assert run("pause", "--queue", "gpu", "--by", "ann").stdout == "paused\n"
    assert run("pause", "--queue", "gpu").stdout == "it was paused already\n"
    assert "by ann, " in run("limits").stdout
    assert "queue 'gpu' by ann since " in run("status").stdout
    assert json.loads(run("status", "--json").stdout)["limits"][0]["paused"]["by"] == "ann"
    assert run("resume", "--queue", "gpu").stdout == "resumed\n"
    assert run("resume", "--queue", "gpu").stdout == "it was not paused\n"
    assert "paused" not in run("status").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("limit", "--running", "1"), "name one queue, function, resource or share, not 0"),
        (("limit", "--queue", "a", "--share", "b", "--running", "1"), "not 2 of them"),
        (("limit", "--queue", "a"), "needs running, rate"),
        (("limit", "--queue", "a", "--running", "0"), "0 is not in the range"),
        (("limit", "--queue", "a", "--rate", "often"), "such as '10/s'"),
        (("limit", "--share", "a", "--length", "3"), "length is a limit of queues"),
        (("limit", "--queue", "a", "--running", "1", "--remove"), "leave out --running"),
        (("pause",), "name one queue"),
        (("pause", "--queue", "a:b"), "without comma, colon or |"),
    ],
)
def test_refused(run, mlq, words, told):
    result = run(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert mlq.limits() == []
