"""A real server process: connections, slow and large and broken requests, its end, and outages of Redis."""

import contextlib
import os
import re
import signal
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from mlq import MLQ, InputError, server
from mlq.http.process import Plan, ServerProcess
from mlq.http.routes import Role
from tests.http.asking import Answer, ask, connect, port_of
from tests.http.jobs import address as address_of
from tests.http.tokens import GIVEN, bearer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
POST = b"POST /jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
OWNER = """
import sys, time
from mlq.http.process import Plan, ServerProcess
serving = ServerProcess(Plan({namespace!r}, {url!r}), "127.0.0.1", 0)
serving.start()
print(serving.url, serving._process.pid, flush=True)
time.sleep(60)
"""


def raw(serving, sent, timeout=60.0):
    """What comes back until the server closes; b'...' is appended where it does not in time."""
    got = b""
    with socket.create_connection(("127.0.0.1", port_of(serving)), timeout) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        try:
            while piece := connection.recv(65536):
                got += piece
        except TimeoutError:
            return got + b"..."
        except ConnectionError:
            pass
    return got


def eventually(true, seconds=10.0):
    give_up = time.monotonic() + seconds
    while not true() and time.monotonic() < give_up:
        time.sleep(0.01)
    return true()


# --- connections and bodies


def test_posts_reach_the_queue_and_keep_the_connection(serve, mlq):
    connection = connect(serve())
    for message in range(3):
        connection.request("POST", "/jobs", b'{"msg": %d}' % message, {"Content-Type": "application/json"})
        port = connection.sock.getsockname()
        assert mlq.get_job(Answer(connection.getresponse()).text)["msg"] == message
        assert connection.sock.getsockname() == port
    connection.close()


def test_requests_may_follow_before_the_answers(serve):
    one = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert raw(serve(), one * 2 + last).count(b"\r\n\r\nok") == 3


def test_a_chunked_body_is_read(serve, mlq):
    connection = connect(serve())
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/jobs", iter([b'{"msg": ', b'"in parts"}']), headers, encode_chunked=True)
    given = Answer(connection.getresponse())
    connection.close()
    assert (given.status, mlq.get_job(given.text)["msg"]) == (200, "in parts")


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 100000\r\n\r\n",
        b"Content-Length: 100000\r\n\r\n" + b"x" * 5000,
        b"Transfer-Encoding: chunked\r\n\r\n800\r\n" + b"x" * 2048 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1500,
    ],
)
def test_a_body_over_the_limit_is_refused_and_its_sender_let_go(serve, mlq, body):
    serving = serve(body_limit=1000, request_timeout=0.5)
    given = raw(serving, POST + body)
    assert given.startswith(b"HTTP/1.1 413 ")
    assert b"too large" in given
    assert not given.endswith(b"...")
    assert mlq.last_id() == 0


def test_who_sends_all_of_a_large_body_hears_why_it_was_refused(serve):
    connection = connect(serve(body_limit=1000))
    for _ in range(2):  # on one connection
        connection.request("POST", "/jobs", b"x" * 5_000_000, {"Content-Type": "application/json"})
        assert Answer(connection.getresponse()).status == 413
    connection.close()


def test_who_hangs_up_while_a_large_body_is_refused_is_no_error(serve, capfd):
    serving = serve(body_limit=1000)
    with socket.create_connection(("127.0.0.1", port_of(serving)), 10) as connection:
        connection.sendall(POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 5000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    assert ask(serving, "/healthz").text == "ok"
    serving.stop(5)
    assert "Traceback" not in capfd.readouterr().err


def test_who_hangs_up_before_it_is_told_to_go_on_is_no_error(serve, capfd):
    serving = serve()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port_of(serving)), 10) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends with a reset
            connection.sendall(POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n")
    assert ask(serving, "/healthz").text == "ok"
    serving.stop(5)
    assert "Traceback" not in capfd.readouterr().err


# --- bodies of those who may not send them


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST /jobs", 401),
        ("POST /consumer", 401),
        ("POST /nothing", 404),
        ("POST /healthz", 405),
        ("GET /healthz", 200),
    ],
)
@pytest.mark.parametrize("length", ["Content-Length: 60000000", "Transfer-Encoding: chunked"])
def test_a_body_that_nobody_wants_is_not_waited_for(serve, line, status, length):
    serving = serve(tokens=GIVEN)
    with socket.create_connection(("127.0.0.1", port_of(serving)), 10) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 %d " % status)


