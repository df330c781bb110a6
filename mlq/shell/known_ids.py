"""What this process knows about the ids of a namespace, so that none is assigned twice (docs/adr/0014).

A post names the epoch that this process knows. If the server is in another one, because it lost data or was restarted,
nothing is posted: the process reports the highest id that it has ever seen, the counter is raised beyond that, and the
post is sent again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from mlq.core.identity import JobId, bind
from mlq.core.keys import Keys
from mlq.errors import ServerError
from mlq.ops import Op
from mlq.ops.lengths import length
from mlq.ops.posting import Posted, Uncounted, sync_counter
from mlq.shell.target import Target

if TYPE_CHECKING:
    from mlq.shell.aio import AsyncShell
    from mlq.shell.sync import Shell

KEPT = 5000  # posts per generation; two generations are remembered
UNKNOWN = "?"  # matches no epoch
TRIES = 20  # per post; it is tried again only if the epoch has changed once more

T = TypeVar("T")
Make = Callable[[str], Op[Posted | None]]


class KnownIds:
    """What is known about one namespace on one server. Lasts as long as the process; thread-safe."""

    __slots__ = ("_earlier", "_keys", "_recent", "epochs", "highest", "last_epoch")

    def __init__(self, keys: Keys) -> None:
        """Nothing is known yet."""
        self._keys = keys
        self.epochs: dict[str, str] = {}  # by the server's run id, which a connection knows
        self.highest = 0  # the highest id in a reply of the server; an id that a user typed proves nothing
        self.last_epoch = ""  # of any run
        self._recent: dict[str, str] = {}  # stamps of posts by id
        self._earlier: dict[str, str] = {}

    def saw(self, ids: Iterable[str | int]) -> None:
        """Remember ids that were in a reply of the server."""
        self.highest = max(self.highest, *map(int, ids))

    def posted(self, posted: Posted) -> Posted:
        """Remember what was posted just now."""
        if len(self._recent) >= KEPT:
            self._recent, self._earlier = {}, self._recent
        for job_id in range(posted.first, posted.first + posted.size):
            self._recent[str(job_id)] = posted.stamp
        self.highest = max(self.highest, job_id)
        return posted

    def with_stamp(self, job_id: JobId) -> JobId:
        """Fill in the stamp of an id that has none, if this process posted that job not long ago."""
        bind(job_id, self._recent.get(job_id) or self._earlier.get(job_id, ""))
        return job_id

    def epoch(self, run: str) -> str:
        """The epoch to name in posts to this run of the server."""
        return self.epochs.get(run, UNKNOWN)

    def sync_counter(self, run: str) -> Op[str]:
        """The op that asks for the epoch, and has the counter raised beyond the highest id seen."""
        posted = map(int, [*self._recent, *self._earlier])  # threads may race in `posted` and leave `highest` too low
        op = sync_counter(self._keys, run, max(self.highest, *posted, 0), self.last_epoch)

        def parse(reply: bytes) -> str:
            self.epochs[run] = self.last_epoch = epoch = op.parse(reply)
            return epoch

        return Op(op.command, parse, op.script)


_all: dict[tuple[str, str], KnownIds] = {}


def known_ids_of(target: Target, keys: Keys) -> KnownIds:
    """What the process knows about a namespace on a server, shared by all its clients and workers."""
    name = (target.url, keys.namespace)
    return _all.get(name) or _all.setdefault(name, KnownIds(keys))


def post(shell: "Shell", keys: Keys, make: Make, stage: Sequence[Op[None]] = ()) -> Posted:
    """Run the ops that `stage` large bodies, then the post that `make` returns for an epoch.

    Raises ServerError, or what the op's parser raises.
    """
    return known_ids_of(shell.target, keys).posted(in_epoch(shell, keys, make, stage))


def in_epoch(shell: "Shell", keys: Keys, make: "Callable[[str], Op[T | None]]", stage: Sequence[Op[None]] = ()) -> T:
    """Run an op that assigns ids, and gives None if it names the wrong epoch; as `post`."""
    known = known_ids_of(shell.target, keys)
    if not known.epochs:
        shell.run_here(known.sync_counter)
    for _ in range(TRIES):
        if stage:
            shell.run_many(stage)
        try:
            done = shell.run_here(lambda run: make(known.epoch(run)))
        except Uncounted as asked:
            counted = shell.run(length(keys, asked.queue))
            while counted.cursor != "0":
                counted = shell.run(length(keys, asked.queue, counted))
            counted.check(asked)
            continue
        if done is not None:
            return done
        shell.run_here(known.sync_counter)
    raise unstable(shell.target)


async def post_aio(shell: "AsyncShell", keys: Keys, make: Make, stage: Sequence[Op[None]] = ()) -> Posted:
    """Like `post`, on an event loop."""
    return known_ids_of(await shell.target(), keys).posted(await in_epoch_aio(shell, keys, make, stage))


async def in_epoch_aio(
    shell: "AsyncShell", keys: Keys, make: "Callable[[str], Op[T | None]]", stage: Sequence[Op[None]] = ()
) -> T:
    """Like `in_epoch`, on an event loop."""
    known = known_ids_of(await shell.target(), keys)
    if not known.epochs:
        await shell.run_here(known.sync_counter)
    for _ in range(TRIES):
        if stage:
            await shell.run_many(stage)
        try:
            done = await shell.run_here(lambda run: make(known.epoch(run)))
        except Uncounted as asked:
            counted = await shell.run(length(keys, asked.queue))
            while counted.cursor != "0":
                counted = await shell.run(length(keys, asked.queue, counted))
            counted.check(asked)
            continue
        if done is not None:
            return done
        await shell.run_here(known.sync_counter)
    raise unstable(await shell.target())


def unstable(target: Target) -> ServerError:
    """The error of a post for which the epoch changes all the time."""
    return ServerError(
        f"nothing was posted: the server at {target} seems to lose its data again and again. See its log for why"
    )
