"""Whether a request is shown to come from this user: loopback alone says only that it is from this machine."""

import ipaddress
import os
import sys
from collections.abc import Iterator
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask
from flask.testing import FlaskClient

TABLES = {4: "/proc/net/tcp", 6: "/proc/net/tcp6"}
HERE = "mlq.in_process"  # in the environment of a request that this very process made; no header becomes such a name
_ESTABLISHED = "01"  # else nobody owns it any more, which the kernel shows as 0
_FORWARDED = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")


class OwnClient(FlaskClient):
    """What `app.test_client()` makes: it calls the application in this process."""

    def __init__(self, application: Flask, *args: Any, **kwargs: Any) -> None:
        """As Flask's."""
        super().__init__(application, *args, **kwargs)
        self.environ_base[HERE] = "1"


def is_own(environ: WSGIEnvironment) -> bool:
    """Whether a process of this user sent it, and not for somebody else. False where that can't be known.

    The kernel's table of connections says whose the other end is. That is Linux' own; and a proxy of this user is not
    its clients.
    """
    if HERE in environ:
        return True
    if any(name in _FORWARDED or name.startswith("HTTP_X_FORWARDED") for name in environ):
        return False
    try:
        address = ipaddress.ip_address(environ["REMOTE_ADDR"])
        ports = int(environ["REMOTE_PORT"]), int(environ["SERVER_PORT"])
    except (KeyError, ValueError):
        return False
    return list(_owners(address, *ports)) == [os.getuid()]


def _owners(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, ours: int) -> Iterator[int]:
    """The owners of all connections from that address and port to a port of ours; one, if it is one of this machine."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    for version, table in TABLES.items():
        wanted = {_written(one) for one in (address, mapped) if one is not None and one.version == version}
        if version == 6 and address.version == 4:  # a client may write ::ffff:127.0.0.1
            wanted = {_written(ipaddress.IPv6Address(f"::ffff:{address}"))}
        try:
            with open(table, encoding="ascii") as rows:
                next(rows)
                for row in rows:
                    _, here, there, state, _, _, _, owner, *_ = row.split()
                    host, _, number = here.partition(":")
                    if host in wanted and int(number, 16) == port and int(there.partition(":")[2], 16) == ours:
                        yield int(owner) if state == _ESTABLISHED else -1
        except (OSError, StopIteration, ValueError):
            continue


def _written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as the tables write it: its words of 32 bits as this machine keeps them."""
    words = [int.from_bytes(address.packed[i : i + 4], sys.byteorder) for i in range(0, len(address.packed), 4)]
    return "".join(f"{word:08X}" for word in words)
