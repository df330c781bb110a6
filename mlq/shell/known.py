"""What this process knows of the ids of a namespace, and how posts make use of it (docs/adr/0014).

A post names the epoch that it believes in. Where the server has begun another one, since it lost data or was started
anew, nothing is posted: the caller tells the highest id that this process ever saw, the counter is raised beyond it,
and the post is sent again.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from mlq.core.identity import JobId, bind
from mlq.core.keys import Keys
from mlq.errors import ServerError
from mlq.ops import Op
from mlq.ops.posting import Posted, fence
from mlq.shell.target import Target

if TYPE_CHECKING:
    from mlq.shell.aio import AsyncShell
    from mlq.shell.sync import Shell

KEPT = 5000  # posts of one generation; two are kept
UNKNOWN = "?"  # no epoch
TRIES = 20  # of one post; each but the last finds that the epoch has changed since the one before

Make = Callable[[str], Op[Posted | None]]


class Known:
    """What is known of one namespace on one server. Lasts as long as the process; safe with threads."""

    __slots__ = ("_earlier", "_keys", "_recent", "epochs", "highest", "last_epoch")

    def __init__(self, keys: Keys) -> None:
        """Nothing is known."""
        self._keys = keys
        self.epochs: dict[str, str] = {}  # by run of the server, which a connection knows
        self.highest = 0  # id that the server told; one that a user typed in says nothing
        self.last_epoch = ""  # of any run
        self._recent: dict[str, str] = {}  # stamps of posts by id
        self._earlier: dict[str, str] = {}

    def saw(self, ids: Iterable[str | int]) -> None:
        """Remember ids that the server told."""
        self.highest = max(self.highest, *map(int, ids))

    def posted(self, posted: Posted) -> Posted:
        """Remember what was posted just now."""
        if len(self._recent) >= KEPT:
            self._recent, self._earlier = {}, self._recent
        for job_id in range(posted.first, posted.first + posted.size):
            self._recent[str(job_id)] = posted.stamp
        self.highest = max(self.highest, posted.first + posted.size - 1)
        return posted

    def meant(self, job_id: JobId) -> JobId:
        """An id that knows no job means the one that this process posted, where it did so not long ago."""
        bind(job_id, self._recent.get(job_id) or self._earlier.get(job_id, ""))
        return job_id

    def epoch(self, run: str) -> str:
        """The epoch to name in posts to this run of the server."""
        return self.epochs.get(run, UNKNOWN)

    def fence(self, run: str) -> Op[str]:
        """Ask for the epoch, and have the counter raised beyond what was seen."""
        posted = map(int, [*self._recent, *self._earlier])  # a thread may have set `highest` back for another's post
        op = fence(self._keys, run, max(self.highest, *posted, 0), self.last_epoch)

        def parse(reply: bytes) -> str:
            self.epochs[run] = self.last_epoch = epoch = op.parse(reply)
            return epoch

        return Op(op.command, parse, op.script)


_all: dict[tuple[str, str], Known] = {}


def known_of(target: Target, keys: Keys) -> Known:
    """What the process knows of a namespace on a server, for all clients and workers."""
    name = (target.url, keys.namespace)
    return _all.get(name) or _all.setdefault(name, Known(keys))


def post(shell: "Shell", keys: Keys, make: Make) -> Posted:
    """Carry out the post that `make` gives for an epoch. Raises ServerError, or what the op's parser raises."""
    known = known_of(shell.target, keys)
    if not known.epochs:
        shell.run_here(known.fence)
    for _ in range(TRIES):
        posted = shell.run_here(lambda run: make(known.epoch(run)))
        if posted is not None:
            return known.posted(posted)
        shell.run_here(known.fence)
    raise _restless(shell.target)


async def post_aio(shell: "AsyncShell", keys: Keys, make: Make) -> Posted:
    """The same on an event loop."""
    known = known_of(await shell.target(), keys)
    if not known.epochs:
        await shell.run_here(known.fence)
    for _ in range(TRIES):
        posted = await shell.run_here(lambda run: make(known.epoch(run)))
        if posted is not None:
            return known.posted(posted)
        await shell.run_here(known.fence)
    raise _restless(await shell.target())


def _restless(target: Target) -> ServerError:
    return ServerError(
        f"the server at {target} begins anew again and again, nothing was posted: it seems to lose its data"
    )
