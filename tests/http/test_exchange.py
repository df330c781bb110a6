"""What goes over the wire, in the versions and for the methods that there are."""

import json
import re
import socket

import pytest

from mlq.http.exchange import Exchange
from mlq.http.heads import Head
from tests.http.asking import Answer, connect, port_of
from tests.http.test_serving import raw

pytestmark = pytest.mark.slow

GET = b"GET /healthz HTTP/1.%d\r\nHost: localhost\r\n%b\r\n"
CLOSE = b"Connection: close\r\n"


def test_http_1_0_is_closed_unless_it_is_asked_to_stay(serve):
    serving = serve()
    once = raw(serving, GET % (0, b"") * 2)
    assert once.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (once.count(b"HTTP/1.1"), b"\r\nConnection: close\r\n" in once) == (1, True)
    twice = raw(serving, GET % (0, b"Connection: keep-alive\r\n") + GET % (0, b""))
    assert (twice.count(b"HTTP/1.1"), b"\r\nConnection: keep-alive\r\n" in twice) == (2, True)


def test_head_is_answered_as_get_without_the_body(serve, mlq):
    serving = serve()
    connection = connect(serving)
    for path in ("/healthz", "/openapi.json", f"/jobs/{mlq.post(1)}/events", "/nothing"):
        connection.request("HEAD", path)
        given = Answer(connection.getresponse())
        assert (given.status, given.body) == (404 if path == "/nothing" else 200, b"")
    connection.request("GET", "/healthz")
    assert Answer(connection.getresponse()).text == "ok"
    connection.close()


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.2"])
def test_an_upgrade_is_answered_as_if_nobody_had_asked(serve, mlq, upgrade):
    head = f"POST /jobs HTTP/1.1\r\nHost: localhost\r\nUpgrade: {upgrade}\r\nConnection: Upgrade\r\n".encode()
    body = b'Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"msg": 1}'
    given = raw(serve(), head + body + GET % (1, CLOSE))
    assert re.findall(rb"HTTP/1.1 (\d+)", given) == [b"200", b"200"]
    assert given.endswith(b"ok")
    assert mlq.last_id() == 1


def test_a_stream_of_unknown_length_comes_in_chunks_or_to_the_end(serve, mlq):
    mlq.create_listener(lambda msg: msg)
    job = mlq.submit(1)
    job.result(60)
    asked = f"GET /jobs/{job.id}/events HTTP/1.%d\r\nHost: localhost\r\n%s\r\n"
    serving = serve()
    chunked = raw(serving, (asked % (1, CLOSE.decode())).encode())
    assert (b"\r\nTransfer-Encoding: chunked\r\n" in chunked, chunked.endswith(b"\r\n0\r\n\r\n")) == (True, True)
    plain = raw(serving, (asked % (0, "Connection: keep-alive\r\n")).encode())
    assert (b"Transfer-Encoding" in plain, b"\r\nConnection: close\r\n" in plain) == (False, True)
    assert json.loads(plain.rpartition(b"data: ")[2])["short_result"] == 1


def test_an_address_with_a_host_is_taken_by_that_host(serve):
    asked = b"GET http://%b/healthz HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
    serving = serve()
    assert raw(serving, asked % (b"localhost:1", b"evil.example")).startswith(b"HTTP/1.1 200 ")
    assert raw(serving, asked % (b"evil.example", b"localhost")).startswith(b"HTTP/1.1 403 ")


def test_a_small_refused_post_keeps_its_connection(serve, mlq):
    connection = connect(serve())
    ports = set()
    for _ in range(3):
        connection.request("POST", "/nothing", b"x" * 1000)
        ports.add(connection.sock.getsockname())
        assert Answer(connection.getresponse()).status == 404
    connection.request("POST", "/jobs", b'{"msg": 1}', {"Content-Type": "application/json"})
    ports.add(connection.sock.getsockname())
    assert Answer(connection.getresponse()).text == "1"
    connection.close()
    assert len(ports) == 1


def test_a_head_that_can_not_be_written_is_told_as_an_error():
    """It counted as sent, so the connection was closed without a word."""

    def app(environ, start):
        start("200 OK", [("X", "\u20ac")])
        return [b"ok"]

    sent = []
    exchange = Exchange(sent.append, sent.append, Head("GET", "/", "/", "", 1), lambda **_: True)
    with pytest.raises(UnicodeEncodeError):
        exchange.run(app, {})
    assert (exchange.begun, sent) == (False, [])


def test_what_follows_the_last_request_does_not_take_its_answer_back(serve):
    """Bytes that nobody reads make the kernel reset the connection."""
    with socket.create_connection(("127.0.0.1", port_of(serve())), 10) as connection:
        connection.sendall(GET % (1, CLOSE) + b"x" * 1_000_000)
        got = b""
        while piece := connection.recv(65_536):
            got += piece
    assert got.endswith(b"ok")


def test_who_must_not_go_on_is_told(serve):
    serving = serve()
    for length in (b"Content-Length: 70000", b"Transfer-Encoding: chunked"):
        given = raw(serving, b"POST /nothing HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n" + b"x" * 70_000)
        assert given.startswith(b"HTTP/1.1 404 ")
        assert b"\r\nConnection: close\r\n" in given
