"""What a process pool's own thread waits for: words of its children, their ends, and a call from another thread."""

import contextlib
import selectors
import socket
from collections.abc import Iterator

from mlq.pools.child_process import Child


class ChildEvents:
    """All but `wake` is for the pool's own thread."""

    def __init__(self) -> None:
        """Without a child."""
        self._selector = selectors.DefaultSelector()
        self._wake_end, self._wake = socket.socketpair()
        self._selector.register(self._wake_end, selectors.EVENT_READ, None)
        self._paused: set[Child] = set()

    def wake(self) -> None:
        """End a wait."""
        with contextlib.suppress(OSError):
            self._wake.send(b"x")

    def close(self) -> None:
        """Release what is held; nothing is told any more."""
        for one in (self._selector, self._wake_end, self._wake):
            one.close()

    def watch(self, child: Child) -> None:
        """Tell of this child from now on."""
        self._selector.register(child.wire.socket, selectors.EVENT_READ, child)
        if child.pidfd is not None:
            self._selector.register(child.pidfd, selectors.EVENT_READ, child)

    def forget(self, child: Child) -> None:
        """Tell of it no more."""
        if child not in self._paused:
            self._selector.unregister(child.wire.socket)
        self._paused.discard(child)
        if child.pidfd is not None:
            self._selector.unregister(child.pidfd)

    def pause(self, child: Child) -> None:
        """Tell only of its end until `resume`: what it says waits in the socket, and then in the child."""
        self._selector.unregister(child.wire.socket)
        self._paused.add(child)

    def resume(self) -> None:
        """Tell again of what the children say that were paused."""
        while self._paused:
            child = self._paused.pop()
            self._selector.register(child.wire.socket, selectors.EVENT_READ, child)

    def wait(self, seconds: float) -> Iterator[tuple[Child | None, bool]]:
        """Wait so long at most; each child that there is something of, and whether it ended. None for a `wake`."""
        for key, _ in self._selector.select(seconds):
            child: Child | None = key.data
            if child is None:
                self._wake_end.recv(4096)
            yield child, child is not None and key.fd == child.pidfd
