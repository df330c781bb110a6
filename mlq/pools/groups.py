"""Ensures that no process which a listener started outlives the child in which the listener ran.

Each child leads its own session, and with it a process group. When the child is gone, the group gets SIGTERM, and
SIGKILL a second later. A helper process does the same if the worker itself is killed: it reads a pipe that only the
worker holds open, and acts when the pipe ends.
"""

import contextlib
import logging
import os
import signal
import subprocess
import time

log = logging.getLogger("mlq.worker")

PATIENCE = 1.0  # seconds between SIGTERM and SIGKILL: shared-memory trackers ignore SIGTERM, and clean up meanwhile
LOOK = 0.02  # seconds between checks whether a group is gone, while the worker closes

# Each line that the helper reads lists all current groups and ends with a full stop, so that a line that was cut off
# can't name a group that is not ours. After the pipe ends, the helper acts on the last complete line.
_HELPER = """
trap '' TERM INT HUP
groups=
while read -r line; do case $line in *.) groups=${line%.};; esac; done
[ -z "$groups" ] && exit
for group in $groups; do kill -s TERM -- "-$group"; done
sleep 1
for group in $groups; do kill -s KILL -- "-$group"; done
"""


class Groups:
    """The groups of this worker's children. Not thread-safe: the pool's own thread uses it."""

    def __init__(self) -> None:
        """No groups yet; starts the helper."""
        self._living: set[int] = set()
        self._ending: dict[int, float] = {}  # groups that are to end, and when to kill them
        self._untold = False  # the pipe was full: the helper does not know all current groups
        self._helper: subprocess.Popen[bytes] | None = None
        try:
            self._helper = subprocess.Popen(
                ["/bin/sh", "-c", _HELPER], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, cwd="/", start_new_session=True, bufsize=0,
            )  # fmt: skip
            os.set_blocking(self._helper.stdin.fileno(), False)  # type: ignore[union-attr]
        except OSError as error:
            log.warning("can't run /bin/sh (%s): processes of listeners will outlive a worker that is killed", error)

    def begin(self, leader: int) -> None:
        """A child leads a group from now on."""
        self._living.add(leader)
        self._tell()

    def end(self, leader: int) -> None:
        """The child is gone: its group must end. The system does not reuse a number while its group exists."""
        self._living.discard(leader)
        if _signalled(leader, signal.SIGTERM):
            self._ending[leader] = time.monotonic() + PATIENCE
        self._tell()

    def look(self) -> None:
        """Kill groups whose time is up. Call it regularly."""
        if not (self._ending or self._untold):
            return
        now = time.monotonic()
        for leader, kill_at in list(self._ending.items()):
            due = now >= kill_at
            if not _signalled(leader, signal.SIGKILL if due else 0) or due:  # zombies that nobody collects may stay
                del self._ending[leader]
        self._tell()

    def close(self) -> None:
        """Wait until no group is left, and end the helper."""
        while self._ending:
            time.sleep(LOOK)
            self.look()
        if self._helper is not None and self._helper.stdin is not None:
            with contextlib.suppress(OSError):
                self._helper.stdin.close()
            self._helper.wait()

    def _tell(self) -> None:
        """Send the helper the current groups."""
        if self._helper is not None and self._helper.stdin is not None:
            line = f"\n{' '.join(map(str, (*self._living, *self._ending)))}.\n".encode()  # first, end a cut-off line
            with contextlib.suppress(OSError):  # somebody killed the helper
                self._untold = self._helper.stdin.write(line) != len(line)  # if the pipe is full: None, or fewer bytes


def _signalled(leader: int, number: int) -> bool:
    """Send the signal to a group; returns whether there was a process that we could signal."""
    try:
        os.killpg(leader, number)
    except PermissionError:  # we may not signal any process that is left
        return False
    except ProcessLookupError:
        return False
    return True
