"""Whose process is at the other end of a unix socket: a folder's owner says who could make it, this who did."""

import os
import socket
import struct
import sys

from mlq.errors import ServerError

_LOCAL, _LOCAL_PEERCRED, _XUCRED = 0, 1, 76  # macOS: level, option and size of its answer, which Python does not name


def owner_of(connection: socket.socket) -> int | None:
    """The user who listens, or connected; None where the system does not tell."""
    if hasattr(socket, "SO_PEERCRED"):
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("iII", told)[1])  # process, user, group
    if sys.platform == "darwin":
        told = connection.getsockopt(_LOCAL, _LOCAL_PEERCRED, _XUCRED)
        return int(struct.unpack_from("II", told)[1])  # version, user
    return None


def check(connection: socket.socket, url: str) -> None:
    """Raises ServerError where the embedded server is not one of this user."""
    owner = owner_of(connection)
    if owner not in (os.getuid(), None):
        raise ServerError(
            f"what answers at {url} is a process of user {owner}, not of user {os.getuid()}: it is not the embedded "
            "server. Nothing was sent to it. Set MLQ_HOME to a directory that only you can change."
        )
