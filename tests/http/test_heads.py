"""The headers of a request: what is read, what is refused, and how long that takes."""

import contextlib
import time

import pytest

from mlq.http.heads import Broken, read_head

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


@pytest.mark.parametrize("name", [b"Content-Type", b"Prefer", b"If-None-Match", b"Range", b"Authorization"])
def test_a_header_that_takes_long_to_parse_is_short(name):
    read(name + b": " + b"," * 1000)
    with pytest.raises(Broken, match="is too long") as raised:
        read(name + b": " + b"," * 1001)
    assert raised.value.status == 431


def test_a_query_has_so_many_parameters():
    read_head(b"GET /jobs?" + b"&".join(b"a=%d" % i for i in range(200)) + b" HTTP/1.1\r\nHost: localhost\r\n")
    with pytest.raises(Broken, match="more than 200 parameters"):
        read_head(b"GET /jobs?" + b"&" * 200 + b" HTTP/1.1\r\nHost: localhost\r\n")


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


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n",
        b"GET / HTTP/1.1\r\nHost: u@a\r\n",
        b"GET http:///x HTTP/1.1\r\n",
        b"GET http://a/x HTTP/1.1\r\n",  # absolute, and no Host either
        b"GET x HTTP/1.1\r\nHost: a\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n",
        b" GET / HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n",
        b"GET / http/1.1\r\nHost: a\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n",
        b"GET /\r HTTP/1.1\r\nHost: a\r\n",
        b"GET / HTTP/1.1\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nB: c\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nB: c\x1bd\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nB: c\rd\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_what_is_no_request_is_refused(head):
    with pytest.raises(Broken):
        read_head(head)


def test_an_address_with_a_host_overrides_the_header():
    head = read_head(b"GET HTTP://b:1?x=%20 HTTP/1.1\r\nHost: a\r\n")
    assert (head.path, head.query, head.fields["HTTP_HOST"]) == ("/", "x=%20", "b:1")


def test_what_wsgi_could_not_tell_apart_is_left_out():
    head = read(b"X_Forwarded_For: evil", b"Content_Length: 7", b"A-B: 1", b"A-B: 2", b"Cookie: a", b"Cookie: b")
    assert head.fields == {"HTTP_HOST": "localhost", "HTTP_A_B": "1,2", "HTTP_COOKIE": "a; b"}


@pytest.mark.parametrize(
    ("minor", "lines", "keeps"),
    [(1, [], True), (1, [b"Connection: close"], False), (1, [b"Connection: Upgrade, Close"], False),
     (0, [], False), (0, [b"Connection: Keep-Alive"], True)],
)  # fmt: skip
def test_whether_the_client_may_ask_again(minor, lines, keeps):
    head = read_head(b"\r\n".join((b"GET / HTTP/1.%d" % minor, b"Host: a", *lines, b"")))
    assert head.keeps == keeps
