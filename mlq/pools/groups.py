"""Sees to it that no process that a listener started outlives the child in which it ran.

Each child leads a session, and with it a group of processes, of its own. When the child is gone, the group is told to
end, and killed a second later. A helper does the same when the worker itself was killed: it waits for the end of a pipe
that only the worker holds.
"""

import contextlib
import logging
import os
import signal
import subprocess
import time

log = logging.getLogger("mlq.worker")

PATIENCE = 1.0  # seconds between SIGTERM and SIGKILL: trackers of shared memory ignore the one, and clean up meanwhile
LOOK = 0.02  # seconds between looks whether a group is gone, while the worker closes

# Each line that it reads names all groups that there are, and ends with a full stop, lest one that was cut off name a
# group that is none of ours. With the last one it is alone.
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
        """Without a group; starts the helper."""
        self._living: set[int] = set()
        self._ending: dict[int, float] = {}  # when to kill it
        self._untold = False  # the pipe was full: the helper does not know all that there is
        self._helper: subprocess.Popen[bytes] | None = None
        try:
            self._helper = subprocess.Popen(
                ["/bin/sh", "-c", _HELPER], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, cwd="/", start_new_session=True, bufsize=0,
            )  # fmt: skip
            os.set_blocking(self._helper.stdin.fileno(), False)  # type: ignore[union-attr]
        except OSError as error:
            log.warning("no shell (%s): what listeners start outlives a worker that is killed", error)

    def begin(self, leader: int) -> None:
        """A child leads a group from now on."""
        self._living.add(leader)
        self._tell()

    def end(self, leader: int) -> None:
        """The child is gone: its group has to end. A number is not used again while there is a group of that number."""
        self._living.discard(leader)
        if _signalled(leader, signal.SIGTERM):
            self._ending[leader] = time.monotonic() + PATIENCE
        self._tell()

    def look(self) -> None:
        """Kill what had its time; to be called now and then."""
        if not (self._ending or self._untold):
            return
        now = time.monotonic()
        for leader, kill_at in list(self._ending.items()):
            due = now >= kill_at
            if not _signalled(leader, signal.SIGKILL if due else 0) or due:  # zombies may stay, whom nobody collects
                del self._ending[leader]
        self._tell()

    def close(self) -> None:
        """Return when no group is left."""
        while self._ending:
            time.sleep(LOOK)
            self.look()
        if self._helper is not None and self._helper.stdin is not None:
            with contextlib.suppress(OSError):
                self._helper.stdin.close()
            self._helper.wait()

    def _tell(self) -> None:
        """Let the helper know what there is."""
        if self._helper is not None and self._helper.stdin is not None:
            line = f"\n{' '.join(map(str, (*self._living, *self._ending)))}.\n".encode()  # ends what was cut off before
            with contextlib.suppress(OSError):  # somebody killed it
                self._untold = self._helper.stdin.write(line) != len(line)  # it does not wait for room: None, or a part


def _signalled(leader: int, number: int) -> bool:
    """Whether there still was a process of that group to send the signal to."""
    try:
        os.killpg(leader, number)
    except PermissionError:  # none of those left is ours to signal
        return False
    except ProcessLookupError:
        return False
    return True
