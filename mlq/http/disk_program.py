"""The process that reaches a service's store of files where that is a URL.

fsspec runs an event loop on a thread, which hangs where gevent has replaced threads, as in the service. So this process
is a plain one. The service hands it a socket for each call that it makes at a time; a thread here answers the calls
from it. It ends with the service.
"""

import errno
import os
import secrets
import signal
import socket
import threading
from itertools import count
from typing import IO, Any

from mlq.batches.disks import Disk
from mlq.batches.roots import disk_at
from mlq.http.disk_frames import receive, send
from mlq.http.isolation import be_unreadable

STORE = "MLQ_STORE"  # in its environment, which other users of this machine can't read: the URL
PLAIN = frozenset({"names", "total", "size", "read", "write", "move", "remove"})  # calls that are those of a disk


class Answers:
    """Answers calls. A file that is open is known by its number, and in use by one call at a time."""

    def __init__(self, disk: Disk) -> None:
        """Nothing is open."""
        self._disk = disk
        self._files: dict[int, IO[bytes]] = {}
        self._numbers = count(secrets.randbits(62))  # those of a process that was here before mean nothing

    def serve(self, sock: socket.socket) -> None:
        """Answer the calls from one socket until its other end is closed."""
        with sock:
            sock.setblocking(True)  # noqa: FBT003 - the service's own sockets do not wait
            try:
                while (asked := receive(sock)) is not None:
                    send(sock, self._answer(*asked))
            except OSError:  # the service gave this call up
                return

    def _answer(self, call: str, *given: Any) -> list[Any]:
        try:
            return [True, self._carried_out(call, *given)]
        except FileNotFoundError:
            return [False, errno.ENOENT, "there is no such file"]
        except Exception as error:  # noqa: BLE001 - the file systems of fsspec have errors of their own
            number = error.errno if isinstance(error, OSError) else None
            words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return [False, number or errno.EIO, words or type(error).__name__]

    def _carried_out(self, call: str, *given: Any) -> Any:
        if call in PLAIN:
            return getattr(self._disk, call)(*given)
        if call in ("open", "create"):
            number = next(self._numbers)
            self._files[number] = getattr(self._disk, call)(*given)
            return number
        number, *more = given
        file = self._files.pop(number, None)
        if file is None:
            raise OSError(errno.EBADF, "the file is not open any more")
        if call == "close":
            return file.close()
        done: Any = (file.read if call == "take" else file.write)(*more)
        self._files[number] = file
        return done


def main() -> None:
    """Answer until the service has ended."""
    be_unreadable()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # sent to the whole group: the service ends first
        signal.signal(number, signal.SIG_IGN)
    answers = Answers(disk_at(os.environ.pop(STORE)))
    with socket.socket(fileno=0) as service:
        service.setblocking(True)  # noqa: FBT003 - as above
        while True:
            _, numbers, _, _ = socket.recv_fds(service, 1, 1)
            if not numbers:
                os._exit(0)  # calls that still wait for the store would delay the end
            threading.Thread(target=answers.serve, args=(socket.socket(fileno=numbers[0]),), daemon=True).start()
