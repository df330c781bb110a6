"""What one client does must not keep others waiting: a second one is answered all the while."""

import contextlib
import os
import re
import select
import signal
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlq.http.budget import Budget
from mlq.http.connection import Connection
from mlq.http.settings import Settings
from tests.http.asking import Answer, ask, connect, port_of
from tests.http.test_serving import eventually
from tests.http.tokens import GIVEN
from tests.programs import until

pytestmark = pytest.mark.slow

HEAD = b"%b HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD % b"POST /jobs" + b"Transfer-Encoding: chunked\r\n"
TOKEN = b"X-API-Key: " + b"p" * 16 + b"\r\n"
JSON = b"Content-Type: application/json\r\n"
GET = HEAD % b"GET /healthz"
ACCEPT = b"Accept: " + b"application/json;q=0.5,text/plain;q=0.5," * 390 + b"\r\n\r\n"
HEAVY = b'{"msg": [' + b'{"":[]},' * 120_000 + b"1]}"  # as many parts as are taken
UPLOADS = "uploads without tokens"
ANSWERS = 30  # that the second client gets meanwhile

# What is sent once on a connection, and what again and again
ATTACKS = {
    "extensions": (CHUNKED + b"\r\n", b"1;" + b"a" * 200 + b"\r\nx\r\n"),
    "long extensions": (CHUNKED + b"\r\n", b"1;" + b"a" * 8000 + b"\r\nx\r\n"),
    "small chunks": (CHUNKED + b"\r\n", b"1\r\nx\r\n"),
    "trailers": (CHUNKED + b"\r\n0\r\n", b"a: b\r\n"),
    "small chunks with a token": (CHUNKED + TOKEN + JSON + b"\r\n", b"1\r\nx\r\n"),
    "larger chunks with a token": (CHUNKED + TOKEN + JSON + b"\r\n", b"40\r\n" + b"x" * 64 + b"\r\n"),
    "a large body": (HEAD % b"POST /jobs" + b"Content-Length: 99999999\r\n\r\n", b"x" * 65_536),
    "a head without an end": (HEAD % b"GET /", b"a: b\r\n"),
    "a line without an end": (b"GET /", b"x" * 1000),
    "empty lines": (b"", b"\r\n" * 1000),
    "requests without a pause": (b"", GET + b"\r\n"),
    "refused posts without a pause": (b"", HEAD % b"POST /jobs" + b"Content-Length: 5\r\n\r\nabcde"),
    "much that is accepted": (b"", HEAD % b"GET /jobs/count" + ACCEPT),
    UPLOADS: (b"", HEAD % b"POST /consumer" + JSON + b"Content-Length: 2\r\n\r\n{}"),
    "heavy JSON": (b"", HEAD % b"POST /jobs" + TOKEN + JSON + b"Content-Length: %d\r\n\r\n" % len(HEAVY) + HEAVY),
}


class Attack:
    """Sends on a few connections without a pause, from a thread; what comes back is dropped."""

    def __init__(self, port, begin, again):
        self.rounds = 0
        self._port, self._begin, self._again = port, begin, again * max(1, 60_000 // len(again))
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._stopped.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 5) as connection:
                connection.sendall(self._begin)
                while not self._stopped.is_set():
                    connection.sendall(self._again)
                    self.rounds += 1
                    if select.select([connection], [], [], 0)[0] and not connection.recv(1_000_000):
                        break


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_answered_meanwhile(serve, name):
    serving = serve(tokens=() if name == UPLOADS else GIVEN)
    assert ask(serving, "/healthz").text == "ok"
    with Attack(port_of(serving), *ATTACKS[name]) as attack:
        while not attack.rounds:
            time.sleep(0.001)
        began = attack.rounds
        probe = connect(serving, timeout=30)
        for number in range(ANSWERS):
            if not number % 10:
                probe.close()  # and a new connection
            probe.request("GET", "/healthz")
            assert Answer(probe.getresponse()).text == "ok"
        while attack.rounds == began:  # it goes on
            time.sleep(0.001)
        probe.close()


# --- connections


def opened(stack, serving, sent=b""):
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(serving)), 30))
    connection.sendall(sent)
    return connection


def is_closed(connection):
    """Whether the server ends it; waits for that."""
    with contextlib.suppress(ConnectionError):
        return connection.recv(1) == b""
    return True


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HEAD % b"GET /"])
def test_a_connection_that_asks_nothing_is_closed(serve, sent):
    serving = serve(request_timeout=0.5)
    with contextlib.ExitStack() as stack:
        connection = opened(stack, serving, sent)
        while connection.recv(1000):  # where it began to ask, it hears what is wrong
            pass


