"""Ops that post jobs. They name the epoch that the caller knows: no id is reused after a loss (docs/adr/0014)."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from mlq.core.checks import queue_of
from mlq.core.identity import JobId
from mlq.core.job import LARGE
from mlq.core.keys import Keys
from mlq.errors import AfterFailure, InputError, JobLost, KeyReused, LeaseLost, MLQError, QueueFull, UnknownJob
from mlq.ops import Argument, Op, call, nothing
from mlq.ops.scripts import script


class Posted(NamedTuple):
    """Jobs that were posted together: consecutive ids from `first` on, with the same stamp."""

    first: int
    size: int  # how many
    stamp: str
    new: bool = True  # False if it was there already, since it holds the key of the one that was to be posted

    @property
    def id(self) -> JobId:
        """The id of the first."""
        return JobId(str(self.first), self.stamp)

    def ids(self) -> list[JobId]:
        """The ids of all of them."""
        return [JobId(str(self.first + i), self.stamp) for i in range(self.size)]


PLAN = "plan"  # instead of the jobs that a post comes after: they are parts of a split that has yet to begin


_UNTIMELY = {
    b"past": "at is over for more than a minute",
    b"expired": "the job would expire before it may begin (expires counts from the post)",
}


class Uncounted(MLQError):
    """It is not known how many jobs wait in a queue with a limited length: count them, and post again."""

    def __init__(self, queue: str, wanted: int) -> None:
        """`wanted`: jobs of the post."""
        super().__init__(f"it is not known how many jobs wait in queue {queue!r}")
        self.queue = queue
        self.wanted = wanted


def _posted(reply: bytes, size: int, lane: str, of: int | None = None) -> Posted | None:
    if reply in (b"stale", b"unstaged"):
        return None
    if reply == b"uncounted":
        raise Uncounted(queue_of(lane), size if of is None else of)
    if reply.startswith(b"full "):
        raise full(queue_of(lane), *map(int, reply.split()[1:]))
    if reply.startswith(b"after "):
        raise _refused(*reply.decode("utf-8", "replace").split()[1:3])
    if (why := _UNTIMELY.get(reply)) is not None:
        raise InputError(f"{why}, by the server's clock; nothing was posted")
    first, _, stamp = reply.decode().partition(" ")
    return Posted(int(first.removeprefix("=")), size, stamp, not first.startswith("="))


def full(queue: str, length: int, limit: int) -> QueueFull:
    """The error of a post to a queue in which so many jobs wait."""
    waiting = "1 job waits" if length == 1 else f"{length:,} jobs wait"
    what, then = ("is full", "Try again later") if length >= limit else (
        "has no room for so many jobs", "Post fewer at a time, or try again later"
    )  # fmt: skip
    text = f"queue {queue!r} {what}: {waiting} in it, and the limit is {limit:,}; nothing was posted. {then}"
    return QueueFull(text, length, limit)


def _refused(job_id: str, word: str) -> MLQError:
    """Why a job can't come after that one."""
    if word == "gone":
        return UnknownJob(f"after: there is no job {job_id}; nothing was posted")
    if word == "other":
        return JobLost(f"after: job {job_id} is another one now, since the server lost data; nothing was posted")
    if word == "step":
        return InputError(f"after: job {job_id} is a step of a pipeline; come after its root. Nothing was posted")
    return AfterFailure(
        f"after: job {job_id} has ended without a result ({word}), and nothing was posted; requeue it, or post with "
        "on_failure='run' to run whatever becomes of it"
    )


def _post_keys(keys: Keys, caller: str, lane: str, staged: str, keyed: str) -> tuple[str, ...]:
    names = (
        keys.counter, keys.post, keys.lane + lane, keys.lanes, keys.serves, keys.replay + caller, keys.leases,
        keys.class_, keys.epoch, keys.job, keys.stream, f"{keys.staged}{staged}:", keys.blocked, keys.scheduled,
        keys.expiring, keys.low_priority, keys.workers, keys.inbox, keys.gates,
    )  # fmt: skip
    if not keyed:  # plain posts are not to pay for these
        return names
    entry = f"{keys.unique}{lane.partition('|')[0].partition(':')[2]}\n{keyed.partition(' ')[2]}"
    return (*names, entry, keys.lane, keys.chores)


