"""Without tokens uploads are taken from programs of the service's own user alone, who need nothing more."""

import http.client
import json
import os
import random
import socket
import struct
import subprocess
import sys
from functools import partial

import pytest
from werkzeug.test import Client

from mlq.http.app import make_app
from mlq.http.peer import CONNECTED, is_open, is_own
from mlq.http.settings import Settings
from mlq.uploads import secret
from tests.http.test_consumer import DOUBLE, JSON, encoded

pytestmark = pytest.mark.slow

NOBODY = 65534
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose the other end is")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")


@pytest.fixture(autouse=True)
def no_secret(monkeypatch, tmp_path):
    monkeypatch.delenv(secret.VARIABLE, raising=False)
    monkeypatch.setenv("MLQ_HOME", str(tmp_path / "home"))


def ask(port, method="POST", headers=None, address="127.0.0.1"):
    """The status and words of an upload, or of what takes it back."""
    connection = http.client.HTTPConnection(address, port, timeout=20)
    try:
        connection.request(method, "/consumer", encoded(DOUBLE), {"Content-Type": JSON, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def port_of(serving):
    return int(serving.url.rpartition(":")[2])


@on_linux
def test_this_user_uploads_and_removes(serve, mlq):
    port = port_of(serve())
    assert ask(port) == (200, "True")
    assert [one["name"] for one in mlq.uploads()] == ["f"]
    assert ask(port, "DELETE") == (200, "True")
    assert mlq.uploads() == []


@on_linux
@as_root
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_another_user_does_not(serve, mlq, method):
    """He may post jobs, as everybody on this machine."""
    port = port_of(serve())
    code = f"""if True:
        import encodings.idna, os, socket, sys
        body = sys.stdin.buffer.read()
        os.setuid({NOBODY})
        for asked, body in (("{method} /consumer", body), ("POST /jobs", b'{{"msg": 1}}')):
            with socket.create_connection(("127.0.0.1", {port}), 20) as connection:
                connection.sendall(f"{{asked}} HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n"
                    f"Content-Type: application/json\\r\\nContent-Length: {{len(body)}}\\r\\n\\r\\n".encode() + body)
                told = b""
                while more := connection.recv(65536):
                    told += more
            print(told.partition(b" ")[2][:3].decode(), told.rpartition(b"\\r\\n")[2].decode())"""
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, input=encoded(DOUBLE), stdout=subprocess.PIPE, text=True, check=True).stdout
    refused, posted = told.splitlines()
    assert refused.startswith("403 ")
    assert "could not be identified as this service's user" in refused
    assert posted.startswith("200 ")
    assert mlq.uploads() == []


@on_linux
@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP"]
)
def test_a_proxy_of_this_user_is_not_its_clients(serve, mlq, header):
    port = port_of(serve())
    assert ask(port, headers={header: "127.0.0.1"})[0] == 403
    assert mlq.uploads() == []


@on_linux
@pytest.mark.parametrize(
    ("header", "length", "status"),
    [("Via: 1.1 proxy", 1000, 403), ("Via: 1.1 proxy", 60_000_000, 403), ("Accept: */*", 60_000_000, 413)],
)
def test_who_is_refused_is_told_before_the_body_is_read(serve, header, length, status):
    with socket.create_connection(("127.0.0.1", port_of(serve())), 10) as connection:
        connection.sendall(f"POST /consumer HTTP/1.1\r\nHost: localhost\r\nContent-Type: {JSON}\r\n{header}\r\n"
                           f"Content-Length: {length}\r\n\r\n".encode())  # fmt: skip
        assert connection.recv(65_536).startswith(b"HTTP/1.1 %d " % status)


@on_linux
def test_a_chunked_one_over_the_limit_is_refused_once_that_shows(serve, mlq):
    connection = http.client.HTTPConnection("127.0.0.1", port_of(serve()), timeout=20)
    try:
        connection.request(
            "POST", "/consumer", iter([b"{" * 1_000_000] * 24), {"Content-Type": JSON}, encode_chunked=True
        )
        assert connection.getresponse().status == 413
    finally:
        connection.close()


@on_linux
def test_nor_is_one_that_is_announced(serve, mlq):
    assert ask(port_of(serve(proxies=1)))[0] == 403
    assert mlq.uploads() == []


@on_linux
def test_an_operator_may_trust_the_machine(serve):
    assert ask(port_of(serve(local_uploads=True)), headers={"Via": "1.1 proxy"}) == (200, "True")


