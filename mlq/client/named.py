"""What every part of a client has: its namespace, its server, and the job that an id names. Both twins."""

from typing import TYPE_CHECKING

from mlq.client.connected import Connected
from mlq.core.checks import check_id
from mlq.core.identity import JobId
from mlq.core.keys import Keys
from mlq.shell.known_ids import known_ids_of

if TYPE_CHECKING:
    from mlq.shell.aio import AsyncShell


class Named(Connected):
    """The base of the blocking client's parts."""

    @property
    def server(self) -> str:
        """The server in use, without its password, and why it was chosen. Chooses it if that has not happened yet."""
        return str(self._shell.target)

    def _named(self, job_id: object) -> JobId:
        """The id that the user gave, with the job's stamp if this process knows it. Raises InputError."""
        wanted = check_id(job_id)
        return wanted if wanted.stamp else known_ids_of(self._shell.target, self._keys).with_stamp(wanted)


class AsyncNamed:
    """The base of the asyncio client's parts."""

    _keys: Keys
    _shell: "AsyncShell"

    @property
    def namespace(self) -> str:
        """The namespace's name."""
        return self._keys.namespace

    async def server(self) -> str:
        """The server in use, without its password, and why it was chosen. Chooses it if that has not happened yet."""
        return str(await self._shell.target())

    async def _named(self, job_id: object) -> JobId:
        """The id that the user gave, with the job's stamp if this process knows it. Raises InputError."""
        wanted = check_id(job_id)
        return wanted if wanted.stamp else known_ids_of(await self._shell.target(), self._keys).with_stamp(wanted)
