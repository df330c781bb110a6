"""Limits of time on what a client sends: a clock of our own, so that no machine is too slow."""

from types import SimpleNamespace

import pytest

from mlq.http import incoming
from mlq.http.budget import FREE, Budget, Share
from mlq.http.heads import Broken
from mlq.http.incoming import LARGER, SLOWEST, Full, Incoming, Slow, TooLong

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


class Client:
    """Sends pieces, each after some seconds; then nothing."""

    def __init__(self, monkeypatch, pieces):
        self.now = 0.0
        self._pieces = list(pieces)
        self._patience = None
        monkeypatch.setattr(incoming, "time", SimpleNamespace(monotonic=lambda: self.now))

    def settimeout(self, seconds):
        self._patience = seconds

    def recv(self, most):
        seconds, piece = self._pieces.pop(0) if self._pieces else (1e9, b"")
        if seconds > self._patience:
            self._pieces.insert(0, (seconds - self._patience, piece))
            self.now += self._patience
            raise TimeoutError
        self.now += seconds
        if len(piece) > most:
            self._pieces.insert(0, (0, piece[most:]))
        return piece[:most]


@pytest.fixture
def begun(monkeypatch):
    def begin(pieces, timeout=10):
        client = Client(monkeypatch, pieces)
        return client, Incoming(client, timeout)

    return begin


def test_a_head_must_be_whole_in_time_however_it_comes(begun):
    client, coming = begun([(1, b"%c" % byte) for byte in HEAD])
    with pytest.raises(Slow, match="the headers took too long"):
        coming.head(10)
    assert client.now == 11  # from the first byte


def test_a_silent_client_is_left(begun):
    client, coming = begun([])
    assert coming.head(10) is None
    assert client.now == 10


@pytest.mark.parametrize(("empty", "rest"), [(b"\r\n", b""), (b"\r\n\r\n", b"\r\n"), (b"\r", b"\n")])
def test_empty_lines_begin_no_request(begun, empty, rest):
    """They came behind a body; what asks nothing is closed as silently as who sends nothing, and no earlier."""
    request = HEAD + b"Content-Length: 2\r\n\r\n{}"
    client, coming = begun([(0, request + empty), (50, rest + request + empty)], timeout=10)
    for _ in range(2):
        with Share(Budget(100)) as share:
            assert coming.body(coming.head(100), 100, share) == b"{}"
    assert coming.head(100) is None
    assert client.now == 150


def test_an_empty_line_is_not_waited_behind_for_ever(begun):
    client, coming = begun([(1, b"\r\n")] * 200)
    assert coming.head(100) is None
    assert client.now == 100


def test_a_line_without_cr_is_told_at_once(begun):
    client, coming = begun([(0, b"GET / HTTP/1.1\n"), (1, b"\n")])
    with pytest.raises(Broken, match="without CR"):
        coming.head(10)
    assert client.now == 0


@pytest.mark.parametrize("rate", [0.9, 1.5])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_may_take_as_long_as_it_makes_progress(begun, rate, chunked):
    size, seconds = 50 * SLOWEST, 50 / rate
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
    pieces = [(seconds / 512, b"x" * (size // 512))] * 512
    if chunked:
        pieces = [(wait, b"%x\r\n%b\r\n" % (len(piece), piece)) for wait, piece in pieces] + [(0, b"0\r\n\r\n")]
    _, coming = begun([(0, HEAD + length + b"\r\n\r\n"), *pieces], timeout=1)
    head = coming.head(10)
    with Share(Budget(10 * size)) as share:
        if rate < 1:
            with pytest.raises(Slow):
                coming.body(head, size, share)
            assert not coming.goes_on()
        else:
            assert coming.body(head, size, share) == b"x" * size
            assert coming.goes_on()


@pytest.mark.parametrize("length", [b"Content-Length: 2000000", b"Transfer-Encoding: chunked"])
def test_a_large_body_needs_room_and_gives_it_back(begun, length):
    body = b"x" * 2_000_000 if b"Content" in length else b"1E8480\r\n" + b"x" * 2_000_000 + b"\r\n0\r\n\r\n"
    for total, error in ((2_000_000 - FREE - LARGER, Full), (3_000_000, None), (3_000_000, TooLong)):
        _, coming = begun([(0, HEAD + length + b"\r\n\r\n"), (0, body)])
        head, budget = coming.head(10), Budget(total)
        with Share(budget) as share:
            if error is None:
                assert len(coming.body(head, 2_000_000, share)) == 2_000_000
                assert budget.left < total - 1_000_000
            else:
                with pytest.raises(error):
                    coming.body(head, 2_000_000 - (error is TooLong), share)
        assert budget.left == total


@pytest.mark.parametrize(
    ("length", "body", "goes_on"),
    [
        (b"Content-Length: 5", b"abcde", True),
        (b"Content-Length: 5", b"abc", False),
        (b"Content-Length: 65537", b"x" * 65537, False),
        (b"Transfer-Encoding: chunked", b"0\r\n\r\n", False),
    ],
)
def test_a_body_that_nobody_wanted_is_heard_out_if_it_is_small(begun, length, body, goes_on):
    client, coming = begun([(0, HEAD + length + b"\r\n\r\n" + body), (100, HEAD + b"\r\n")], timeout=1000)
    coming.head(10)
    assert coming.goes_on() == goes_on
    assert client.now <= incoming.LINGER
    if goes_on:
        assert coming.head(1000).length == 0