def test_who_has_no_token_costs_no_memory_and_hears_so(serve):
    serving = serve(tokens=GIVEN)
    assert ask(serving, "/jobs", "POST", {"msg": 1}, bearer(Role.POST)).status == 200
    before = most_memory(serving)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_refused_and_goes_on, [serving] * 4)) == [401] * 4
    assert most_memory(serving) - before < 20_000


def test_who_asks_whether_to_send_a_body_hears_one_answer(serve):
    head = POST + b"Content-Length: 10\r\nExpect: 100-continue\r\n"
    serving = serve(tokens=GIVEN, request_timeout=0.5)
    given = raw(serving, head + b"\r\n")
    assert given.startswith(b"HTTP/1.1 401 ")
    assert given.count(b"HTTP/1.1") == 1
    allowed = head + b"X-API-Key: " + b"p" * 16 + b"\r\nConnection: close\r\n\r\n"
    assert raw(serving, allowed + b'{"msg": 1}').startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


def _refused_and_goes_on(serving):
    connection = connect(serving)
    connection.request("POST", "/jobs", b"x" * 30_000_000)
    status = Answer(connection.getresponse()).status
    connection.request("GET", "/healthz")
    assert Answer(connection.getresponse()).text == "ok"
    connection.close()
    return status


def most_memory(serving):
    """In kB."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{serving.pid}/status").read_text())[1])


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (POST + b"Content-Length: 100\r\n\r\n{", b"408"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"408"),
        (b"POST /jobs HTTP/1.1\r\nHost: local", b"408"),
        (b"POST /jobs HTTP/1.1\r\nHost: localhost\r\n", b"408"),
    ],
)
def test_a_slow_request_is_given_up(serve, mlq, sent, status):
    serving = serve(request_timeout=0.5)
    assert ask(serving, "/healthz").status == 200
    began = time.monotonic()
    given = raw(serving, sent)
    assert given.startswith(b"HTTP/1.1 " + status)
    assert not given.endswith(b"...")
    assert time.monotonic() - began < 5
    assert mlq.last_id() == 0


def test_a_request_that_was_given_up_holds_up_no_end(serve):
    serving = serve(request_timeout=0.2)
    assert raw(serving, POST + b"Content-Length: 100\r\n\r\n{").startswith(b"HTTP/1.1 408")
    begun = time.monotonic()
    serving.stop(grace=10)
    assert time.monotonic() - begun < 5


def test_slow_clients_hold_up_nobody(serve):
    serving = serve()
    with contextlib.ExitStack() as stack:
        for number in range(200):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(serving)), 20))
            slow.sendall((POST + b"Content-Length: 100\r\n\r\n{")[: 20 + number % 100])
        began = time.monotonic()
        assert ask(serving, "/jobs/count").text == "0"
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        POST + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        POST + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n",
        POST + b"Content-Length: abc\r\n\r\n",
        POST + b"Content-Length: -5\r\n\r\n",
        POST + b"Content-Length: \xb2\r\n\r\n",
        POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nx",
        POST + b"Transfer-Encoding: chunked\r\n\r\n\r\n",
        POST + b'Transfer-Encoding: chunked\r\n\r\na\r\n{"msg": 1}\r\n0\r\n no trailer\r\n\r\n',
        POST + b"X: y" + b" " * 65_000 + b"z\r\nContent-Length: x\r\n\r\n",
        b"GET /jobs?x=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /jobs?x=\xff HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n",
        POST + b"Content-Length: 50\r\n\r\n{",
        POST + b'Content-Length: 10\r\nContent-Length: 2\r\n\r\n{"msg": 1}',
        POST + b'Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{"msg": 1}\r\n0\r\n\r\n',
        POST + b'Content-Length : 10\r\n\r\n{"msg": 1}',
        POST + b'X: a\r\n b\r\nContent-Length: 10\r\n\r\n{"msg": 1}',
        POST + b'no header\r\nContent-Length: 10\r\n\r\n{"msg": 1}',
        POST + b'X: a\x00b\r\nContent-Length: 10\r\n\r\n{"msg": 1}',
    ],
)
def test_a_broken_request_ends_and_the_service_goes_on(serve, mlq, capfd, sent):
    serving = serve(request_timeout=0.5)
    assert ask(serving, "/healthz").status == 200
    given = raw(serving, sent, 3)
    assert given == b"" or re.match(rb"HTTP/1.1 4\d\d ", given)
    assert ask(serving, "/healthz").text == "ok"
    assert mlq.last_id() == 0
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "told",
    [
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 0_0",
        "Content-Length: +0",
        "Content-Length: -0",
    ],
)
def test_a_body_whose_end_is_in_doubt_is_never_run_as_the_next_request(serve, mlq, told):
    second = POST + b'Content-Length: 10\r\n\r\n{"msg": 1}'
    given = raw(serve(), POST + told.encode() + b"\r\n\r\n" + second)
    assert given.startswith(b"HTTP/1.1 400 ")
    assert given.count(b"HTTP/1.1") == 1
    assert not given.endswith(b"...")
    assert mlq.last_id() == 0


def test_what_follows_a_broken_body_is_not_run(serve, mlq):
    serving, second = serve(), POST + b'Content-Length: 10\r\n\r\n{"msg": 1}'
    for broken in (b"zz\r\n", b"\r\n", b"1\r\nxy\r\n", b"0\r\n:\r\n\r\n", b"0\r\n 0\r\n\r\n"):
        given = raw(serving, POST + b"Transfer-Encoding: chunked\r\n\r\n" + broken + second)
        assert given.startswith(b"HTTP/1.1 400 ")
        assert given.count(b"HTTP/1.1") == 1
    assert mlq.last_id() == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/jobs/a/b/result", 404),
        ("GET", "/jobs/a%2fb/result", 404),
        ("GET", "/jobs/%2e%2e%2fdocs/result", 404),
        ("GET", "/jobs/é%ff/result".replace("é", "%c3%a9"), 404),
        ("GET", "//jobs/count", 200),
        ("GET", "/jobs//result", 404),
        ("GET", "/%00", 404),
        ("TRACE", "/jobs", 405),
        ("BREW", "/jobs", 405),
        ("PUT", "/jobs/1/result", 405),
    ],
)
def test_strange_paths_and_methods(serve, method, path, status):
    given = raw(serve(), f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert given.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nLocation:" not in given


def test_no_header_comes_from_a_path(serve, mlq):
    mlq.create_listener(lambda msg: msg)
    job = mlq.submit("hello")
    job.result(60)
    serving = serve()
    for end in ("%0d%0aX-Evil:%201", "%0aX-Evil:%201", "%0d%0a%0d%0a<script>"):
        for path in (f"/jobs/{job.id}/result.txt{end}", f"/jobs/{end}", f"/{end}", f"/jobs?state={end}"):
            given = ask(serving, path)
            assert given.status in {400, 404}
            assert "X-Evil" not in given.headers


# --- addresses and proxies


def test_an_address_that_is_taken_is_refused(serve):
    taken = serve()
    with pytest.raises(InputError, match="Choose another"):
        ServerProcess(Plan("n", None), "127.0.0.1", port_of(taken))
    for address, port in (("203.0.113.1", 0), ("host.invalid", 0)):
        with pytest.raises(InputError, match="can't serve at"):
            ServerProcess(Plan("n", None), address, port)


@pytest.mark.parametrize("asked", ["/mlq/jobs", "/jobs"])
def test_below_a_prefix_links_show_it_whether_or_not_the_proxy_takes_it_off(mlq, serve, asked):
    serving = serve(prefix="/mlq")
    given = ask(serving, asked, "POST", {"msg": 1}, {"Accept": "application/json"})
    assert (given.status, given.headers["Location"]) == (202, f"/mlq{address_of(mlq, '1')}")
    assert given.json["links"]["events"] == f"/mlq{address_of(mlq, '1')}/events"
    page = ask(serving, f"{asked}?limit=1").json
    assert page["next"] is None or page["next"].startswith("/mlq/jobs?")
    assert ask(serving, "/mlq/openapi.json").json["servers"] == [{"url": "/mlq"}]
    assert ask(serving, "/mlqjobs").status == 404


def test_what_a_proxy_says_of_the_asker_is_believed_only_where_there_is_one(serve, capfd):
    asked = {"X-Forwarded-For": "192.0.2.1, 203.0.113.9", "X-Forwarded-Host": "elsewhere"}
    for proxies in (0, 1):
        serving = serve(proxies=proxies, access_log=True)
        given = ask(serving, "/jobs/count", headers=asked)
        assert given.status == (403 if proxies else 200)
        serving.stop(5)
        assert (" 203.0.113.9 - - " in capfd.readouterr().err) == bool(proxies)


def test_the_access_log_has_a_line_for_each_request(serve, capfd):
    serving = serve(access_log=True)
    ask(serving, "/jobs/7/result?x=1")
    ask(serving, "/jobs/%0a%1b[31mforged")
    raw(serving, 'GET /\x9b2J"\u202e HTTP/1.0\r\n\r\n'.encode())
    serving.stop(5)
    lines = [line for line in capfd.readouterr().err.splitlines() if "mlq.http.access" in line]
    assert len(lines) == 3
    assert '"GET /%C2%9B2J%22%E2%80%AE HTTP/1.0" 404' in lines[2]
    assert re.search(r'127\.0\.0\.1 .*"GET /jobs/7/result\?x=1 HTTP/1\.1" 404 \d+', lines[0])
    assert "\x1b" not in lines[1]


def test_without_it_there_is_none(serve, capfd):
    serving = serve()
    ask(serving, "/healthz")
    serving.stop(5)
    assert "mlq.http.access" not in capfd.readouterr().err


# --- Redis


@pytest.fixture
def own_server(namespace):
    """A server that the test may freeze and end."""
    with server.scratch(appendfsync=None, port=0) as running:
        yield running


def test_it_is_alive_while_redis_is_frozen_and_goes_on_afterwards(serve, own_server, namespace):
    serving = serve(own_server.url)
    assert ask(serving, "/jobs", "POST", {"msg": 0}).text == "1"
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(20) as pool:
            posts = [pool.submit(ask, serving, "/jobs", "POST", {"msg": n}) for n in range(20)]
            for _ in range(5):
                began = time.monotonic()
                assert ask(serving, "/healthz").text == "ok"
                assert time.monotonic() - began < 2
            assert not any(post.done() for post in posts)
            os.kill(own_server.pid, signal.SIGCONT)
            assert sorted(int(post.result(60).text) for post in posts) == list(range(2, 22))
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    with contextlib.closing(MLQ(namespace, url=own_server.url)) as queue:
        assert queue.job_count() == 21


def test_who_asks_whether_it_is_ready_costs_one_connection_to_redis(serve, own_server):
    serving = serve(own_server.url)
    with contextlib.closing(redis.Redis.from_url(own_server.url)) as looking, ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(ask, serving, "/readyz") for _ in range(30)]
        assert {given.result(60).text for given in asked} == {"no worker is alive: jobs are accepted, but none is run"}
        os.kill(own_server.pid, signal.SIGSTOP)
        try:
            asked = [pool.submit(ask, serving, "/readyz") for _ in range(30)]
            assert ask(serving, "/healthz").text == "ok"
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
        assert {given.result(60).status for given in asked} == {503}
        assert len(looking.client_list()) <= 3  # one of ours, and what the process opened to begin with


def test_it_is_503_while_redis_is_away_and_recovers(serve, prepared, own_server):
    prepared("from mlq.shell import trouble; trouble.PATIENCE = 0.5")
    serving = serve("redis://127.0.0.1:1")
    for path in ("/jobs", "/jobs/count", "/jobs/1", "/jobs/1/result", "/jobs/1/events", "/readyz"):
        given = ask(serving, path, headers={"Accept": "application/json"})
        assert given.status == 503
        assert ask(serving, "/healthz").text == "ok"
    given = ask(serving, "/jobs", "POST", {"msg": 1}, {"Accept": "application/json"})
    assert (given.status, given.headers["Retry-After"]) == (503, "1")
    assert given.json["title"] == "Service Unavailable"
