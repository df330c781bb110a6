"""Looks at a server and at processes from outside: plain commands, a process with its children, their memory."""

import os
import signal
import socket
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit


class Server:
    """A connection for inline commands, without any client library."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._socket = socket.create_connection((place.hostname, place.port), timeout=30)
        self._stream = self._socket.makefile("rb")

    def ask(self, command: str) -> str:
        """The reply to a command that answers with a line or one text."""
        self._socket.sendall(command.encode() + b"\r\n")
        line = self._stream.readline().decode().rstrip()
        if line.startswith("-"):
            raise RuntimeError(f"{command}: {line[1:]}")
        if not line.startswith("$"):
            return line[1:]
        return self._stream.read(int(line[1:]) + 2)[:-2].decode()

    def number(self, command: str) -> int:
        return int(self.ask(command))

    def info(self, name: str) -> str:
        fields = (line.partition(":") for line in self.ask("INFO everything").splitlines())
        return next(value.strip() for key, _, value in fields if key == name)

    def sent_within(self, seconds: float) -> tuple[int, int]:
        """Commands that clients send in so many seconds, and those that scripts call for them. Ends the connection."""
        self.ask("MONITOR")
        sent, called, ends = 0, 0, time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                line = self._stream.readline()
            except TimeoutError:
                break
            called += b" lua]" in line
            sent += b" lua]" not in line
        self._socket.close()
        return sent, called


def tree(pid: int) -> list[int]:
    """A process and all below it, parents first."""
    children = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue
        children[int(parent)].append(int(entry.name))
    found = [pid]
    for each in found:  # grows while it is walked
        found.extend(children[each])
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def megabytes(pids: list[int]) -> float:
    """Resident memory of processes together; what they share counts for each."""
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
