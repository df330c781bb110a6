"""What names one job for ever: its id, and the moment of its post.

The id alone is not enough. A server that lost data may give an id out again; the moment, which the server took to the
microsecond and which the job's record keeps, tells the two jobs apart.
"""

import re
from typing import Self

_REFERENCE = re.compile(r"(\d{1,18})(?:@(\d{1,12}\.\d{6}))?", re.ASCII)


class JobId(str):
    """A job's id, a text of digits, that also knows which job of that id is meant.

    `stamp` is when that job was posted, as the server wrote it; blank until a post or the first answer tells. `str(id)`
    is the id alone; `reference` says both, and may stand wherever an id may.
    """

    __slots__ = ("stamp",)
    stamp: str

    def __new__(cls, number: str, stamp: str = "") -> Self:
        """`number`: the digits."""
        made = super().__new__(cls, number)
        made.stamp = stamp
        return made

    def __reduce__(self) -> tuple[type["JobId"], tuple[str, str]]:
        """Copies and pickles know the stamp, too."""
        return JobId, (str(self), self.stamp)

    @property
    def reference(self) -> str:
        """The id and, where it is known, the stamp: `57@1795888888.123456`."""
        return f"{self}@{self.stamp}" if self.stamp else str(self)


def parse_reference(text: str) -> JobId | None:
    """The id that an id or a reference names; None for what is neither."""
    found = _REFERENCE.fullmatch(text)
    return JobId(found[1], found[2] or "") if found else None


def stamp_of(job_id: str) -> str:
    """The stamp that an id carries; blank for a plain text."""
    return job_id.stamp if isinstance(job_id, JobId) else ""


def reference_of(job_id: str) -> str:
    """An id with its stamp, where it carries one."""
    return job_id.reference if isinstance(job_id, JobId) else job_id


def same(one: JobId, other: JobId) -> bool:
    """Whether both are known to mean the same job."""
    return one == other and one.stamp == other.stamp


def bind(job_id: str, stamp: str) -> None:
    """From its first answer on, an id that did not know its job means the one that answered."""
    if isinstance(job_id, JobId) and not job_id.stamp:
        job_id.stamp = stamp
