"""What both clients share: preparing arguments for ops, and turning an outcome into a value or an exception. Pure."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlq.core import codec
from mlq.core.checks import printable
from mlq.core.exceptions import faults_in, from_fields
from mlq.core.job import text
from mlq.core.job_options import JobOptions, options_of
from mlq.core.states import State
from mlq.errors import InputError, JobCancelled, JobFailed, RemoteTraceback, Undecodable

CHUNK_JOBS = 500  # jobs of one call of post_many: ~1 ms of the server's time
CHUNK_LINKS = 5000  # of these to jobs that they come after: 3 us each, and 4 us for each of those jobs in a call
CHUNK_BYTES = 4 * 1024 * 1024  # bytes of one call of post_many; a larger message is sent alone
CHORES = 40  # calls after a change of one job, 500 steps each: others may have left far more to do
LISTEN = 10  # seconds of one wait on the server; a lost message delays a waiter by no more than that
WORTH_ASKING = 0.1  # seconds; after a wait as long as this, a WaitTimeout says why no worker can run the job
PAGE = 100  # jobs or dead letters per call


def chunks(bodies: Iterable[bytes], links: int = 0) -> Iterator[list[bytes]]:
    """Splits bodies into portions for one call each. `links`: how many others each of these jobs comes after."""
    most = min(CHUNK_JOBS, max(1, CHUNK_LINKS // links)) if links else CHUNK_JOBS
    portion: list[bytes] = []
    size = 0
    for body in bodies:
        if portion and (len(portion) >= most or size + len(body) > CHUNK_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(body)
        size += len(body)
    if portion:
        yield portion


def options_of_many(callback: object, functions: object, options: Mapping[str, object]) -> JobOptions:
    """The options of a post of many jobs. Raises InputError."""
    wanted = options_of(callback, functions, options)
    if wanted.key is not None:
        raise InputError("key is of one job, and this posts many: post them one by one, each with a key of its own")
    return wanted


def data_key(key: object) -> str:
    """The key to store data under; random if none is given."""
    if key is None:
        return secrets.token_urlsafe(16)
    if not isinstance(key, str) or not printable(key, 1000):
        raise InputError(f"key must be a string of 1 to 1000 printable characters, not {key!r:.80}")
    return key


def state_of(fields: dict[str, bytes]) -> State:
    """The state of a job that ended. Raises Undecodable."""
    try:
        return State(text(fields.get("state")) or "")
    except ValueError:
        raise Undecodable(f"the state of this job is damaged: {fields.get('state')!r:.80}") from None


def given_to(fields: dict[str, bytes] | None) -> str | None:
    """The job that got the result of this one, a step of a pipeline that ended; None if it kept it."""
    return text(fields.get("gave")) if fields else None


_CANCELLED = {"expired": "expired before a worker began it", "purged": "was purged from its queue"}


def value_of(job_id: str, fields: dict[str, bytes], *, original: bool) -> Any:
    """A finished job's result. Raises JobFailed (or, with `original`, the listener's own exception) or JobCancelled."""
    state = text(fields.get("state"))
    if state == State.SUCCEEDED:
        packed = fields.get("result")
        return None if packed is None else codec.unpack(packed)
    if state == State.CANCELLED:
        why = _CANCELLED.get(text(fields.get("reason")) or "", "was cancelled")
        raise JobCancelled(f"job {job_id} {why}")
    message, kind = text(fields.get("error")) or "", text(fields.get("error_type")) or ""
    remote = text(fields.get("traceback")) or ""
    reason = text(fields.get("reason")) or ""
    error: Exception | None = from_fields(fields, kind, message) if original and reason in ("error", "step") else None
    if error is None:
        error = JobFailed(f"job {job_id} failed: {kind.rpartition('.')[2]}: {message}", kind, remote, reason,
                          faults_in(fields, kind))  # fmt: skip
    if remote:
        error.__cause__ = RemoteTraceback(remote)
    raise error
