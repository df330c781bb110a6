"""Has jobs cancelled that expired before this worker claimed them, since no worker was there to look."""

from mlq.core.job import Claimed, Record
from mlq.errors import ServerError, Undecodable
from mlq.ops import work as work_ops
from mlq.system.service import log
from mlq.worker.shared import Shared

OPTION = b"\xa7expires"  # in a record: most do not have it, and are not parsed here


def without_late(shared: Shared, claimed: list[Claimed]) -> list[Claimed]:
    """The attempts of a claim that are to run. The slots of the others are free again."""
    kept = [one for one in claimed if not is_late(shared, one)]
    if len(kept) < len(claimed):
        shared.slots.give(shared.slots_of(claimed) - shared.slots_of(kept))
        shared.wake_for_free_slot()
    return kept


def is_late(shared: Shared, claimed: Claimed) -> bool:
    """Whether the attempt must not begin, since its job has expired; that is recorded."""
    if claimed.attempt > 1 or OPTION not in claimed.record:
        return False
    try:
        last = Record.parse(claimed.record).last
    except Undecodable:  # its end will be told
        return False
    if last is None or claimed.started < last:
        return False
    try:
        return shared.shell.run(work_ops.expire(shared.keys, claimed))
    except ServerError as error:  # the lease runs out, since nobody renews it
        log.warning("can't cancel job %s, which has expired: %s", claimed.id, error)
        return True
