"""Which keys may be there when all jobs have ended and all workers are gone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.chaos.evidence import KEYS, Evidence, Piece

if TYPE_CHECKING:
    import redis

FOR_EVER = ("counter", "epoch", "format", "skipped-ids", "metrics", "low-priority")  # once each
OF_JOBS = ("post", "job")
LAPSING = (  # only with a time to live
    "apart-turn", "reaping", "workers", "worker", "replay", "inbox", "waiters", "staged", "stream", "lost",
    "room", "starts",
)  # fmt: skip
# What workers registered: the next registration of another class removes what nobody registers any more.
REGISTERED = ("classes", "class", "serves", "uses")
# Of a job in a pipeline, besides its record and state: its steps, the jobs that come after it, and the bad ones that it
# counted; if it ended badly also the ranges of parts that were not open yet, for a requeue.
KEPT = ("", "steps", "next", "bad")
RULES = ("limits", "gates", "opening", "schedules", "schedule")  # as long as there are limits and schedules
OF_SHARES = ("||times", "||means")  # what lanes of shares keep for a week after their last job
# All else must be gone: leases, lane, scheduled, deliveries and delivery are empty when nothing is left to do.


def find(client: "redis.Redis", evidence: Evidence, *, in_use: bool) -> Iterator[str]:
    """What is there and should not be. `in_use`: whether pipelines, limits and schedules are there still."""
    pieces = evidence.pieces if in_use else {}
    for name in _names(client):
        kind, _, of = name.partition(":")
        if kind in OF_JOBS:
            job_id, _, what = of.partition(":")
            fine = of in evidence.jobs or of in evidence.turns or (job_id in pieces and _is_kept(what, pieces[job_id]))
        elif kind in REGISTERED or (in_use and kind in RULES):
            fine = True
        elif kind in LAPSING or (kind == "lane" and name.endswith(OF_SHARES)):
            fine = client.ttl(KEYS.root + name) != -1  # -2: it has lapsed meanwhile
        else:
            fine = name in FOR_EVER or (name == "dead" and bool(evidence.dead))
        if not fine:
            yield f"the key {name} is left behind, a {client.type(KEYS.root + name).decode()} that never lapses"


def _is_kept(what: str, piece: Piece) -> bool:
    return what in KEPT or (what == "held" and piece.state != "succeeded")


def by_kind(client: "redis.Redis") -> dict[str, int]:
    """How many keys of each kind there are."""
    kinds: dict[str, int] = {}
    for name in _names(client):
        kind = name.partition(":")[0]
        kinds[kind] = kinds.get(kind, 0) + 1
    return dict(sorted(kinds.items()))


def _names(client: "redis.Redis") -> list[str]:
    keys = client.scan_iter(KEYS.root + "*", count=1000)
    return sorted({key.decode("utf-8", "replace").removeprefix(KEYS.root) for key in keys})
