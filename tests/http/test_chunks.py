"""Chunked bodies: what is read, whatever the pieces are in which they come, and what is refused."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlq.http.chunks import FREE, LINE, RATIO, TRAILERS, Chunks
from mlq.http.heads import Broken

NEXT = b"GET / HTTP/1.1\r\n"


def chunk(content, extension=b""):
    return b"%x%b\r\n%b\r\n" % (len(content), extension, content)


def read(pieces, most=1000):
    chunks, found = Chunks(), b""
    for piece in pieces:
        found += chunks.feed(piece, most)
        while chunks.paused:
            found += chunks.feed(b"", most)
        if chunks.ended:
            break
    return found, chunks.ended, chunks.rest


def split(body, cuts):
    ends = sorted({cut % (len(body) + 1) for cut in cuts} | {0, len(body)})
    return [body[a:b] for a, b in pairwise(ends)]


@settings(deadline=None, database=None)
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([b"", b";a", b';a="b;c"', b";"]))),
    st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC:\r\n"]),
    st.lists(st.integers(0, 2000)),
    st.integers(1, 9),
)
def test_the_content_is_the_same_in_whatever_pieces_it_comes(parts, trailers, cuts, most):
    body = b"".join(chunk(*part) for part in parts) + b"0\r\n" + trailers + b"\r\n"
    found, ended, rest = read([*split(body, cuts), NEXT], most)
    assert (found, ended) == (b"".join(content for content, _ in parts), True)
    assert NEXT.startswith(rest)


def test_so_many_lines_are_parsed_at_once():
    """Whoever sends a body of tiny chunks does not hold up others."""
    chunks = Chunks()
    assert chunks.feed(chunk(b"a") * 10, 4) == b"aa"  # a line before each, and the end of its own behind it
    assert chunks.paused
    assert chunks.feed(b"", 100) == b"a" * 8
    assert not chunks.paused


def test_what_follows_the_body_is_left():
    assert read([chunk(b"a") + b"0\r\n\r\n" + NEXT]) == (b"a", True, NEXT)


BROKEN = [
    *(size + b"\r\nx\r\n" for size in (b"", b"zz", b"-1", b"+1", b"0x1", b"1_0", b" 1", b"1 ", b"1 ;a", b";a")),
    *(line + b"x\r\n" for line in (b"1\n", b"1;a\n", b"1;a\rb\r\n", b"1;\x00\r\n", b"1\r\r\n", b"1" * 16 + b"\r\n")),
    *(b"1\r\nx" + end for end in (b"y\r\n", b"\n0\r\n", b"0\r\n", b"\rX")),
    *(b"0\r\n" + trailer for trailer in (b" 0\r\n\r\n", b":\r\n\r\n", b"a: b\n\r\n\r\n", b"a\r\n\r\n")),
    *(b"0\r\n" + trailer for trailer in (b"a: \x00\r\n\r\n", b"\n\r\n\r\n")),
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN)
@pytest.mark.parametrize("by", [1, 1000])
def test_what_others_may_read_otherwise_is_refused(body, by):
    with pytest.raises(Broken):
        read([body[at : at + by] for at in range(0, len(body), by)])


@pytest.mark.parametrize(
    "body",
    [
        b"1;" + b"a" * LINE,
        b"0\r\n" + b"a: b\r\n" * TRAILERS,
        b"0\r\na: " + b"b" * TRAILERS,
        b"1;" + b"a" * (LINE - 10) + b"\r\nx\r\n" * 1,
    ],
)
def test_framing_is_bounded(body):
    times = 1 if len(body) > LINE + 10 else FREE // LINE + RATIO * 1000
    with pytest.raises(Broken):
        read([body] * times)


def test_framing_may_grow_with_the_content():
    assert read([chunk(b"xx")] * FREE + [b"0\r\n\r\n"])[:2] == (b"xx" * FREE, True)
