"""Which server to use, and connections to it made by redis-py.

Order: arguments, then `MLQ_URL`, then an embedded server of this user that runs, then one that answers on
localhost:6379 (the default of the first MLQ), then a new embedded one. So another server that is started on this
machine takes no program away from those that share the embedded one. Nothing is contacted before the first operation.
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
_SECRET = ("pass", "user", "secret", "token", "cred", "auth")  # in the names of parameters
_PROBE_TIMEOUT = 0.5  # seconds; the loopback either answers at once or not at all


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and what made us choose it."""

    url: str = field(repr=False)  # it may hold a password
    origin: str  # "arguments", "MLQ_URL", "localhost:6379" or "embedded"

    def __str__(self) -> str:
        """The address without its password."""
        return f"{without_secrets(self.url)} (from {self.origin})"


def without_secrets(url: str) -> str:
    """A URL that may be shown, well formed or not: rather too little of it than a part of a password.

    People write any character into a password: so it ends at the last @ that is not a parameter's.
    """
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    user, at, place = rest.rpartition("@")
    in_query = "=" in user.partition("?")[2]
    if in_query:
        user, at, place = rest.partition("?")[0].rpartition("@")
        place, port, _ = place.partition(":") if not at else (place, "", "")
        place += f"{port}{'***' * bool(port)}?{rest.partition('?')[2]}"  # what looks like a port may be a password
    name, colon, _ = user.partition(":")
    place, question, query = place.partition("?")
    return (
        f"{scheme}{separator}{name}{colon}{'***' * bool(colon)}{at}{place}{question}{_shown(query, all_of_it=in_query)}"
    )


def _shown(query: str, *, all_of_it: bool) -> str:
    """The parameters, without the values of those that are secret."""
    shown, hides = [], all_of_it
    for part in query.split("&"):
        name, equals, _ = part.partition("=")
        if equals:
            hides = all_of_it or any(word in unquote(name).lower() for word in _SECRET)
        shown.append(part if not hides else f"{name}=***" if equals else "***" * bool(part))
    return "&".join(shown)


def from_arguments(url: str | None, host: str | None, port: int | str | None, db: int | str) -> Target | None:
    """The target that the caller named, or None. A URL may also be given as the host."""
    if url is None and host is not None and "://" in str(host):
        url, host = str(host), None
    if url is not None:
        if host is not None or port is not None or db not in (0, "0"):
            raise InputError("a URL names host, port and database itself (redis://host:6379/3): leave the others out")
        if url.partition("://")[0] not in ("redis", "rediss", "unix"):
            shown = without_secrets(url)
            raise InputError(f"the server's URL must begin with redis://, rediss:// or unix://, not {shown!r:.60}")
        if _is_torn(url):
            raise InputError(
                f"the server's URL {without_secrets(url)} is none: write host:port, and what is special in a password "
                "as its code (/ is %2F, ? is %3F, # is %23, @ is %40)"
            )
        return Target(url, "arguments")
    if host is None and port is None and db in (0, "0"):
        return None
    try:
        number, base = int(6379 if port is None else port), int(db)
    except ValueError:
        raise InputError(f"redis_port and redis_db must be numbers, not {port!r} and {db!r}") from None
    if not 0 < number < 65536 or base < 0:
        raise InputError(f"redis_port must be 1 to 65535 and redis_db from 0, not {number} and {base}")
    name = host or "localhost"
    return Target(f"redis://{f'[{name}]' if ':' in name else name}:{number}/{base}", "arguments")


def _is_torn(url: str) -> bool:
    """Whether it can't be read, or only so that a password ends in the middle: the rest would be a host or a number."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it refuses what is no number
    except ValueError:  # whose text may hold a part of the password
        return True
    if parts.scheme == "unix":  # whose path may hold an @
        return False
    parameters = [part.partition("=") for part in parts.query.split("&")]
    return "@" in parts.path + parts.fragment or any("@" in name for name, *_ in parameters)


def choose(named: Target | None) -> Target:
    """The target to use now; starts the embedded server where nothing else is there. Raises NoServer."""
    from_environment = os.environ.get("MLQ_URL")
    if named is not None:
        chosen = named
    elif from_environment:
        chosen = Target(from_environment, "MLQ_URL")
        from_arguments(from_environment, None, None, 0)  # refuses what is no URL
    else:
        chosen = _found()
    if chosen not in _told:
        _told.add(chosen)
        log.info("using the server at %s", chosen)
    return chosen


_told: set[Target] = set()  # each is told of once


def _found() -> Target:
    """The server that is there though nobody named it. Raises NoServer, ServerError."""
    from mlq import server

    if url := server.running():
        return Target(url, "embedded")
    if _answers_locally():
        return Target(LOCAL, "localhost:6379")
    return Target(server.ensure_running(), "embedded")


def _answers_locally() -> bool:
    """Whether something on localhost:6379 speaks Redis' protocol (a demand for a password counts)."""
    try:
        with socket.create_connection(("localhost", 6379), _PROBE_TIMEOUT) as probe:
            probe.settimeout(_PROBE_TIMEOUT)
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith((b"+PONG", b"-NOAUTH", b"-LOADING"))
    except OSError:
        return False


def check_peer(connection: Any) -> None:
    """Raises ServerError where a fresh connection of redis-py, to the embedded server, leads to another user."""
    from mlq.server import peer

    writer = getattr(connection, "_writer", None)  # of the asyncio kind
    peer.check(writer.get_extra_info("socket") if writer else connection._sock, connection.path)  # noqa: SLF001


def connection_options(url: str, answer: float = ANSWER_TIMEOUT) -> dict[str, Any]:
    """What both shells tell redis-py: raw bytes over RESP2. It must not retry: we know what may be repeated."""
    keep_standard_open()  # else a socket of ours may get a number to which others write
    over_tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return over_tcp | {
        "protocol": 2,
        "decode_responses": False,
        "socket_timeout": answer,
        "socket_connect_timeout": answer,
        "health_check_interval": 0,
    }
