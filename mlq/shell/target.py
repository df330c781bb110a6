"""Chooses the server to use, and the options of connections to it.

Order: arguments, then `MLQ_URL`, then this user's embedded server if it runs, then a server that responds on
localhost:6379 (the default of the first MLQ), then a new embedded one. The embedded server comes before localhost, so
that programs that share it stay together when another server is started on this machine. Nothing is contacted before
the first operation.
"""

import logging
import os
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from mlq.errors import InputError
from mlq.system.descriptors import keep_standard_open

log = logging.getLogger("mlq.server")

LOCAL = "redis://localhost:6379"
ANSWER_TIMEOUT = 5.0  # seconds to connect, and for one reply
_SECRET = ("pass", "user", "secret", "token", "cred", "auth")  # mark a URL parameter as secret if its name has one
_PROBE_TIMEOUT = 0.5  # seconds; the loopback interface responds at once or not at all


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and why it was chosen."""

    url: str = field(repr=False)  # it may hold a password
    origin: str  # "arguments", "MLQ_URL", "localhost:6379" or "embedded"

    def __str__(self) -> str:
        """The URL without its password, and the origin."""
        return f"{without_secrets(self.url)} (from {self.origin})"


def without_secrets(url: str) -> str:
    """The URL as it may be shown, well formed or not. If in doubt, hides too much rather than a part of a password.

    A password may have any character in it, so it is taken to end at the last @ that is not in a parameter.
    """
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    user, at, place = rest.rpartition("@")
    in_query = "=" in user.partition("?")[2]
    if in_query:
        user, at, place = rest.partition("?")[0].rpartition("@")
        place, port, _ = place.partition(":") if not at else (place, "", "")
        place += f"{port}{'***' * bool(port)}?{rest.partition('?')[2]}"  # what looks like a port may be the password
    name, colon, _ = user.partition(":")
    place, question, query = place.partition("?")
    return (
        f"{scheme}{separator}{name}{colon}{'***' * bool(colon)}{at}{place}{question}{_shown(query, all_of_it=in_query)}"
    )


def _shown(query: str, *, all_of_it: bool) -> str:
    """The URL's parameters, without secret values."""
    shown, hides = [], all_of_it
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        if equals:
            hides = all_of_it or any(word in unquote(name).lower() for word in _SECRET)
        shown.append(part if not hides else f"{name}=***" if equals else "***" * bool(part))
    return "&".join(shown)


def from_arguments(url: str | None, host: str | None, port: int | str | None, db: int | str) -> Target | None:
    """The target in the caller's arguments, or None. A URL may also be given as the host."""
    if url is None and host is not None and "://" in str(host):
        url, host = str(host), None
    if url is not None:
        if host is not None or port is not None or db not in (0, "0"):
            raise InputError(
                "a URL has host, port and database in it (redis://host:6379/3): leave the other arguments out"
            )
        if url.partition("://")[0] not in ("redis", "rediss", "unix"):
            shown = without_secrets(url)
            raise InputError(f"the server's URL must begin with redis://, rediss:// or unix://, not {shown!r:.60}")
        if _is_ambiguous(url):
            raise InputError(
                f"the server's URL {without_secrets(url)} is invalid: write host:port, and percent-encode special "
                "characters in a password (/ is %2F, ? is %3F, # is %23, @ is %40)"
            )
        return Target(url, "arguments")
    if host is None and port is None and db in (0, "0"):
        return None
    try:
        number, base = int(6379 if port is None else port), int(db)
    except ValueError:
        raise InputError(f"redis_port and redis_db must be numbers, not {port!r} and {db!r}") from None
    if not 0 < number < 65536 or base < 0:
        raise InputError(f"redis_port must be 1 to 65535 and redis_db at least 0, not {number} and {base}")
    name = host or "localhost"
    return Target(f"redis://{f'[{name}]' if ':' in name else name}:{number}/{base}", "arguments")


def _is_ambiguous(url: str) -> bool:
    """Whether the URL can't be parsed, or would be split within the password (whose rest would be host or database)."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if it is not a number
    except ValueError:  # dropped: its message may contain a part of the password
        return True
    if parts.scheme == "unix":  # its path may contain an @
        return False
    parameters = [part.partition("=") for part in parts.query.split("&")]
    return "@" in parts.path + parts.fragment or any("@" in name for name, *_ in parameters)


def choose(named: Target | None) -> Target:
    """The target to use; starts the embedded server if there is nothing else. Raises NoServer."""
    from_environment = os.environ.get("MLQ_URL")
    if named is not None:
        chosen = named
    elif from_environment:
        chosen = Target(from_environment, "MLQ_URL")
        from_arguments(from_environment, None, None, 0)  # raises if it is not a valid URL
    else:
        chosen = _found()
    if chosen not in _logged:
        _logged.add(chosen)
        log.info("using the server at %s", chosen)
    return chosen


_logged: set[Target] = set()  # each is logged once


def _found() -> Target:
    """The server to use if neither arguments nor environment name one. Raises NoServer, ServerError."""
    from mlq import server

    if url := server.running():
        return Target(url, "embedded")
    if _answers_locally():
        return Target(LOCAL, "localhost:6379")
    return Target(server.ensure_running(), "embedded")


def _answers_locally() -> bool:
    """Whether something on localhost:6379 speaks the Redis protocol (asking for a password counts)."""
    try:
        with socket.create_connection(("localhost", 6379), _PROBE_TIMEOUT) as probe:
            probe.settimeout(_PROBE_TIMEOUT)
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith((b"+PONG", b"-NOAUTH", b"-LOADING"))
    except OSError:
        return False


def check_peer(connection: Any) -> None:
    """Raises ServerError if a new redis-py connection to the embedded server leads to a process of another user."""
    from mlq.server import peer

    writer = getattr(connection, "_writer", None)  # only asyncio connections have one
    peer.check(writer.get_extra_info("socket") if writer else connection._sock, connection.path)  # noqa: SLF001


def connect_to_own_server(connection: Any) -> None:
    """Check that the embedded server is a process of this user before anything is sent to it."""
    check_peer(connection)
    connection.on_connect()


def connection_options(url: str, answer: float = ANSWER_TIMEOUT) -> dict[str, Any]:
    """The redis-py options of both shells: raw bytes over RESP2. No retries: we know what may be repeated."""
    keep_standard_open()  # else a socket may get the number of stdout or stderr, and other code would write to it
    over_tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return over_tcp | {
        "protocol": 2,
        "decode_responses": False,
        "socket_timeout": answer,
        "socket_connect_timeout": answer,
        "health_check_interval": 0,
    }
