"""Whether a request comes from a process of this user; a loopback address only shows that it is from this machine."""

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIEnvironment

from flask import Flask
from flask.testing import FlaskClient

CONNECTED = "mlq.connected"  # in the environment: a function that says whether the request's connection is still open
HERE = "mlq.in_process"  # in the environment of requests made within this process; no header can have such a name
_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1  # constants of netlink that Python lacks
_ESTABLISHED = 1  # in other states the owner may be shown as 0 although it is not root, or the socket only listens
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_FORWARDED = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")


class OwnClient(FlaskClient):
    """The client of `app.test_client()`, which calls the application within this process."""

    def __init__(self, application: Flask, *args: Any, **kwargs: Any) -> None:
        """The arguments are Flask's."""
        super().__init__(application, *args, **kwargs)
        self.environ_base[HERE] = "1"


def is_own(environ: WSGIEnvironment) -> bool:
    """Whether a process of this user sent the request, and not as a proxy. False if that can't be determined.

    The kernel says which user has the other end of the connection. Only Linux can be asked. A proxy that runs as this
    user forwards requests of others. The question names addresses and ports, which another process may have by now if
    this connection was reset; so it must still be open after the answer.
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
    except (KeyError, ValueError, OSError, struct.error):  # not a connection, or the kernel can't say
        return False


def is_open(sock: socket.socket) -> bool:
    """Whether neither side has closed the connection: its state is the first byte of TCP_INFO (tcp(7))."""
    return sys.platform == "linux" and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED


def is_known_closed(is_open_now: Callable[[], bool] | None) -> bool:
    """Whether the client has closed its side, as far as the kernel says so; `is_open_now` is what CONNECTED names."""
    return sys.platform == "linux" and is_open_now is not None and not is_open_now()


def _plain(written: str) -> _Address:
    """An address; an IPv4 address written as IPv6 (::ffff:127.0.0.1) is converted to IPv4."""
    address = ipaddress.ip_address(written)
    return getattr(address, "ipv4_mapped", None) or address


def _owner(theirs: _Address, ours: _Address, port: int, our_port: int) -> int | None:
    """The user who has the other end of this connection; None if there is none.

    The kernel is asked about this one connection by netlink (sock_diag(7)), which takes 20 to 150 us. Reading
    /proc/net/tcp takes 28 ms with 4,000 connections, during which no other request is answered.
    """
    if sys.platform != "linux":
        return None
    family = socket.AF_INET if theirs.version == 4 else socket.AF_INET6
    one = struct.pack(">HH16s16s", port, our_port, theirs.packed, ours.packed) + bytes(4) + b"\xff" * 8
    asked = struct.pack("=BBBxI", family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF) + one
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(1.0)  # it normally replies at once
        kernel.send(struct.pack("=IHHII", 16 + len(asked), _BY_FAMILY, _REQUEST, 1, 0) + asked)
        reply = kernel.recv(4096)
    kind, state, owner = struct.unpack_from("=4xH11xB62xI", reply)
    return int(owner) if kind == _BY_FAMILY and state == _ESTABLISHED else None
