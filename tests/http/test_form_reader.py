"""Forms that are read as they come: the same parts as of a form in memory, however the pieces are cut."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlq.http.form_reader import OPTION, FormReader
from mlq.http.forms import HEADERS, MOST, read_form
from tests.http.test_forms import CONTENTS, part


def read(pieces, boundary="b"):
    files = []

    def begin(name, file):
        files.append([name, file, b""])

        def write(piece):
            files[-1][2] += piece

        return write

    reader = FormReader(boundary, begin)
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    return reader.fields, [tuple(one) for one in files]


def cut(body, at):
    ends = sorted({0, len(body), *(one % (len(body) + 1) for one in at)})
    return [body[a:b] for a, b in pairwise(ends)]


@settings(deadline=None, database=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "é", ""]), CONTENTS), max_size=4),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_files_come_as_they_are_however_they_are_cut(parts, at):
    body = b"".join(part(name, content, "f") for name, content in parts) + b"--b--\r\n"
    wanted = [(one.name, "f", one.content) for one in read_form(body, "b")]
    assert read(cut(body, at)) == ({}, wanted)
    assert read([body[i : i + 1] for i in range(len(body))])[1] == wanted


def test_fields_are_texts():
    body = part("purpose", b"batch") + part("file", b"x\ny", "a b.jsonl") + part("empty", b"") + b"--b--"
    assert read([body]) == ({"purpose": "batch", "empty": ""}, [("file", "a b.jsonl", b"x\ny")])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "boundary is missing"),
        (b"nothing", "boundary is missing"),
        (part("a", b"x", "f"), "no end"),
        (part("a", b"x", "f")[:-3], "no end"),
        (b"--b\r\nContent-Disposition: form-data", "no end"),
        (b"--bx\r\n\r\n\r\n--b--", "headers"),
        (b"--b\r\nX: y\r\n\r\nx\r\n--b--", "no name"),
        (b"--b\r\nX: " + b"y" * HEADERS, "too long"),
        (part("a", b"\xff") + b"--b--", "utf-8"),
        (part("a", b"x" * (OPTION + 1)) + b"--b--", "more than"),
        (part("a", b"x", "f") * (MOST + 1) + b"--b--", "parts"),
    ],
)
def test_what_is_no_form(body, why):
    for pieces in ([body], [body[i : i + 7] for i in range(0, len(body), 7)]):
        with pytest.raises(ValueError, match=why):
            read(pieces)


def test_a_form_without_a_boundary():
    with pytest.raises(ValueError, match="boundary"):
        read([], "")
