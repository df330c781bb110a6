"""What a process pool's own thread waits for: frames from children, ends of children, and `wake` from other threads."""

import contextlib
import selectors
import socket
from collections.abc import Iterator

from mlq.pools.child_process import Child


class ChildEvents:
    """Waits for events of children. Only `wake` may be called outside the pool's own thread."""

    def __init__(self) -> None:
        """No children yet."""
        self._selector = selectors.DefaultSelector()
        self._wake_end, self._wake = socket.socketpair()
        self._selector.register(self._wake_end, selectors.EVENT_READ, None)
        self._paused: set[Child] = set()

    def wake(self) -> None:
        """End a wait."""
        with contextlib.suppress(OSError):
            self._wake.send(b"x")

    def close(self) -> None:
        """Release the sockets and the selector; no more events are reported."""
        for one in (self._selector, self._wake_end, self._wake):
            one.close()

    def watch(self, child: Child) -> None:
        """Report events of this child from now on."""
        self._selector.register(child.wire.socket, selectors.EVENT_READ, child)
        if child.pidfd is not None:
            self._selector.register(child.pidfd, selectors.EVENT_READ, child)

    def forget(self, child: Child) -> None:
        """Stop reporting events of this child."""
        if child not in self._paused:
            self._selector.unregister(child.wire.socket)
        self._paused.discard(child)
        if child.pidfd is not None:
            self._selector.unregister(child.pidfd)

    def pause(self, child: Child) -> None:
        """Report only this child's end until `resume`: its frames wait in the socket, and then in the child."""
        self._selector.unregister(child.wire.socket)
        self._paused.add(child)

    def resume(self) -> None:
        """Report frames of paused children again."""
        while self._paused:
            child = self._paused.pop()
            self._selector.register(child.wire.socket, selectors.EVENT_READ, child)

    def wait(self, seconds: float) -> Iterator[tuple[Child | None, bool]]:
        """Wait `seconds` at most; yields each child with an event, and whether it ended. None stands for a `wake`."""
        for key, _ in self._selector.select(seconds):
            child: Child | None = key.data
            if child is None:
                self._wake_end.recv(4096)
            yield child, child is not None and key.fd == child.pidfd
