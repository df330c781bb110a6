"""The gevent server beside native threads: requests that wait, slow and large ones, and its end."""

import http.client
import socket
import threading

import pytest

from mlq import InputError
from mlq.http import serving as module
from mlq.http.app import BODY_LIMIT, make_app
from mlq.http.serving import Serving


@pytest.fixture
def serve():
    """Serves an application on a port of its own."""
    started = []

    def begin(app):
        started.append(Serving(app, "127.0.0.1", 0))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        one.stop(0)


def ask(serving, path, method="GET", body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=20)
    connection.request(method, path, body, headers or {}, encode_chunked=not isinstance(body, (bytes, type(None))))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


class Gate:
    """A queue whose count waits, as a call to Redis may."""

    def __init__(self, calls):
        self.waiting = threading.Semaphore(0)
        self.open = threading.Event()
        self.calls = calls

    def job_count(self):
        self.waiting.release()
        assert self.open.wait(20)
        return 7


def in_background(serving, count):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(serving, "/jobs/count"))) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def test_health_answers_while_every_thread_waits(serve, monkeypatch):
    monkeypatch.setattr(module, "THREADS", 3)
    gate = Gate(3)
    serving = serve(make_app(gate))
    threads, answers = in_background(serving, 5)
    for _ in range(3):
        assert gate.waiting.acquire(timeout=10)
    assert ask(serving, "/healthz") == (200, b"ok")
    gate.open.set()
    for thread in threads:
        thread.join()
    assert answers == [(200, b"7")] * 5


def test_requests_under_way_are_answered_before_the_end(serve):
    gate = Gate(1)
    serving = serve(make_app(gate))
    threads, answers = in_background(serving, 1)
    assert gate.waiting.acquire(timeout=10)
    stopping = threading.Thread(target=serving.stop, args=(20,))
    stopping.start()
    gate.open.set()
    stopping.join()
    threads[0].join()
    assert answers == [(200, b"7")]
    assert serving.stopped.is_set()
    assert not serving.broken
    with pytest.raises(ConnectionRefusedError):
        ask(serving, "/healthz")
    serving.stop(0)


def test_posts_reach_the_queue_and_keep_the_connection(serve, mlq):
    serving = serve(make_app(mlq))
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=20)
    for message in range(3):
        body = b'{"msg": %d}' % message
        connection.request("POST", "/jobs", body, {"Content-Type": "application/json"})
        assert mlq.get_job(connection.getresponse().read().decode())["msg"] == message
    connection.close()


def test_a_chunked_body_is_read(serve, mlq):
    serving = serve(make_app(mlq))
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    status, job_id = ask(serving, "/jobs", "POST", iter([b'{"msg": ', b'"in parts"}']), headers)
    assert status == 200
    assert mlq.get_job(job_id.decode())["msg"] == "in parts"


@pytest.mark.parametrize("declared", [BODY_LIMIT + 1, -1])
def test_a_body_over_the_limit_is_refused(serve, mlq, monkeypatch, declared):
    if declared < 0:
        monkeypatch.setattr(module, "BODY_LIMIT", 10)
        monkeypatch.setattr("mlq.http.app.BODY_LIMIT", 10)
    serving = serve(make_app(mlq))
    with socket.create_connection(("127.0.0.1", serving.port), 20) as raw:
        raw.sendall(b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        if declared < 0:
            raw.sendall(b'Transfer-Encoding: chunked\r\n\r\n20\r\n{"msg": "' + b"x" * 23 + b"\r\n0\r\n\r\n")
        else:
            raw.sendall(b"Content-Length: %d\r\n\r\n" % declared)
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")
    assert mlq.job_count() == 0


def test_a_slow_client_holds_up_nobody(serve, mlq):
    serving = serve(make_app(mlq))
    with socket.create_connection(("127.0.0.1", serving.port), 20) as slow:
        slow.sendall(b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert ask(serving, "/jobs/count") == (200, b"0")


def test_an_address_that_is_taken_is_refused(serve, mlq):
    taken = serve(make_app(mlq))
    with pytest.raises(InputError, match="Choose another"):
        Serving(make_app(mlq), "127.0.0.1", taken.port)
