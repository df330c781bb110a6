"""The commands on models: which versions get requests, and versions that are forgotten."""

import json

import pytest
from click.testing import CliRunner

from mlq.cli.program import program
from mlq.models.hosting import hosting_of
from mlq.ops import models as model_ops
from mlq.running.loads import Loads
from tests.models.zoo import Iris, NewerIris


@pytest.fixture
def run(server_url, mlq):
    """Runs one command line in the test's namespace, where two versions of a model are known and nobody hosts one."""
    for kind in (Iris, NewerIris):
        about = hosting_of(kind, "x", {}, Loads()).listener.about
        mlq._shell.run_many(model_ops.describe(mlq._keys, about))

    def call(*words):
        found = CliRunner(env={"MLQ_URL": server_url, "MLQ_NAMESPACE": mlq.namespace}).invoke(program, list(words))
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return found

    return call


def shares(run):
    return {one["version"]: (one["share"], one["default"]) for one in json.loads(run("models", "--json").stdout)}


def test_traffic_is_set_shown_and_reset(run):
    assert shares(run) == {"1": (0, False), "1.10": (1, True)}
    shown = run("models", "traffic", "iris", "--default", "1")
    assert shown.exit_code == 0
    assert [line.split()[:3] for line in shown.stdout.splitlines()] == [
        ["VERSION", "TRAFFIC", "STATE"], ["1.10", "0", "%"], ["1", "100", "%"],
    ]  # fmt: skip
    assert "100 % (default)" in run("models", "traffic", "iris").stdout
    assert shares(run) == {"1": (1, True), "1.10": (0, False)}
    assert run("models", "traffic", "iris", "--reset").exit_code == 0
    assert shares(run) == {"1": (0, False), "1.10": (1, True)}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["iris", "--share", "1=60%", "--share", "1.10=50%"], "110% together"),
        (["iris", "--share", "1"], "such as 3=10%"), (["iris", "--share", "1=many"], "such as 3=10%"),
        (["iris", "--share", "1=inf"], "such as 3=10%"), (["iris", "--share", "1=-3"], "above 0"),
        (["iris", "--default", "7"], "has no version '7'"),
        (["irs"], "did you mean 'iris'"), (["iris", "--reset", "--default", "1"], "no other option"),
    ],
)  # fmt: skip
def test_what_is_no_traffic_is_refused(run, words, reason):
    found = run("models", "traffic", *words)
    assert found.exit_code != 0
    assert reason in found.output
    assert shares(run) == {"1": (0, False), "1.10": (1, True)}


def test_a_version_is_forgotten(run):
    assert "forgot version 1 of model iris" in run("models", "forget", "iris", "1").output
    assert shares(run) == {"1.10": (1, True)}
    assert "has no version '1'" in run("models", "forget", "iris", "1").output
    assert run("models", "forget", "iris", "1.10").exit_code == 0
    assert shares(run) == {}


def test_a_shadow_is_set_shown_and_turned_off(run):
    assert "was ever a shadow" in run("models", "shadow", "iris").output
    shown = run("models", "shadow", "iris", "1.10", "--share", "10%")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[1].split()[:4] == ["1.10", "10", "%", "0"]
    assert "no live worker hosts iris@1.10" in shown.stdout
    assert "1.10 of iris is its shadow" in run("models", "forget", "iris", "1.10").output
    assert run("models", "shadow", "iris", "--off").stdout.splitlines()[1].split()[:2] == ["1.10", "off"]
    assert run("models", "shadow", "iris", "1").stdout.splitlines()[1].split()[:3] == ["1", "100", "%"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["iris", "1", "--share", "101%"], "at most 1 (100%)"), (["iris", "1", "--share", "0"], "above 0"),
        (["iris", "1", "--share", "some"], "such as 10%"), (["iris", "1", "--share", "nan"], "such as 10%"),
        (["iris", "7"], "has no version '7'"), (["irs", "1"], "has ever hosted"), (["irs"], "did you mean 'iris'"),
        (["iris", "1", "--off"], "no version"), (["iris", "--share", "10%"], "needs the version"),
    ],
)  # fmt: skip
def test_what_is_no_shadow_is_refused(run, words, reason):
    found = run("models", "shadow", *words)
    assert found.exit_code != 0
    assert reason in found.output
    assert "was ever a shadow" in run("models", "shadow", "iris").output
