"""Which user's process is at the other end of a unix socket.

The owner of its folder only says who could have created the socket.
"""

import os
import socket
import struct
import sys

from mlq.errors import ServerError

_LOCAL, _LOCAL_PEERCRED, _XUCRED = 0, 1, 76  # macOS: level, option and size of its answer, which Python does not name


def owner_of(connection: socket.socket) -> int | None:
    """The user who listens or connected at the other end; None if the system can't say."""
    if hasattr(socket, "SO_PEERCRED"):
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("iII", credentials)[1])  # process, user, group
    if sys.platform == "darwin":
        credentials = connection.getsockopt(_LOCAL, _LOCAL_PEERCRED, _XUCRED)
        return int(struct.unpack_from("II", credentials)[1])  # version, user
    return None


def check(connection: socket.socket, url: str) -> None:
    """Raises ServerError if the embedded server does not belong to this user."""
    owner = owner_of(connection)
    if owner not in (os.getuid(), None):
        raise ServerError(
            f"the process at {url} belongs to user {owner}, not to user {os.getuid()}: it is not the embedded "
            "server. Nothing was sent to it. Set MLQ_HOME to a directory that only you can change."
        )
