"""The namespace and the server of a client, and the connections to it, made when they are first needed."""

from functools import cached_property
from typing import TYPE_CHECKING

from mlq.core.keys import Keys
from mlq.shell.target import Target

if TYPE_CHECKING:
    from mlq.shell.inbox import Inbox
    from mlq.shell.sync import Shell


class Connected:
    """Imports redis-py only when it connects: that takes 0.2 s and 22 MB, and few children of a worker ever do."""

    def __init__(self, namespace: str, server: Target | None) -> None:
        """Connects to nothing. `server`: None if it is chosen when it is needed. Raises InputError."""
        self._keys = Keys(namespace)
        self._server = server

    # Of two threads that are first at once, one makes what both use.

    @cached_property
    def _shell(self) -> "Shell":
        from mlq.shell.sync import Shell
        from mlq.shell.watch import Watch

        made: Shell = self.__dict__.setdefault("_shell", Shell(self._server, watch=Watch()))
        return made

    @cached_property
    def _inbox(self) -> "Inbox":
        from mlq.shell.inbox import Inbox

        made: Inbox = self.__dict__.setdefault("_inbox", Inbox(self._shell, self._keys.inbox))
        return made

    @property
    def namespace(self) -> str:
        """The namespace's name."""
        return self._keys.namespace

    @property
    def url(self) -> str | None:
        """The server's URL as it was given to this object; None if the server is chosen when it is needed."""
        return None if self._server is None else self._server.url

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        if "_shell" in self.__dict__:
            self._shell.close()
