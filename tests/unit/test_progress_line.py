"""The line that shows how far a prediction is: it fits into every terminal."""

import pytest

from mlq.cli.predict import _line, _pairs, _rows
from mlq.errors import InputError
from mlq.files.report import Report

HALF = Report(1_116_782, 12, 50, 100, 121_709.0, 7.61, "out.csv", "out.errors.csv")


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (100, "iris  [##########..........] 50 %  1,116,782 rows  121,709 rows/s  7.61 s left  12 failed"),
        (80, "iris  [######.....] 50 %  1,116,782 rows  121,709 rows/s  7.61 s left  12 failed"),
        (60, "iris  [####...] 50 %  1,116,782 rows  7.61 s left  12 failed"),
        (39, "[####....] 50 %  7.61 s left  12 failed"),
        (28, "[#####.....] 50 %  12 failed"),
        (12, "50 %"),
    ],
)
def test_what_fits(width, line):
    assert _line("iris", HALF, width) == line


def test_every_width():
    for width in range(4, 200):
        line = _line("a-model-with-a-long-name", HALF, width)
        assert (len(line) <= width, line.count("[")) in ((True, 1), (True, 0))
        assert "50 %" in line


def test_one_row_is_one_row():
    assert [_rows(number) for number in (0, 1, 2, 1000)] == ["0 rows", "1 row", "2 rows", "1,000 rows"]


def test_a_field_comes_from_one_column():
    assert _pairs(["a=b", "c=b", "a=b"]) == {"a": "b", "c": "b"}
    with pytest.raises(InputError, match="names the field 'a' twice"):
        _pairs(["a=b", "a=c"])
