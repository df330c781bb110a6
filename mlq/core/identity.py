"""What identifies one job forever: its id and its stamp, the time at which it was posted.

The id alone is not enough: a server that lost data may assign it again. The stamp, which the server takes to the
microsecond and stores in the job's record, tells the two jobs apart.
"""

import re
from typing import Self

_REFERENCE = re.compile(r"(\d{1,18})(?:@(\d{1,12}\.\d{6}))?", re.ASCII)


class JobId(str):
    """A job's id, a string of digits, that also carries the stamp of the job that is meant.

    `stamp` is when that job was posted, as the server wrote it; empty until a post or the first reply fills it in.
    `str(id)` is the id alone; `reference` has both, and is accepted wherever an id is.
    """

    __slots__ = ("stamp",)
    stamp: str

    def __new__(cls, number: str, stamp: str = "") -> Self:
        """`number`: the digits."""
        made = super().__new__(cls, number)
        made.stamp = stamp
        return made

    def __reduce__(self) -> tuple[type["JobId"], tuple[str, str]]:
        """Keeps the stamp in copies and pickles."""
        return JobId, (str(self), self.stamp)

    @property
    def reference(self) -> str:
        """The id and, if it is known, the stamp: `57@1795888888.123456`."""
        return f"{self}@{self.stamp}" if self.stamp else str(self)


def parse_reference(text: str) -> JobId | None:
    """The JobId for an id or a reference; None if `text` is neither."""
    found = _REFERENCE.fullmatch(text)
    return JobId(found[1], found[2] or "") if found else None


def stamp_of(job_id: str) -> str:
    """The stamp that an id carries; empty for a plain string."""
    return job_id.stamp if isinstance(job_id, JobId) else ""


def reference_of(job_id: str) -> str:
    """The id with its stamp, if it carries one."""
    return job_id.reference if isinstance(job_id, JobId) else job_id


def same(one: JobId, other: JobId) -> bool:
    """Whether both identify the same job, stamp included."""
    return one == other and one.stamp == other.stamp


def bind(job_id: str, stamp: str) -> None:
    """Fill in the stamp of an id that has none: from its first reply on, it means the job that the reply is about."""
    if isinstance(job_id, JobId) and not job_id.stamp:
        job_id.stamp = stamp
