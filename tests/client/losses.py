"""What tests of losses need: programs that know nothing of what was lost, and an address that a failover moves."""

import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
STRANGER = """
import sys
from mlq import MLQ
with MLQ(sys.argv[2], url=sys.argv[1]) as mlq:
    print(*mlq.post_many(["stranger"] * int(sys.argv[3])))
"""


def run(program: str, *arguments: str) -> list[str]:
    """What a program of its own says."""
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def stranger(url: str, namespace: str, count: int = 1) -> list[str]:
    """The ids of posts of a program that saw no earlier one."""
    return run(STRANGER, url, namespace, str(count))


class Proxy:
    """A TCP proxy whose target changes, as that of a name or an address that a failover moves."""

    def __init__(self, target: str) -> None:
        self.target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def switch(self, target: str) -> None:
        """Lead new connections elsewhere, and cut those that are there."""
        self.target = target
        self.cut()

    def cut(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listening.accept()[0]
                far = socket.create_connection(("127.0.0.1", int(self.target.rpartition(":")[2])))
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
