"""What comes before and after a job: the checks of the options `after`, `on_failure` and `then`."""

from mlq.core.checks import check_functions, check_id, check_queue, lane_of
from mlq.core.destination import destination_of
from mlq.core.identity import JobId
from mlq.errors import InputError

MOST_NEEDED = 1000  # jobs that one job comes after: each costs the script that posts it about 3 us


def check_after(value: object) -> tuple[JobId, ...] | None:
    """The jobs that one comes after, given by handle, id or reference; one that is given twice counts once."""
    if value is None:
        return None
    found: dict[str, JobId] = {}
    for given in value if isinstance(value, (list, tuple)) else [value]:
        job = check_id(getattr(given, "reference", given))
        known = found.get(str(job))
        if known is None or not known.stamp:
            found[str(job)] = job
        elif job.stamp not in ("", known.stamp):
            raise InputError(f"after: two jobs had the id {job}, and the server has lost the first one")
    if len(found) > MOST_NEEDED:
        raise InputError(f"after: a job can come after {MOST_NEEDED:,} others at most, not {len(found):,}")
    return tuple(found.values()) or None


def check_on_failure(value: object) -> str | None:
    """What becomes of a job if one of those fails; None for "fail"."""
    if value not in (None, "fail", "run"):
        raise InputError(f"on_failure must be 'fail' or 'run', not {value!r:.80}")
    return "run" if value == "run" else None


MOST_THEN = 100  # listeners in a row
THEN_LIMIT = 4000  # bytes of their names: each job of a bulk stores them


def check_then(value: object) -> tuple[str, ...] | None:
    """Lanes with one function each: `phones:extract`, or `extract` for the usual queue."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or len(value) > MOST_THEN:
        raise InputError(f"then must be a list of up to {MOST_THEN} listeners, not {value!r:.80}")
    lanes = tuple(_check_one_then(one) for one in value)
    if sum(len(lane.encode()) for lane in lanes) > THEN_LIMIT:
        raise InputError(f"then: the names are too long; together they may take up to {THEN_LIMIT:,} bytes")
    return lanes or None


def _check_one_then(value: object) -> str:
    queue, functions = destination_of(value) if callable(value) else (None, [value])
    if queue is None and isinstance(functions[0], str):
        given, colon, name = functions[0].rpartition(":")
        queue, functions = (given if colon else None), [name]
    names = check_functions(functions) or []
    return names[0] if queue is None else lane_of(check_queue(queue), names)
