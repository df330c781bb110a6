"""Which server is used, and how a user is told what went wrong with it."""

import socket
import threading
import types

import pytest
from redis import exceptions as redis_errors

from mlq import server
from mlq.errors import InputError, NoServer, OutOfMemory, ServerError, Unsupported, ValueRefused
from mlq.shell import target, trouble
from mlq.shell.target import Target, _answers_locally, choose, connection_options, from_arguments

HERE = Target("redis://here:1/0", "arguments")


@pytest.fixture(autouse=True)
def nothing_anywhere(monkeypatch):
    """No variable, no local server, and an embedded one that is only named."""
    monkeypatch.delenv("MLQ_URL", raising=False)
    monkeypatch.setattr(server, "running", lambda: None)
    monkeypatch.setattr(server, "ensure_running", lambda: "unix:///embedded")


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ((None, "host", None, 0), "redis://host:6379/0"),
        ((None, "host", 1234, 2), "redis://host:1234/2"),
        ((None, "host", "1234", "2"), "redis://host:1234/2"),
        ((None, None, 1234, 0), "redis://localhost:1234/0"),
        ((None, None, None, 3), "redis://localhost:6379/3"),
        ((None, "::1", None, 0), "redis://[::1]:6379/0"),
        ((None, "redis://other:1/3", None, 0), "redis://other:1/3"),
        (("rediss://u:p@host", None, None, "0"), "rediss://u:p@host"),
        (("unix:///a/socket", None, None, 0), "unix:///a/socket"),
    ],
)
def test_named_by_arguments(arguments, url):
    """Host, port and number, or a URL in place of the host."""
    assert from_arguments(*arguments) == Target(url, "arguments")


def test_not_named():
    """Nothing that was given names a server."""
    assert from_arguments(None, None, None, 0) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("http://host", None, None, 0),
        ("host", None, None, 0),
        ("redis://other", "host", None, 0),
        ("redis://other", "redis://other", None, 0),
        ("redis://other", None, 6379, 0),
        ("redis://other", None, None, 3),
        (None, "redis://other", 6379, 0),
        (None, "redis://other", None, 3),
        (None, "host", "x", 0),
        (None, "host", 0, -1),
        (None, "host", 70_000, 0),
        (None, "host", 1, "x"),
    ],
)
def test_badly_named(arguments):
    """Refused when the queue is made, not at the first operation."""
    with pytest.raises(InputError):
        from_arguments(*arguments)


def test_order_of_choice(monkeypatch):
    """Arguments, the variable, the embedded server that runs, a local server, a new embedded one."""
    assert choose(None) == Target("unix:///embedded", "embedded")
    monkeypatch.setattr(target, "_answers_locally", lambda: True)
    assert choose(None) == Target("redis://localhost:6379", "localhost:6379")
    monkeypatch.setattr(server, "running", lambda: "unix:///runs")
    assert choose(None) == Target("unix:///runs", "embedded")
    monkeypatch.setenv("MLQ_URL", "redis://variable:1")
    assert choose(None) == Target("redis://variable:1", "MLQ_URL")
    assert choose(HERE) is HERE


def test_variable_that_is_no_url(monkeypatch):
    """The user's mistake, told as such."""
    monkeypatch.setenv("MLQ_URL", "localhost:6379")
    with pytest.raises(InputError, match="redis://"):
        choose(None)


def test_choice_is_logged_without_the_password(caplog, monkeypatch):
    """It can be asked for as well."""
    caplog.set_level("INFO", "mlq")
    monkeypatch.setattr(target, "_logged", set())
    choose(Target("redis://user:secret@host:1", "arguments"))
    assert "user:***@host:1 (from arguments)" in caplog.text
    assert "secret" not in caplog.text
    caplog.clear()
    choose(Target("redis://user:secret@host:1", "arguments"))
    assert not caplog.text, "it is told once"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret@host",
        "redis://user:secret@host/0",
        "rediss://u:se:secret@host",
        "redis://u:p@secret@host",
        "redis://host?password=secret",
        "unix:///socket?db=1&password=secret&timeout=5",
        "redis://host?ssl_password=secret",
        "rediss://host:1/0?PassWord=secret&ssl_cert_reqs=none",
        "redis://host?pass%77ord=secret",
        "redis://host?password=a%26secret&x&secret",
        "redis://host?password=se@secret&db=1",
        "redis://host:1?username=secret@x",
        "redis://:se/secret@host",
        "redis://:se?secret@host",
        "redis://:se?a=secret@host",
        "redis://:se#secret@host",
        "redis://:12/secret@host:1/0",
        "redis://u:a@secret:secret@host",
        "redis://u:[secret]@host",
        "redis://u:secret@host:port",
        "unix://u:secret@/socket",
        "valkey://u:secret@host",
        ":secret@host",
        "u:secret@host:6379",
    ],
)
def test_password_is_never_shown(url, monkeypatch):
    """However it is written, and where the URL is none, either."""
    assert "secret" not in str(Target(url, "arguments"))
    assert "secret" not in repr(Target(url, "arguments"))
    monkeypatch.setenv("MLQ_URL", url)
    for use in (lambda: from_arguments(url, None, None, 0), lambda: choose(None)):
        try:
            told = str(use())
        except InputError as error:
            told = str(error)
        assert "secret" not in told


