"""Ops on pipelines: the parts of a split, their outcomes, the steps of a whole."""

import re
from collections.abc import Sequence
from typing import Any

from mlq.core.identity import bind, stamp_of
from mlq.core.job import fields_of, number, text
from mlq.core.keys import Keys
from mlq.core.progress import Progress
from mlq.core.tree import Page, Row
from mlq.errors import UnknownJob
from mlq.ops import Op, call
from mlq.ops.jobs import shown
from mlq.ops.scripts import script
from mlq.ops.stamps import check_exists

_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)


def ranges_in(stored: str | None) -> list[tuple[int, int]]:
    """Ranges of ids as they are stored: `101-600,605-700`."""
    return [(int(first), int(last)) for first, last in _RANGE.findall(stored or "")]


def parts(keys: Keys, join: str) -> Op[list[tuple[int, int]]]:
    """The first and the last id of each range of parts that a join waits for."""

    def parse(reply: bytes | None) -> list[tuple[int, int]]:
        if reply is None:  # a person has requeued it since
            raise UnknownJob(f"the server has lost which parts job {join} joins")
        return ranges_in(text(reply))

    return Op(("HGET", keys.job + join, "parts"), parse, about=f"job {join}")


def outcomes(keys: Keys, job_ids: Sequence[str]) -> Op[list[dict[str, bytes]]]:
    """The fields of jobs that ended, and their `id`: of the first ones, until they are more than 4 MB."""

    def parse(reply: list[Any]) -> list[dict[str, bytes]]:
        found = [fields_of(fields) for fields in reply]
        return [fields | {"id": one.encode()} for one, fields in zip(job_ids, found, strict=False)]

    return call(script("outcomes"), (keys.job,), tuple(job_ids), parse)


def tree(keys: Keys, job_id: str, after: str, most: int) -> Op[Page]:
    """A page of the pipeline that a job belongs to: up to `most` steps with ids above `after`."""

    def parse(reply: list[Any]) -> Page:
        check_exists(keys, job_id, reply[0])
        _, stamp, now, steps, done, bad, last, needed, *rows = reply
        bind(job_id, stamp.decode("utf-8", "replace"))
        counts = None if steps is None else Progress.counted({"steps": steps, "done": done, "bad": bad})
        found = [Row.read(shown(row[0]), row[1], fields_of(row[2:])) for row in rows]
        return Page(number(now) or 0.0, counts, last.decode(), needed, found)

    args = (str(job_id), stamp_of(job_id), after, most)
    return call(script("tree"), (keys.post, keys.job), args, parse, f"job {job_id}")