def sync_counter(keys: Keys, run: str, highest: int, known: str = "") -> Op[str]:
    """The epoch that posts must name; after a loss, a new one, and the counter of ids is moved up.

    `run`: the server's run id, empty if unknown; `highest`: the highest id that the caller has seen; `known`: the last
    epoch that the caller knew.
    """
    args = (secrets.token_urlsafe(9), run, highest, known)
    names = (keys.counter, keys.epoch, keys.skipped_ids, keys.lanes, keys.metrics, keys.dead)
    return call(script("sync_counter"), names, args, bytes.decode)


def post(
    keys: Keys, caller: str, number: int, lane: str, bodies: Sequence[bytes], lease: str = "", epoch: str = "",
    staged: str = "", needs: str = "", when: str = "", keyed: str = "",
    of: int | None = None,
) -> Op[Posted | None]:  # fmt: skip
    """Post jobs of one lane. The result is None if `epoch` is out of date: run `sync_counter`, then post again.

    `staged`: the name under which large bodies were staged, if any. The result is None as well if they are not there.
    `needs`: the jobs that these come after, as `JobOptions.needs` has them, or `PLAN`; `when`, `keyed`: as `JobOptions`
    has them. `of`: in the first of several calls for one post, how many jobs that has; 0 in the others.
    `lease`: of the attempt that posts, if the caller is a listener; the post is refused once the attempt has lost it.
    """

    def parse(reply: bytes) -> Posted | None:
        if reply == b"lost":
            raise LeaseLost("post: this attempt no longer holds its job, so nothing was posted")
        return _posted(reply, len(bodies), lane, of)

    args: tuple[Argument, ...] = (
        number,
        lane,
        lease,
        "" if of is None else f"of {of}",
        epoch,
        needs,
        when,
        *_held(keyed),
        *_sent(bodies, staged),
    )
    return call(script("post"), _post_keys(keys, caller, lane, staged, keyed), args, parse)


def post_once(
    keys: Keys, key: str, lane: str, body: bytes, epoch: str = "", staged: str = "", needs: str = "", when: str = "",
    keyed: str = "",
) -> Op[Posted | None]:  # fmt: skip
    """Post one job, or return the id of the one that was posted with this idempotency key in the last day.

    To the script, the key is a caller that makes just this one call.
    """

    def parse(reply: bytes) -> Posted | None:
        if reply == b"other":
            raise KeyReused(f"the idempotency key {key!r} was used for another post; nothing was posted")
        return _posted(reply, 1, lane)

    caller = f"key:{hashlib.sha256(key.encode()).hexdigest()}"
    fingerprint = hashlib.sha256(b"%b\n%b" % (lane.encode(), body)).hexdigest()
    args: tuple[Argument, ...] = (1, lane, "", fingerprint, epoch, needs, when, *_held(keyed), *_sent((body,), staged))
    return call(script("post"), _post_keys(keys, caller, lane, staged, keyed), args, parse)


STAGED_FOR = 60  # seconds; a caller that takes longer, or whose server lost it, stages it again
_TIME = b"0" * 17  # as long as the time that post.lua writes there


def staging_name(bodies: Sequence[bytes]) -> str:
    """A new name under which to stage large bodies; empty if there are none."""
    return secrets.token_hex(8) if max(map(len, bodies)) > LARGE else ""


def stage(keys: Keys, name: str, lane: str, bodies: Sequence[bytes]) -> list[Op[None]]:
    """The ops that put the records of large bodies where a post with `staged=name` finds them; none without a name.

    Each is one SET, which the server does not copy: it keeps the buffer that it has read.
    """
    if not name:
        return []
    head = b"%b\n%b\n" % (lane.encode(), _TIME)
    return [
        Op(("SET", f"{keys.staged}{name}:{i}", head + body, "EX", STAGED_FOR), nothing)
        for i, body in enumerate(bodies, 1)
        if len(body) > LARGE
    ]


def _held(keyed: str) -> tuple[str, ...]:
    """How a job that has a key is to hold it."""
    return (keyed.partition(" ")[0],) if keyed else ()


def _sent(bodies: Sequence[bytes], staged: str) -> Sequence[bytes]:
    return [b"" if len(body) > LARGE else body for body in bodies] if staged else bodies
