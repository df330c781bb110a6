"""The steps of a pipeline as a tree: under each job those that ran for it."""

from typing import Any, NamedTuple

from mlq.core.checks import functions_of, queue_of
from mlq.core.job import Record, number, or_none, text
from mlq.core.progress import Progress
from mlq.core.states import State
from mlq.errors import Undecodable

PAGE = 500  # steps that one call reads: 3 ms of the server's time
STEPS = 1000  # most steps of a tree, unless the caller wants others
DEEPEST = 50  # levels; what is below them is shown beside them: JSON and printers end with deep nesting


class Tree(NamedTuple):
    """A job and the jobs that ran for it. Times are seconds since the epoch by the server's clock."""

    id: str
    runs_as: str  # "root", "needed" (the root comes after it), "next", "part" or "join" of the job above
    state: State
    queue: str
    functions: list[str]
    attempts: int
    posted: float | None
    started: float | None
    finished: float | None
    took: float | None  # seconds from the start of the last attempt to the end of the job, or until now
    reason: str | None  # why it failed: "error", "timeout", "lost", "oom" or "step"
    error_type: str | None
    error: str | None  # its beginning
    cause: str | None  # the job because of which it failed, if that is another one
    becomes: str | None  # the job whose outcome it has or will have
    gave: str | None  # the job that got its result
    needs: int | None  # jobs that it still waits for
    parts: int | None  # of a join: the jobs whose results it gets
    progress: Progress | None  # of the root of a pipeline
    left_out: int  # of the root: steps that exist, but are not in this tree
    steps: list["Tree"]


class Row(NamedTuple):
    """A job of a tree as it is stored."""

    id: str
    record: Record | None  # None if it is gone, or damaged
    now: dict[str, bytes]

    @classmethod
    def read(cls, job_id: str, record: bytes, now: dict[str, bytes]) -> "Row":
        """One damaged job must not hide the others."""
        try:
            return cls(job_id, Record.parse(record) if record else None, now)
        except Undecodable:
            return cls(job_id, None, now)

    @property
    def above(self) -> str:
        """The job that it ran for; empty for the root."""
        part = self.record and self.record.options.part
        return (part.into or part.tail or part.root) if part else ""


class Page(NamedTuple):
    """A page of the jobs of a pipeline."""

    now: float  # the server's clock
    progress: Progress | None
    after: str  # the id after which the next page begins; empty at the end
    needed: int  # rows of jobs that the root comes after; they follow its own, in the first page
    rows: list[Row]


class Growing:
    """A tree that is read page by page."""

    def __init__(self, limit: int) -> None:
        """`limit`: most steps."""
        self._left = limit
        self._nodes: dict[str, tuple[Tree, int]] = {}  # with their depth
        self._root: Tree | None = None
        self.after = ""  # the id after which the next page begins
        self.is_whole = False

    @property
    def wanted(self) -> int:
        """Steps of the next page."""
        return min(self._left, PAGE)

    def add(self, page: Page) -> None:
        """The next page."""
        steps = page.rows
        if self._root is None:
            first = 1 + page.needed
            self._root = _node(page.rows[0], "root", page)._replace(progress=page.progress)
            self._nodes[self._root.id] = self._root, 0
            self._root.steps.extend(_node(row, "needed", page) for row in page.rows[1:first])
            steps = page.rows[first:]
        for row in steps:
            self._add_step(row, page)
        self._left -= len(steps)
        self.after, self.is_whole = page.after, not page.after or self._left <= 0

    def _add_step(self, row: Row, page: Page) -> None:
        above, depth = self._nodes.get(row.above) or next(iter(self._nodes.values()))
        part = row.record and row.record.options.part
        node = _node(row, "part" if part and part.into else "join" if part and part.joins else "next", page)
        above.steps.append(node)
        self._nodes[row.id] = (node, depth + 1) if depth < DEEPEST else (above, depth)

    def tree(self) -> Tree:
        """The root with all steps that were read."""
        if self._root is None:
            raise Undecodable("a tree without a root")
        found = len(self._nodes) - 1
        of = self._root.progress.of if self._root.progress else 0
        return self._root._replace(left_out=max(0, of - found) if self.after else 0)


def _node(row: Row, runs_as: str, page: Page) -> Tree:
    now, record = row.now, row.record
    stored = text(now.get("state")) or (State.QUEUED if record else State.GONE)
    state = State(stored) if stored in list(State) else State.GONE
    started, finished = or_none(number, now.get("started")), or_none(number, now.get("finished"))
    until = page.now if state in (State.RUNNING, State.BLOCKED) else finished
    lane = record.lane if record else ""
    kept: dict[str, Any] = {name: text(now.get(name)) or None for name in ("error_type", "error", "cause", "gave")}
    return Tree(
        row.id, runs_as, state, queue_of(lane), sorted(functions_of(lane)), _count(now, "attempts") or 0,
        record.posted if record else None, started, finished,
        None if started is None or until is None else max(0.0, until - started),
        reason=text(now.get("reason")) if state in (State.FAILED, State.CANCELLED) else None, **kept,
        becomes=text(now.get("tail")), needs=_count(now, "needs") if state == State.BLOCKED else None,
        parts=_count(now, "of"), progress=None, left_out=0, steps=[],
    )  # fmt: skip


def _count(now: dict[str, bytes], name: str) -> int | None:
    return or_none(int, now[name]) if name in now else None
