"""Ops that follow a job: what it has said, its progress, and how it ends."""

from typing import Any, NamedTuple

from mlq.core.identity import bind, stamp_of
from mlq.core.job import fields_of
from mlq.core.keys import Keys
from mlq.core.states import State
from mlq.ops import Op, call
from mlq.ops.scripts import script
from mlq.ops.stamps import check_exists

ENTRIES = 500  # most entries of a job's stream that one call reads


class Entry(NamedTuple):
    """One entry of a job's stream."""

    attempt: int
    number: int  # rising from 1 within the attempt
    kind: str  # "chunk", "log", or "refused" where logs were cut off
    data: bytes  # empty where it is large and was left out: see `follow(whole=)`
    size: int  # bytes


class Followed(NamedTuple):
    """What is new about a job that somebody follows, and its state."""

    state: State
    attempt: int  # 0 before the first
    progress: bytes  # packed, or empty
    entries: list[Entry]
    ended: dict[str, bytes] | None  # the fields of a finished job, after the end of its stream; without a large result

    def following(self, after: tuple[int, int]) -> tuple[tuple[str, bytes], tuple[int, int]]:
        """The arguments `known` and `after` for the next `follow`."""
        last = (self.entries[-1].attempt, self.entries[-1].number) if self.entries else after
        return (self.state, self.progress), last


def follow(
    keys: Keys, job_id: str, inbox: str, seconds: int, known: tuple[str, bytes], after: tuple[int, int], *,
    whole: bool = True,
) -> Op[Followed]:  # fmt: skip
    """What is new after entry `after` (attempt and number) of a job; if nothing is, `inbox` is notified when there is.

    `seconds`: until the caller asks again. `known`: state and progress from the previous reply. `whole`: entries above
    64 KiB come with their bytes.
    """

    def parse(reply: list[Any]) -> Followed:
        check_exists(keys, job_id, reply[0])
        bind(job_id, reply[1].decode("utf-8", "replace"))
        said = []
        for place, (kind, data, size) in reply[5]:
            attempt, number = place.split(b"-")
            said.append(Entry(int(attempt), int(number), kind.decode(), data, size))
        return Followed(State(reply[2].decode()), int(reply[3]), reply[4], said, fields_of(reply[6]) or None)

    names = (keys.job + job_id, keys.post + job_id, keys.stream + job_id, keys.waiters + job_id, keys.followers)
    args = (inbox, seconds, f"{after[0]}-{after[1]}", ENTRIES, *known, stamp_of(job_id), int(whole))
    return call(script("follow"), names, args, parse, f"job {job_id}")


def entry(keys: Keys, job_id: str, said: Entry) -> Op[bytes | None]:
    """The bytes of an entry that was left out; None if it is gone."""
    place = f"{said.attempt}-{said.number}"
    asked = ("XRANGE", keys.stream + job_id, place, place)
    return Op(asked, lambda reply: reply[0][1][1] if reply else None, about=f"job {job_id}")
