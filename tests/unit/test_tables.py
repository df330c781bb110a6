"""Tables fit the terminal that they are written to."""

import pytest

from mlq.cli import show
from mlq.system import terminal

HEADS = ("ID", "STATE", "ERROR", "WORKER")
ROWS = [("17", "queued (no worker)", "ValueError: " + "x" * 100, "host-123-abcdef")]


@pytest.fixture
def written(monkeypatch, capsys):
    def write(columns, **options):
        monkeypatch.setattr(terminal, "width", lambda: columns)
        show.table(HEADS, ROWS, **options)
        return capsys.readouterr().out.splitlines()

    return write


def test_a_pipe_gets_all(written):
    heads, row = written(None)
    assert heads.split() == list(HEADS)
    assert row == f"17  queued (no worker)  {ROWS[0][2]}  host-123-abcdef"


def test_the_widest_column_is_cut(written):
    heads, row = written(80)
    assert max(len(heads), len(row)) <= 80
    assert row.startswith("17  queued (no worker)  ValueError: xxx")
    assert row.endswith("...  host-123-abcdef")


def test_columns_that_matter_less_go_first(written):
    heads, row = written(80, less=("WORKER",))
    assert heads.split() == ["ID", "STATE", "ERROR"]
    assert len(row) == 80


def test_some_columns_are_never_cut(written):
    _, row = written(30, whole=("ID", "STATE"), less=("WORKER",))
    assert "queued (no worker)" in row


@pytest.mark.parametrize(
    ("variable", "value", "coloured"), [("X", "1", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)]
)
def test_colours(monkeypatch, capsys, variable, value, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show.table(("STATE",), [(show.state("failed"),), (show.state("queued", " (no worker)"),), ("\x1b[31mevil",)])
    out = capsys.readouterr().out
    assert ("\x1b[31mfailed" in out, "\x1b[33mqueued (no worker)" in out) == (coloured, coloured)
    assert "\x1b[31mevil" not in out
