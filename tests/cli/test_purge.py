"""The command `purge` of a queue; that of old jobs is in test_command.py."""

import click
import pytest

from mlq.cli import purge as command


def test_it_asks(run, mlq, monkeypatch):
    """With how many there are."""
    mlq.post_many([1] * 3, queue="gpu", functions=["f"])
    asked = []

    def refuse(text, **_):
        asked.append(text)
        raise click.Abort

    monkeypatch.setattr(command.click, "confirm", refuse)
    assert run("purge", "gpu", "--function", "f").exit_code != 0
    assert asked[0].startswith("Cancel the 3 jobs that wait in the queue 'gpu' and name 'f' (namespace ")
    assert mlq.counts().waiting == 3


def test_a_queue(run, mlq):
    mlq.post_many([1] * 3, queue="gpu")
    mlq.post(1)
    mlq.post(1, delay=60)
    told = run("purge", "gpu", "--yes")
    assert told.stdout == f"cancelled 3 waiting jobs of namespace {mlq.namespace!r}\n"
    assert "1 jobs of this namespace are scheduled for later" in told.stderr
    assert "cancelled (purged)" in run("jobs").stdout
    assert run("purge", "--function", "f", "--yes").stdout.startswith("cancelled 0 ")


@pytest.mark.parametrize(
    "words", [(), ("gpu", "--older", "1h"), ("gpu", "--state", "failed", "--yes"), ("--state", "failed")]
)
def test_refused(run, words):
    told = run("purge", *words)
    assert (told.exit_code, told.stderr.count("\n")) == (2, 1), told.stderr