def test_who_only_holds_connections_keeps_nobody_out(serve):
    serving = serve(connections=8)
    with contextlib.ExitStack() as stack:
        for sent in (b"", HEAD % b"GET /", HEAD % b"POST /nothing" + b"Content-Length: 90000\r\n\r\n"):
            held = [opened(stack, serving, sent) for _ in range(20)]
            assert ask(serving, "/healthz").text == "ok"
            assert is_closed(held[0]) or sent.startswith(HEAD % b"POST /nothing")


@pytest.mark.parametrize(("busy_at", "answers"), [(50, 2), (-1, 1)])
def test_a_busy_service_reads_nothing_for_a_client_that_has_gone(serve, prepared, busy_at, answers):
    """Thousands that ask and hang up would keep others waiting. But what was posted before stays."""
    prepared(f"import mlq.http.serving; mlq.http.serving.BUSY_AT = {busy_at}")
    serving = serve()
    post = b'Content-Type: application/json\r\nPrefer: wait=1\r\nContent-Length: 10\r\n\r\n{"msg": 1}'
    with contextlib.ExitStack() as stack:
        connection = opened(stack, serving, HEAD % b"POST /jobs" + post + HEAD % b"GET /healthz" + b"\r\n")
        until(lambda: ask(serving, "/jobs/count").text == "1")
        connection.shutdown(socket.SHUT_WR)  # while the post waits for its result
        told = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert told.count(b"HTTP/1.1 20") == answers
    assert ask(serving, "/jobs/count").text == "1"


@pytest.mark.parametrize(("busy_at", "gone_at", "posted"), [(50, 100, "1"), (-1, 100, "0"), (50, 0, "0")])
def test_a_busy_service_posts_nothing_for_a_client_that_had_gone_before(serve, prepared, busy_at, gone_at, posted):
    """It was too slow for that client, which may have posted again since."""
    prepared(f"from mlq.http import serving; serving.BUSY_AT, serving.GONE_AT = {busy_at}, {gone_at}")
    serving = serve()
    with contextlib.ExitStack() as stack:
        os.kill(serving.pid, signal.SIGSTOP)
        try:
            post = HEAD % b"POST /jobs" + b'Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"msg": 1}'
            connection = opened(stack, serving, post)
            connection.shutdown(socket.SHUT_WR)
        finally:
            os.kill(serving.pid, signal.SIGCONT)
        assert bool(connection.recv(10_000)) == (posted == "1")
    assert ask(serving, "/jobs/count").text == posted


def test_who_sends_heads_byte_by_byte_keeps_nobody_out(serve):
    """All of its connections have something unread; then the one that has been open longest is closed."""
    serving = serve(connections=8)
    with contextlib.ExitStack() as stack:
        held = [opened(stack, serving, b"GET") for _ in range(20)]
        for _ in range(20):
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.send(b"x")
            assert ask(serving, "/healthz").text == "ok"


def test_a_connection_with_an_unread_request_does_not_rest():
    """So that it is not the one that is closed to make room for another."""
    serving = SimpleNamespace(answers=Budget(1), settings=Settings())
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
    ):
        accepted, address = listening.accept()
        with accepted:
            connection = Connection(accepted, address, serving)
            assert connection.rests()
            client.sendall(b"GET")
            select.select([accepted], [], [], 20)
            assert not connection.rests()
            accepted.recv(3)
            client.close()
            select.select([accepted], [], [], 20)
            assert connection.rests()
        assert connection.rests()


def test_connections_leave_files_for_the_rest(serve, prepared):
    prepared("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))")
    serving = serve()
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            for _ in range(100):
                opened(stack, serving)
            assert ask(serving, "/jobs/count").text == "0"


def test_who_takes_no_answers_keeps_nobody_out(serve):
    serving = serve(connections=4)
    with contextlib.ExitStack() as stack:
        asking = (HEAD % b"GET /openapi.json" + b"\r\n") * 200  # 6 MB of answers
        for _ in range(8):
            connection = opened(stack, serving)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(asking)
        for _ in range(5):
            assert ask(serving, "/healthz").text == "ok"


def test_what_is_under_way_is_not_closed_for_others(serve, mlq, follow):
    serving = serve(connections=4)
    streams = [follow(serving, mlq.post(1)) for _ in range(3)]
    for events in streams:
        events.until("state")
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            opened(stack, serving)
            assert ask(serving, "/healthz").text == "ok"
    mlq.create_listener(lambda msg: msg)
    for events in streams:
        assert events.until("end")