def test_who_is_not_known_is_refused(mlq):
    """A WSGI server that tells no port, or a connection that is not there."""
    client = Client(make_app(mlq, Settings()))  # not the application's own, which calls it in this process
    for environ in ({}, {"REMOTE_ADDR": "127.0.0.1"}, {"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "x"},
                    {"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "1"},
                    {"REMOTE_ADDR": "", "REMOTE_PORT": "1"}):  # fmt: skip
        answer = client.post("/consumer", data=encoded(DOUBLE), content_type=JSON, environ_overrides=environ)
        assert answer.status_code == 403
    assert mlq.uploads() == []


def test_no_header_says_that_it_is_this_process(mlq):
    client = Client(make_app(mlq, Settings()))
    for name in ("mlq.in_process", "Mlq-In-Process"):
        answer = client.post("/consumer", data=encoded(DOUBLE), content_type=JSON, headers={name: "1"})
        assert answer.status_code == 403


@on_linux
@pytest.mark.parametrize(
    ("listens", "calls"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("127.0.0.1", "::ffff:127.0.0.1")],
)
def test_every_kind_of_loopback(listens, calls):
    """IPv4, IPv6, and each as the other writes it."""
    family = socket.AF_INET6 if ":" in listens else socket.AF_INET
    try:
        listening = socket.create_server((listens, 0), family=family, dualstack_ipv6=listens == "::")
    except OSError:
        pytest.skip("no IPv6 here")
    with listening:
        port = listening.getsockname()[1]
        with socket.socket(socket.AF_INET6 if ":" in calls else socket.AF_INET) as calling:
            calling.connect((calls, port))
            accepted, asker = listening.accept()
            with accepted:
                environ = {"REMOTE_ADDR": asker[0], "REMOTE_PORT": str(asker[1]),
                           "SERVER_NAME": accepted.getsockname()[0], "SERVER_PORT": str(port),
                           CONNECTED: partial(is_open, accepted)}  # fmt: skip
                assert is_own(environ)
                assert not is_own(environ | {"SERVER_PORT": str(port + 1)})
                assert not is_own(environ | {"REMOTE_PORT": "1"})  # which the kernel knows only as one that listens
                calling.close()  # nobody owns it any more, and the kernel says 0
                assert not is_own(environ)


@on_linux
def test_who_has_the_port_after_a_reset_is_not_who_asked():
    """What was sent before the reset is still there to read, and the kernel is asked by addresses and ports."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = listening.getsockname()
        unused = random.randrange(10_000, 20_000)  # below those that the kernel gives to others in the meantime
        calling = socket.create_connection(place, source_address=("127.0.0.1", unused))
        accepted, (address, port) = listening.accept()
        environ = {"REMOTE_ADDR": address, "REMOTE_PORT": str(port), "SERVER_NAME": place[0],
                   "SERVER_PORT": str(place[1]), CONNECTED: partial(is_open, accepted)}  # fmt: skip
        assert is_own(environ)
        calling.sendall(b"POST")
        calling.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        calling.close()
        with socket.create_connection(place, source_address=(address, port)), accepted:
            assert accepted.recv(4) == b"POST"
            assert not is_own(environ)
            later, _ = listening.accept()
            with later:
                assert is_own(environ | {CONNECTED: partial(is_open, later)})


@on_linux
def test_the_kernel_is_asked_for_one_connection_and_nothing_else(monkeypatch):
    """Reading all 4,000 takes 28 ms, in which nobody is answered. Where it can't be asked, nobody is known."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as one:
        address, port = one.getsockname()
        environ = {"REMOTE_ADDR": address, "REMOTE_PORT": str(port), "SERVER_NAME": "127.0.0.1",
                   "SERVER_PORT": str(listening.getsockname()[1]), CONNECTED: lambda: True}  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr("builtins.open", lambda *_, **__: pytest.fail("a file was read"))
            assert is_own(environ)
            patch.setattr(socket, "socket", lambda *_: (_ for _ in ()).throw(PermissionError))
            assert not is_own(environ)


def test_tokens_are_enough(mlq):
    """Whoever has one that may."""
    from tests.http.tokens import GIVEN, Role, bearer

    client = Client(make_app(mlq, Settings(GIVEN)))
    body = {"data": encoded(DOUBLE), "content_type": JSON}
    assert client.post("/consumer", **body, headers=bearer(Role.POST)).status_code == 403
    assert client.post("/consumer", **body, headers=bearer(Role.ADMIN)).status_code == 200
    assert json.loads(client.get("/consumer", headers=bearer(Role.READ) | {"Accept": JSON}).text)["uploads"]
