"""Tables fit the terminal that they are written to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


SOME_HEADS = st.lists(st.sampled_from(("a", "b", "c", "d")), max_size=5)


@settings(deadline=None, database=None)
@given(
    widths=st.dictionaries(st.sampled_from(("a", "b", "c", "d")), st.integers(1, 60), min_size=1),
    columns=st.none() | st.integers(1, 200), whole=SOME_HEADS, less=SOME_HEADS,
)  # fmt: skip
def test_any_table_fits_any_terminal_as_well_as_it_can(widths, columns, whole, less):
    less = [head for head in less if head not in whole]
    shown = show._fitted(widths, columns, whole, less)
    assert shown.keys() >= widths.keys() - set(less)
    assert all(0 < width <= widths[head] for head, width in shown.items())
    assert all(shown[head] == widths[head] for head in shown if head in whole)
    fits = columns is None or sum(shown.values()) + 2 * (len(shown) - 1) <= columns
    assert fits or all(width <= show.NARROW or head in whole for head, width in shown.items())


def test_numbers_are_rounded_to_fit():
    assert show.rounded({"loss": 0.123456789, "n": [12345, 1.0], "name": "x"}) == {
        "loss": 0.1235, "n": [12345, 1.0], "name": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((0, 0, 0), "0"),
        ((1, 1, 0), "1"),  # the retry is yet to come
        ((2, 2, 0), "2 (1 retry)"),
        ((4, 1, 2), "4 (1 retry, 2 losses)"),
        ((2, 0, 1), "2 (1 loss)"),
    ],
)
def test_how_often_a_job_ran(counts, words):
    assert show.runs(*counts) == words


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


def test_no_value_looks_like_a_line_of_its_own(capsys):
    show.described([("reason", "lost\nstate    succeeded"), ("state", "failed"), ("worker", None)])
    assert capsys.readouterr().out == "reason  lost\n        state    succeeded\nstate   failed\n"
