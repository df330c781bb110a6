"""Forms with files: what is read, what is refused, and that no body takes long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from mlq.http.forms import HEADERS, MOST, Part, read_form


def part(name, content, file=None):
    names = f'name="{name}"' + (f'; filename="{file}"' if file is not None else "")
    return b"--b\r\nContent-Disposition: form-data; %b\r\nContent-Type: x/y\r\n\r\n%b\r\n" % (names.encode(), content)


CONTENTS = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"b", b"x", b"\xff"]), max_size=12).map(b"".join)


@settings(deadline=None, database=None)
@given(st.lists(st.tuples(st.sampled_from(["msg", "é", ""]), CONTENTS, st.booleans()), max_size=4))
def test_parts_are_read_as_they_are(parts):
    parts = [one for one in parts if b"\r\n--b" not in b"\r\n" + one[1]]
    body = b"".join(part(name, content, "f" if is_file else None) for name, content, is_file in parts) + b"--b--\r\n"
    assert read_form(body, "b") == [Part(*one) for one in parts]


@settings(deadline=None, database=None)
@given(st.text(st.sampled_from('ab "\\;=*é'), max_size=9), st.sampled_from(["", "; filename=f", '; filename="a;b"']))
def test_names_are_read_as_werkzeug_reads_them(name, file):
    """Whose parser takes 0.3 ms for each quoted string of a kilobyte."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    head = f'form-data; name="{quoted}"{file}'
    body = b"--b\r\nContent-Disposition: %b\r\n\r\nx\r\n--b--" % head.encode()
    (found,) = read_form(body, "b")
    options = parse_options_header(head)[1]
    assert found == Part(options.get("name", ""), b"x", "filename" in options) == Part(name, b"x", bool(file))


@pytest.mark.parametrize(
    ("head", "name", "is_file"),
    [
        ("form-data; name=a", "a", False),
        ("form-data;name=a;filename*=utf-8''x", "a", True),
        ('form-data; NAME="a"; FileName="x"', "a", True),
        ('form-data; name="a', "", False),
        ("form-data", "", False),
    ],
)
def test_other_ways_to_write_a_name(head, name, is_file):
    body = b"--b\r\nContent-Disposition: %b\r\n\r\nx\r\n--b--" % head.encode()
    assert read_form(body, "b") == [Part(name, b"x", is_file)]


def test_what_stands_around_the_parts_is_left_out():
    assert read_form(b"before\r\n" + part("a", b"x") + b"--b--after", "b") == [Part("a", b"x", False)]


LARGE = 8_000_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n",
        part("a", b"x"),
        part("a", b"x")[:-2] + b"--b--",
        b"x" + part("a", b"x") + b"--b--",
        b"--b\r\n\r\nx\r\n--b--",
        b"--b\r\nA: b\r\n\r\nx\r\n--b--",
        b"--b \r\n" + part("a", b"x")[5:] + b"--b--",
        part("a", b"x") * (MOST + 1) + b"--b--",
        part("a" * HEADERS, b"x") + b"--b--",
        part('a"' + '; a="b' * 10, b"x") + b"--b--",
        b"--b\r\nContent-Disposition: form-data; name=a" + b"; a=b" * (LARGE // 5) + b"\r\n\r\nx\r\n--b--",
        part("a", b"\r\n--" * (LARGE // 4)),
        b"\r\n-" * (LARGE // 3),
        b"x" * LARGE,
    ],
)
def test_what_is_no_form_is_refused(body):
    with pytest.raises(ValueError, match=r"boundary|part"):
        read_form(body, "b")


def test_without_a_boundary_there_is_no_form():
    with pytest.raises(ValueError, match="boundary"):
        read_form(part("a", b"x") + b"--b--", "")