def test_where_all_connections_are_busy_the_next_hears_so(serve, mlq, follow):
    serving = serve(connections=2)
    for events in [follow(serving, mlq.post(1)) for _ in range(2)]:
        events.until("state")
    with contextlib.ExitStack() as stack:
        given = opened(stack, serving).recv(1000)
        assert given.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in given


# --- the memory for bodies


def unfinished(stack, serving, size):
    """A post whose body does not end; it was read so far."""
    head = (
        HEAD % b"POST /jobs" + b"Content-Type: image/png\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % size
    )
    connection = opened(stack, serving, head)
    return connection, connection.recv(1000)


def test_unfinished_posts_take_bounded_memory_and_small_ones_pass(serve, mlq):
    size = 200_000
    serving = serve(body_limit=size)
    with contextlib.ExitStack() as stack:
        held = [unfinished(stack, serving, size) for _ in range(4)]
        assert all(said.startswith(b"HTTP/1.1 100 ") for _, said in held)
        given = ask(serving, "/jobs", "POST", b"x" * size, {"Content-Type": "image/png"})
        assert (given.status, given.headers["Retry-After"]) == (503, "5")
        assert ask(serving, "/jobs", "POST", b"x" * 60_000, {"Content-Type": "image/png"}).status == 200
        held[0][0].sendall(b"x" * size)
        assert held[0][0].recv(1000).startswith(b"HTTP/1.1 200 ")
    while (given := ask(serving, "/jobs", "POST", b"x" * size, {"Content-Type": "image/png"})).status == 503:
        pass  # until it is noticed that the others have left
    assert given.status == 200
    assert mlq.last_id() == 3


def test_what_json_becomes_takes_room_too(serve):
    serving = serve(body_limit=200_000)  # 800,000 bytes for all
    assert ask(serving, "/jobs", "POST", {"msg": [[]] * 3000}).status == 200
    for _ in range(3):  # nothing stays taken
        assert ask(serving, "/jobs", "POST", {"msg": [[]] * 5000}).status == 503
        assert ask(serving, "/jobs", "POST", {"msg": "[" * 5000}).status == 200


@pytest.mark.parametrize("wide", ["\U0001f600", r"\ud83d\ude00", r"\uD83D\uDE00"])
def test_a_text_takes_the_room_that_its_widest_character_makes_it_take(serve, wide):
    """One beyond U+FFFF, also where it is escaped, has each of the others take 4 bytes."""
    serving = serve(body_limit=200_000)  # 800,000 bytes for all
    plain, wide = (f'{{"msg": "{one}{"x" * 180_000}"}}'.encode() for one in ("", wide))
    for body, status in ((plain, 200), (wide, 503), (plain, 200)):
        assert ask(serving, "/jobs", "POST", body, {"Content-Type": "application/json"}).status == status


def test_who_waits_for_a_result_holds_no_room_for_what_was_sent(serve, mlq):
    size = 20_000_000
    serving = serve(body_limit=size)
    assert ask(serving, "/jobs", "POST", b"x" * size, {"Content-Type": "image/png"}).status == 200
    before = memory(serving)
    with contextlib.ExitStack() as stack:
        post = HEAD % b"POST /jobs" + b"Content-Type: image/png\r\nPrefer: wait=60\r\nContent-Length: %d\r\n\r\n" % size
        for number in range(2, 7):  # one more than there is room for
            opened(stack, serving, post + b"x" * size)
            assert eventually(lambda number=number: mlq.last_id() == number)
        assert eventually(lambda: memory(serving) < before + 60_000)


