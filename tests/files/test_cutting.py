"""Where records end: in agreement with Python's csv, whatever is in them."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlq.files.cutting import LongRecord, lines_end, records_end


@pytest.mark.parametrize(
    ("data", "rows", "last", "end"),
    [
        (b"a\nb\nc\n", 2, False, 4), (b"a\nb\nc\n", 9, False, 6), (b"a\nb\nc", 9, False, 4), (b"a\nb\nc", 9, True, 5),
        (b"a\nb\nc", 2, True, 4), (b"abc", 1, False, 0), (b"abc", 1, True, 3), (b"", 1, True, 0),
        (b"\n\n", 1, False, 1),
    ],
)  # fmt: skip
def test_lines(data, rows, last, end):
    assert lines_end(data, rows, last=last) == end
    assert records_end(data, rows, ",", last=last) == end


@given(st.lists(st.binary(max_size=3).filter(lambda line: b"\n" not in line), max_size=20), st.integers(1, 25))
def test_lines_are_counted(lines, rows):
    data = b"".join(line + b"\n" for line in lines)
    assert lines_end(data, rows, last=False) == sum(len(line) + 1 for line in lines[:rows])


@pytest.mark.parametrize(
    ("data", "rows", "last", "end"),
    [
        (b'"a\nb",1\nc,2\n', 1, False, 8),  # a newline in quotes
        (b'"a""\n",1\r\nc,2\n', 1, False, 10),  # quotes in quotes
        (b'5" wide,1\nc,2\n', 1, False, 10),  # a quote within a value opens nothing
        (b'x,"a\nb', 1, False, 0),  # its end has not been read
        (b'x,1\n"a\nb', 9, False, 4),
        (b'x,1\n"a\nb', 9, True, 8),  # a quote that nobody closes
        (b'"a"b\n"c"\n', 1, False, 5),  # something after a closing quote
    ],
)
def test_records_with_quotes(data, rows, last, end):
    assert records_end(data, rows, ",", last=last) == end


@settings(max_examples=500, deadline=None)
@given(st.text('ab,"\n', max_size=40), st.sampled_from(",;"))
def test_records_end_where_those_of_csv_end(text, delimiter):
    """One record at a time, over any soup of quotes, delimiters and newlines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    consumed, ends = [reader.line_num for _ in reader], [0]
    for line in text.splitlines(keepends=True):
        ends.append(ends[-1] + len(line))
    data, found = text.encode(), [0]
    while found[-1] < len(data):
        found.append(found[-1] + records_end(data[found[-1] :], 1, delimiter, last=True))
    assert found[1:] == [ends[count] for count in consumed]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "quoted", "end"),
    [(b'x"\n"y\nz', True, 6), (b'x"\n"y\nz', False, 3), (b'"a""\n"\nz', True, 7), (b"no end", True, 0)],
)
def test_a_record_that_is_too_long_ends_in_some_piece(data, quoted, end, size):
    record, at = LongRecord(quoted=quoted), 0
    for start in range(0, len(data), size):
        if found := record.end_in(data[start : start + size]):
            at = start + found
            break
    assert at == end
