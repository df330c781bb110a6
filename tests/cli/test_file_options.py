"""The options that say where files are: what they take, and what they tell the listeners."""

import os

import pytest
from click.testing import CliRunner

from mlq.cli.program import program


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--files", "s3://bucket/files?x=1"], "takes URLs such as"),
        (["--files", "s3://bucket/../files"], "takes URLs such as"),
        (["--files", "nothing://bucket/files"], "Protocol not known: nothing"),
        (["--files", __file__], "is no directory"),
        (["--file-places", "file:///data"], "takes URLs such as"),
        (["--file-places", "s3://b/../c"], "takes URLs such as"),
        (["--file-places", "a,,b"], "names separated by commas"),
    ],
)
@pytest.mark.parametrize("command", [["serve"], ["worker", "nothing.py"], ["serve-models", "nothing.toml"]])
def test_what_is_no_place(command, words, reason):
    told = CliRunner().invoke(program, [*command, *words], prog_name="mlq")
    assert (told.exit_code, reason in told.output) == (2, True), told.output


def test_a_worker_tells_its_listeners(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLQ_FILES", "")
    monkeypatch.setenv("MLQ_FILE_PLACES", "")
    words = ["worker", "nothing.py", "--pool", "thread", "--files", "kept", "--file-places", "a,s3://b/c"]
    told = CliRunner().invoke(program, words, prog_name="mlq")
    assert "there is no file nothing.py" in told.output
    assert os.environ["MLQ_FILES"] == str(tmp_path / "kept")
    assert os.environ["MLQ_FILE_PLACES"] == f"{tmp_path}/a,s3://b/c"
