"""Whether a request is shown to come from this user: loopback alone says only that it is from this machine."""

import ipaddress
import os
import socket
import struct
import sys
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask
from flask.testing import FlaskClient

CONNECTED = "mlq.connected"  # in the environment: whether the connection that a request came over still stands
HERE = "mlq.in_process"  # in the environment of a request that this very process made; no header becomes such a name
_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1  # of netlink, which Python does not name
_ESTABLISHED = 1  # else nobody owns it any more, which the kernel shows as 0; or it is a socket that listens
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_FORWARDED = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")


class OwnClient(FlaskClient):
    """What `app.test_client()` makes: it calls the application in this process."""

    def __init__(self, application: Flask, *args: Any, **kwargs: Any) -> None:
        """As Flask's."""
        super().__init__(application, *args, **kwargs)
        self.environ_base[HERE] = "1"


def is_own(environ: WSGIEnvironment) -> bool:
    """Whether a process of this user sent it, and not for somebody else. False where that can't be known.

    The kernel says whose the other end of the connection is. That is Linux' own; and a proxy of this user is not its
    clients. It is asked by addresses and ports, which another process may have by now if this connection was reset; so
    the connection must still stand when the answer is there.
    """
    if HERE in environ:
        return True
    if any(name in _FORWARDED or name.startswith("HTTP_X_FORWARDED") for name in environ):
        return False
    try:
        theirs, ours = _plain(environ["REMOTE_ADDR"]), _plain(environ["SERVER_NAME"])
        ports = int(environ["REMOTE_PORT"]), int(environ["SERVER_PORT"])
        is_ours = theirs.version == ours.version and _owner(theirs, ours, *ports) == os.getuid()
        return is_ours and bool(environ[CONNECTED]())
    except (KeyError, ValueError, OSError, struct.error):  # who is no connection, or a kernel that does not tell
        return False


def stands(sock: socket.socket) -> bool:
    """Whether neither side has ended the connection: its state is the first byte of TCP_INFO (tcp(7))."""
    return sys.platform == "linux" and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED


def _plain(written: str) -> _Address:
    """An address; one of IPv4 also where it came to a socket of IPv6, as ::ffff:127.0.0.1."""
    address = ipaddress.ip_address(written)
    return getattr(address, "ipv4_mapped", None) or address


def _owner(theirs: _Address, ours: _Address, port: int, our_port: int) -> int | None:
    """The user who has the other end of this connection; None where nobody has.

    The kernel is asked for the one connection, by netlink (sock_diag(7)): 20 to 150 us. Its table in /proc/net/tcp
    takes 28 ms where there are 4,000 connections, in which nobody else is answered.
    """
    if sys.platform != "linux":
        return None
    family = socket.AF_INET if theirs.version == 4 else socket.AF_INET6
    one = struct.pack(">HH16s16s", port, our_port, theirs.packed, ours.packed) + bytes(4) + b"\xff" * 8
    asked = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + one
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)  # it answers at once
        kernel.send(struct.pack("=IHHII", 16 + len(asked), _BY_FAMILY, _REQUEST, 1, 0) + asked)
        said = kernel.recv(4096)
    kind, state, owner = struct.unpack_from("=4xH11xB62xI", said)
    return int(owner) if kind == _BY_FAMILY and state == _ESTABLISHED else None
