"""The headers of a request: what is read, what is refused, and how long that takes."""

import contextlib
import time

import pytest

from mlq.http.heads import read_head

LENGTHS = (b"", b"+9", b"-9", b"0_0", b"9,9", b"0x9", b"9 9", b"\xb2", b"9" * 19)
ENCODINGS = (b"", b"gzip", b"identity", b"chunked, identity", b"gzip, chunked", b"\xa0chunked", b"chunked;x")
CHUNKED = b"Transfer-Encoding: chunked"


def read(*lines):
    return read_head(b"\r\n".join((b"POST / HTTP/1.1", b"Host: localhost", *lines, b"")))


def test_blanks_around_a_value_are_none_of_it():
    head = read(b"A:x", b"B: \t y z\t ", b"C:", b"D:  ", "E: ü".encode("latin-1"))
    fields = {"HTTP_HOST": "localhost", "HTTP_A": "x", "HTTP_B": "y z", "HTTP_C": "", "HTTP_D": "", "HTTP_E": "ü"}
    assert head.fields == fields


@pytest.mark.parametrize("line", [b"A: x" + b" " * 30_000 + b"y", b"A:" + b"\t" * 2_000 + b"\x00", b"a" * 30_000])
def test_no_header_takes_long_to_read(line):
    began = time.monotonic()
    with contextlib.suppress(ValueError):
        read(line)
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize(
    "lines",
    [(b"Content-Length: 0",), (b"Content-Length:  7 ",), (CHUNKED,), (CHUNKED.upper(),), (b"Content-Length: 007",)],
)
def test_one_plain_length_of_the_body_is_read(lines):
    read(*lines)


@pytest.mark.parametrize(
    "lines",
    [
        *((b"Content-Length: " + told,) for told in LENGTHS),
        *((b"Transfer-Encoding: " + told,) for told in ENCODINGS),
        (CHUNKED, CHUNKED),
        (CHUNKED, b"Content-Length: 5"),
        (b"Content-Length: 5", CHUNKED),
        (b"Content-Length: 5", b"Content-Length: 5"),
        (b"Content-Length : 5",),
        (b"A: b", b" c"),
    ],
)
def test_a_length_of_the_body_that_others_may_read_otherwise_is_refused(lines):
    with pytest.raises(ValueError, match=r"header|length|encoding"):
        read(*lines)
