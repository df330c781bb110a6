"""Which server to use, and connections to it made by redis-py.

Order: arguments, then `MLQ_URL`, then a server that answers on localhost:6379 (the default of the first MLQ), then the
embedded one. Nothing is contacted before the first operation.
"""

import logging
import os
import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mlq.errors import InputError

log = logging.getLogger("mlq.server")

LOCAL = "redis://localhost:6379"
ANSWER_TIMEOUT = 5.0  # seconds to connect, and for one reply
_PROBE_TIMEOUT = 0.5  # seconds; the loopback either answers at once or not at all


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and what made us choose it."""

    url: str
    origin: str  # "arguments", "MLQ_URL", "localhost:6379" or "embedded"

    def __str__(self) -> str:
        """The address without its password."""
        shown = re.sub(r"(://[^:@/]*):[^/]*@", r"\1:***@", self.url)
        shown = re.sub(r"([?&]password=)[^&]*", r"\1***", shown)
        return f"{shown} (from {self.origin})"


def from_arguments(url: str | None, host: str | None, port: int | str | None, db: int | str) -> Target | None:
    """The target that the caller named, or None. A URL may also be given as the host."""
    if url is None and host is not None and "://" in str(host):
        url, host = str(host), None
    if url is not None:
        if host is not None or port is not None or db not in (0, "0"):
            raise InputError("a URL names host, port and database itself (redis://host:6379/3): leave the others out")
        if url.partition("://")[0] not in ("redis", "rediss", "unix"):
            raise InputError(f"the server's URL must begin with redis://, rediss:// or unix://, not {url!r:.60}")
        try:
            urlsplit(url).port  # noqa: B018 - it refuses what is no number
        except ValueError as error:
            raise InputError(f"the server's URL is none: {error}") from None
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


def choose(named: Target | None) -> Target:
    """The target to use now; starts the embedded server where nothing else is there. Raises NoServer."""
    from_environment = os.environ.get("MLQ_URL")
    if named is not None:
        chosen = named
    elif from_environment:
        chosen = Target(from_environment, "MLQ_URL")
        from_arguments(from_environment, None, None, 0)  # refuses what is no URL
    elif _answers_locally():
        chosen = Target(LOCAL, "localhost:6379")
    else:
        from mlq import server

        chosen = Target(server.ensure_running(), "embedded")
    log.info("using the server at %s", chosen)
    return chosen


def _answers_locally() -> bool:
    """Whether something on localhost:6379 speaks Redis' protocol (a demand for a password counts)."""
    try:
        with socket.create_connection(("localhost", 6379), _PROBE_TIMEOUT) as probe:
            probe.settimeout(_PROBE_TIMEOUT)
            probe.sendall(b"PING\r\n")
            return probe.recv(16).startswith((b"+PONG", b"-NOAUTH", b"-LOADING"))
    except OSError:
        return False


def connection_options(url: str, answer: float = ANSWER_TIMEOUT) -> dict[str, Any]:
    """What both shells tell redis-py: raw bytes over RESP2. It must not retry: we know what may be repeated."""
    over_tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return over_tcp | {
        "protocol": 2,
        "decode_responses": False,
        "socket_timeout": answer,
        "socket_connect_timeout": answer,
        "health_check_interval": 0,
    }