@pytest.mark.parametrize("password", ["a/b", "12/b", "a?b", "12?b", "a#b", "12#b", "[b", "b]", "a@b/c"])
def test_half_a_password_is_no_host(password):
    """It would be looked up, or be the port of some other server."""
    with pytest.raises(InputError, match="%2F"):
        from_arguments(f"redis://user:{password}@host:1/0", None, None, 0)


@pytest.mark.parametrize(
    "url",
    ["redis://user:***@host:1/0?socket_timeout=5", "unix:///tmp/a@b/socket?db=1", "rediss://host:1?ssl_ca_certs=/a/b",
     "redis://[::1]:6379/0", "redis://host"],
)  # fmt: skip
def test_all_else_is_shown(url):
    """People must see which server it is."""
    assert str(Target(url, "arguments")) == f"{url} (from arguments)"
    assert from_arguments(url, None, None, 0)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"+PONG\r\n", True),
        (b"-NOAUTH Authentication required.\r\n", True),
        (b"-LOADING\r\n", True),
        (b"HTTP/1.1 400", False),
        (b"", False),
    ],
)
def test_local_server_speaks_the_protocol(monkeypatch, said, found):
    """Something else that listens there is not taken for Redis."""
    ours, theirs = socket.socketpair()
    answering = threading.Thread(target=lambda: (theirs.recv(100), theirs.sendall(said), theirs.close()))
    answering.start()
    fake = types.SimpleNamespace(create_connection=lambda address, timeout: ours)
    monkeypatch.setattr(target, "socket", fake)
    assert _answers_locally() is found
    answering.join()


def test_no_local_server(monkeypatch):
    """Refused at once."""

    def refuse(address, timeout):
        raise ConnectionRefusedError

    monkeypatch.setattr(target, "socket", types.SimpleNamespace(create_connection=refuse))
    assert not _answers_locally()


def test_keepalive_is_for_tcp():
    """redis-py refuses it for unix sockets."""
    assert connection_options("redis://host").get("socket_keepalive")
    assert "socket_keepalive" not in connection_options("unix:///socket")


# --- trouble


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (redis_errors.ConnectionError("refused"), NoServer, "Is it running"),
        (redis_errors.TimeoutError("slow"), NoServer, "can't reach"),
        (OSError("no route"), NoServer, "no route"),
        (redis_errors.AuthenticationError("WRONGPASS"), ServerError, "password"),
        (redis_errors.NoPermissionError("no EVALSHA"), ServerError, "password"),
        (redis_errors.ResponseError("NOAUTH Authentication required."), ServerError, "password"),
        (redis_errors.InvalidResponse("HTTP"), NoServer, "not Redis"),
        (redis_errors.OutOfMemoryError("command not allowed"), OutOfMemory, "maxmemory"),
        (redis_errors.ResponseError("OOM command not allowed"), OutOfMemory, "maxmemory"),
        (redis_errors.ResponseError("unknown command 'ZMSCORE'"), Unsupported, "6.2"),
        (redis_errors.ResponseError("WRONGTYPE"), ServerError, "WRONGTYPE"),
        (
            redis_errors.ResponseError("ERR Protocol error: invalid bulk length"),
            ValueRefused,
            "does not accept this value",
        ),
        (redis_errors.ResponseError("ERR string exceeds maximum allowed size (512MB)"), ValueRefused, "store the data"),
        (redis_errors.ResponseError("ERR max request size exceeded. Limit: 1048576 bytes"), ValueRefused, "its limit"),
        (redis_errors.ResponseError("ERR Protocol error: unauthenticated bulk length"), ServerError, "unauthenticated"),
        (redis_errors.ResponseError("MISCONF Errors writing to the AOF file"), ServerError, "MISCONF"),
    ],
)
def test_errors_name_the_server_and_what_to_do(error, kind, words):
    """Never a redis-py traceback."""
    told = trouble.translate(error, HERE)
    assert type(told) is kind
    assert words in str(told)
    assert "redis://here:1/0 (from arguments)" in str(told)


def test_pauses_grow_to_a_second():
    """A stale connection is replaced at once. A trouble of half an hour is no other than one of a minute."""
    pauses = [trouble.pause(failures) for failures in range(1, 2000)]
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == 1


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (redis_errors.AuthenticationError(), True),
        (redis_errors.InvalidResponse(), True),
        (redis_errors.ConnectionError(), False),
        (redis_errors.TimeoutError(), False),
        (OSError(), False),
    ],
)
def test_what_no_second_try_can_mend(error, final):
    """A wrong password stays wrong."""
    assert trouble.is_final(error, answered=True) is final


def test_a_server_that_never_answered_is_a_mistake():
    """Unless it says that it is still loading its data."""
    assert trouble.is_final(redis_errors.ConnectionError(), answered=False)
    assert not trouble.is_final(redis_errors.BusyLoadingError(), answered=False)


def test_features():
    """A server that lacks a command is named with the command."""
    trouble.check_features([[b"evalsha"], [b"zmscore"], [b"unlink"]], HERE)
    trouble.check_features(None, HERE)
    with pytest.raises(Unsupported, match="ZMSCORE"):
        trouble.check_features([[b"evalsha"], None, [b"unlink"]], HERE)