def memory(serving):
    """In kB."""
    return int(re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{serving.pid}/status").read_text())[1])


@pytest.mark.parametrize("text", [b'"' + b"x" * (16 * 1024 * 1024) + b'"', b"[" + b"1," * 500_000 + b"1]"])
def test_json_is_bounded_more_narrowly_than_bytes(mlq, client, text):
    given = client.post("/jobs", data=b'{"msg": %b}' % text, content_type="application/json")
    assert (given.status_code, mlq.last_id()) == (413, 0)
    form = b'--b\r\nContent-Disposition: form-data; name="msg"\r\n\r\n%b\r\n--b--\r\n' % text
    given = client.post("/jobs", data=form, content_type="multipart/form-data; boundary=b")
    assert (given.status_code, mlq.last_id()) == (413, 0)
    assert client.post("/jobs", data=text, content_type="image/png").status_code == 200
    assert Settings().body_limit > len(text)


# --- answers that nobody takes


@pytest.fixture
def large(mlq):
    """The path of a result of 20 MB: more than the sockets of a client and a server hold."""

    def large(msg):
        return b"x" * 20_000_000

    mlq.create_listener(large)
    job = mlq.submit(1)
    job.result(60)
    return f"/jobs/{job.id}/result"


@pytest.mark.parametrize(("slow", "status"), [("1e9", 503), ("0", 200)])
def test_answers_that_nobody_takes_have_a_bound_together(serve, prepared, large, slow, status):
    """Each took 60 MB, and 60 MB more in a connection to Redis, as long as its client liked."""
    prepared(f"import mlq.http.serving; mlq.http.serving.SLOW = {slow}")
    serving = serve(body_limit=10_000_000)  # two answers fit
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            assert opened(stack, serving, HEAD % f"GET {large}".encode() + b"\r\n").recv(1)  # it has begun
        given = ask(serving, large)
        assert given.status == status
        assert len(given.body) == 20_000_000 or given.headers["Retry-After"] == "5"
    assert ask(serving, "/healthz").text == "ok"


def test_who_holds_no_room_is_not_given_up_for_it(serve, mlq, prepared, large):
    prepared("import mlq.http.serving; mlq.http.serving.SLOW = 0")
    serving, answers = serve(body_limit=10_000_000), 1000

    def small(msg):
        return b"x" * 30_000

    mlq.create_listener(small)
    job = mlq.submit(1, functions=["small"])
    job.result(60)
    asking = HEAD % f"GET /jobs/{job.id}/result".encode()
    with contextlib.ExitStack() as stack:
        slow = opened(stack, serving, (asking + b"\r\n") * (answers - 1) + asking + b"Connection: close\r\n\r\n")
        assert slow.recv(1)  # 30 MB, of small ones
        for _ in range(2):
            assert opened(stack, serving, HEAD % f"GET {large}".encode() + b"\r\n").recv(1)
        assert ask(serving, large).status == 200
        got = bytearray()
        while piece := slow.recv(1_000_000):
            got += piece
        assert got.count(b"TTP/1.1 200 ") == answers


def test_followers_that_take_nothing_have_a_bound_together(serve, mlq):
    """Of a stream with large entries, each took 66 MB."""

    def emits(count):
        for _ in range(count):
            yield b"x" * 2_000_000

    mlq.create_listener(emits)
    job = mlq.submit(10)
    job.result(60)
    serving = serve(body_limit=10_000_000)  # of entries, 40 MB fit
    before = memory(serving)
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            assert opened(stack, serving, HEAD % f"GET /jobs/{job.id}/events".encode() + b"\r\n").recv(1)
        assert ask(serving, "/healthz").text == "ok"
        assert memory(serving) < before + 400_000
    assert ask(serving, f"/jobs/{job.id}/events").text.count("event: chunk") == 10


def test_many_that_wait_for_one_large_result_hold_no_copies(serve, mlq):
    """Each of them had the server copy it, and this process decode it, before any room was asked for."""
    posted, go_on = threading.Event(), threading.Event()

    def large(msg):
        posted.set()
        go_on.wait(30)
        return b"x" * 20_000_000

    mlq.create_listener(large)
    serving = serve(body_limit=10_000_000)
    post = HEAD % b"POST /jobs" + b"Content-Type: application/json\r\nPrefer: wait=60\r\nIdempotency-Key: one\r\n"
    post += b'Content-Length: 10\r\n\r\n{"msg": 1}'
    with contextlib.ExitStack() as stack:
        waiting = [opened(stack, serving, post) for _ in range(40)]
        assert posted.wait(20)
        before = memory(serving)
        go_on.set()
        answers = [one.recv(12) for one in waiting]
        assert {answer[:12] for answer in answers} <= {b"HTTP/1.1 200", b"HTTP/1.1 503"}
        assert memory(serving) < before + 400_000
    assert ask(serving, "/healthz").text == "ok"


def test_small_results_do_not_wait_for_large_ones(serve, prepared, mlq):
    """All values were read by four at a time, whatever their size: a small one came after half a minute."""
    mlq.create_listener(lambda count: [{}] * count)
    small, large = mlq.submit(1), mlq.submit(60_000)  # as JSON, this takes 50 ms
    assert len(large.result(60)) == 60_000
    assert small.result(60) == [{}]
    prepared("from mlq.http import turns; turns.PATIENCE = 60.0")  # on a busy machine, the last ones wait for long
    serving = serve()
    with contextlib.ExitStack() as stack:
        get = HEAD % f"GET /jobs/{large.id}/result".encode() + b"Accept: application/json\r\n\r\n"
        reading = [opened(stack, serving, get) for _ in range(40)]
        assert ask(serving, f"/jobs/{small.id}/result").text == "[{}]"
        answered = select.select(reading, [], [], 0)[0]
        assert len(answered) < len(reading)
        assert {one.recv(12) for one in reading} == {b"HTTP/1.1 200"}
