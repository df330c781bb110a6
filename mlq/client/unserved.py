"""Says why no live worker can run a waiting job: on post, when a wait times out, by handles, and in lists."""

import logging
import time
from collections.abc import Iterable, Sequence

from mlq.core.checks import DEFAULT_QUEUE, functions_of, group_of, nearest, queue_of
from mlq.core.chunk import ROWS_QUEUE
from mlq.core.file_job import FILES_QUEUE, KEPT_IN, PLACES, PREDICT_FILE
from mlq.core.states import State
from mlq.ops.jobs import Counts, Place

log = logging.getLogger("mlq.client")

EVERY = 60.0  # seconds between two checks of a lane that is served, and between two warnings about one that is not
AGAIN = 1.0  # seconds between two checks of a lane that is not served, and for which a list of workers is used
LANES = 1000  # lanes that are remembered; beyond that, all are checked again

OWN_QUEUES = (FILES_QUEUE, ROWS_QUEUE)  # nobody names them with --queues
Worker = dict[str, str]  # what a worker reports about itself


def can_serve(worker: Worker, lane: str) -> bool:
    """Whether a worker, by what it reports about itself, serves a lane's queue and has all functions of the lane."""
    names, wanted = _functions(worker), functions_of(lane)
    queues = _queues(worker)
    if queue_of(lane) in OWN_QUEUES:  # nothing tells for which queues its listeners are
        return wanted <= names
    if not wanted:  # its listeners may all belong to other queues; a worker of an older version does not report `open`
        queues = worker.get("open", ",".join(queues)).split(",")
    return queue_of(lane) in queues and bool(names) and wanted <= names


def unserved(now: Counts, workers: Iterable[Worker]) -> dict[str, int]:
    """The lanes with waiting jobs that no live worker serves, and how many jobs wait there."""
    living = list(workers)
    return {
        lane: waiting
        for lane, waiting in now.lanes.items()
        if waiting and not any(can_serve(worker, lane) for worker in living)
    }


def missing(lane: str, workers: Sequence[Worker], namespace: str) -> str | None:
    """Why no live worker of a namespace serves a lane, with the nearest name; None if one does."""
    if any(can_serve(worker, lane) for worker in workers):
        return None
    if not workers:
        return f"no worker is running in namespace {namespace!r}"
    queue, wanted = queue_of(lane), functions_of(lane)
    here = [worker for worker in workers if queue in _queues(worker) or queue in OWN_QUEUES]
    if not here:
        queues = {name for worker in workers for name in _queues(worker)}
        return f"no live worker serves the queue {queue!r}{nearest(queue, queues)}"
    names = frozenset[str]().union(*map(_functions, here))
    if PREDICT_FILE in wanted - names:
        return f"no live worker predicts files: start one with {KEPT_IN} or {PLACES}"
    if not wanted:
        return f"no live worker has a listener for the queue {queue!r}"
    lacking = sorted(wanted - names)
    if not lacking:
        return f"no live worker has all of {', '.join(map(repr, sorted(wanted)))}"
    return f"no live worker has a listener {' or '.join(map(repr, lacking))}{nearest(lacking[0], names)}"


def why_waiting(place: Place, workers: Sequence[Worker], namespace: str) -> str | None:
    """Why no live worker can run a job that waits: none serves its lane, or it waits for others. None if one can."""
    if place.blocker is None:
        return None if place.ahead is None else missing(place.lane, workers, namespace)
    other_id, state, lane, needs = place.blocker
    if state == State.BLOCKED:  # as for a split whose first 500 parts have ended
        return f"it waits for job {other_id}, which waits for {needs:,} others"
    lacking = missing(lane, workers, namespace) if state == State.QUEUED else None
    return f"it waits for job {other_id}, which is {state}{f'; {lacking}' if lacking else ''}"


def with_server(lacking: str, workers: Sequence[Worker], server: str) -> str:
    """What is missing, and if no worker is alive at all, the server: it may be the wrong one."""
    return lacking if workers else f"{lacking}; the server is {server}"


def ambiguous(lane: str, workers: Iterable[Worker]) -> str | None:
    """Why it is not known which listeners will run for a job that names none; None if it is."""
    sets = {_functions(worker) for worker in workers if can_serve(worker, lane)}
    if functions_of(lane) or len(sets) < 2:
        return None
    shown = "; ".join(sorted(", ".join(map(repr, sorted(names))) for names in sets))
    return f"it names no function, and live workers have different listeners ({shown:.200}), so any of these may run"


def for_all(lane: str, workers: Iterable[Worker]) -> str | None:
    """That all listeners of a worker run for a job that names none, if there are several; None otherwise."""
    serving = [worker for worker in workers if can_serve(worker, lane)]
    if functions_of(lane) or all(len(_functions(worker)) < 2 for worker in serving):
        return None
    return "it names no function, so all listeners of its queue run"


def _functions(worker: Worker) -> frozenset[str]:
    return frozenset(filter(None, worker.get("functions", "").split(",")))


def _queues(worker: Worker) -> list[str]:
    return worker.get("queues", DEFAULT_QUEUE).split(",")


class LaneChecks:
    """Warns of posts that no live worker can run. A lane that is served is checked once a minute: posts stay fast."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._due: dict[str, float] = {}  # when to check a lane again
        self._found: dict[str, str] = {}  # what is wrong with it
        self._warned: dict[str, float] = {}  # until when no further warning is logged
        self._workers: list[Worker] = []
        self._read_until = 0.0

    def begins(self, lane: str) -> bool:
        """Whether to check the lane after a post to it. If so, nobody else needs to in the next second."""
        lane, now = group_of(lane), time.monotonic()
        if self._due.get(lane, 0.0) > now:
            return False
        if len(self._due) >= LANES:
            for known in (self._due, self._found, self._warned):
                known.clear()
        self._due[lane] = now + AGAIN  # even if the check fails: else each post would try it again
        return True

    def recent_workers(self) -> list[Worker] | None:
        """The list of workers if it was read within the last second: there may be thousands of lanes."""
        return self._workers if time.monotonic() < self._read_until else None

    def remember_workers(self, workers: list[Worker]) -> list[Worker]:
        """Remember the list of workers, which was read just now, for a second."""
        self._workers, self._read_until = workers, time.monotonic() + AGAIN
        return workers

    def check(self, lane: str, job_id: str, workers: list[Worker], namespace: str, server: str) -> None:
        """Log a warning if something is wrong with the lane that a job was posted to."""
        lane, now = group_of(lane), time.monotonic()
        nobody = missing(lane, workers, namespace)
        self._due[lane] = now + (AGAIN if nobody else EVERY)
        found = nobody or ambiguous(lane, workers)
        told = found or for_all(lane, workers)  # which is as it should be for many: it is not logged
        if told is None:
            self._found.pop(lane, None)
        else:
            self._found[lane] = told
        if found and now >= self._warned.get(lane, 0.0):
            self._warned[lane] = now + EVERY
            log.warning("job %s: %s", job_id, with_server(found, workers, server))

    def warning(self, lane: str) -> str | None:
        """What the last check found out about a lane that posters should know; None if nothing."""
        return self._found.get(group_of(lane))
