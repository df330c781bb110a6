"""Checks that a reply is about the job that was meant, by its stamp, and raises the right error if it is not."""

from mlq.core.identity import bind, stamp_of
from mlq.core.keys import Keys
from mlq.errors import JobLost, UnknownJob


def unknown(keys: Keys, job_id: str) -> UnknownJob:
    """The error for an id that names no job."""
    past = (
        "was deleted, has expired, or the server lost it"
        if stamp_of(job_id)
        else ("never existed, was deleted, or has expired")
    )
    return UnknownJob(f"no job {job_id} in namespace {keys.namespace!r}: it {past}")


def check_exists(keys: Keys, job_id: str, word: bytes) -> None:
    """Raises UnknownJob or JobLost if a script replied that the job that is meant does not exist."""
    if word == b"gone":
        raise unknown(keys, job_id)
    if word == b"other":
        raise JobLost(
            f"job {job_id} of namespace {keys.namespace!r} is lost: the server lost data after it was posted, "
            "and its id now belongs to another job"
        )


def check_stamp(keys: Keys, job_id: str, stamp: str) -> None:
    """The same for a `stamp` in a reply. Fills in the stamp of an id that has none."""
    if stamp_of(job_id) not in ("", stamp):
        check_exists(keys, job_id, b"other")
    bind(job_id, stamp)
