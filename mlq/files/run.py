"""A run: cuts a file into chunks, has workers predict them, and keeps what they give as parts.

However it ends, what it has is in its folder, and the next run with that folder goes on: chunks with a part are left
out, and those that were posted are posted again with the same idempotency key, which finds their jobs.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from mlq.core.chunk import Chunk, Predicted
from mlq.errors import (
    JobCancelled,
    JobFailed,
    KeyReused,
    RunStopped,
    ServerError,
    TooLarge,
    Undecodable,
    UnknownJob,
    Unsupported,
    ValueRefused,
)
from mlq.files.chunk_jobs import ChunkJobs, Done
from mlq.files.failing import failed_row
from mlq.files.kept import Kept
from mlq.files.mapping import check_outputs
from mlq.files.places import Input
from mlq.files.report import Progress, Report
from mlq.files.sharing import SharedMemory
from mlq.files.text import ROW_LIMIT, Piece

SECONDS = 1.0  # that a chunk should take: a kill costs that, and a job's own costs are a hundredth
MOST_ROWS = 20_000
AHEAD = SharedMemory(64 << 20)  # of chunks that are posted and not yet parts; each run has one at least
LOOK = 0.5  # seconds between two looks at what else is to be done
CHECK = 1.0  # seconds between two looks whether the input has changed
OUTAGE = 300.0  # seconds for which a run waits for a server that went away
TRIES = 20  # to post a chunk whose job is gone
UNBOUNDED = 10**9  # rows
LEAST = 2  # chunks of a run: one is predicted while another waits
OUTPUT = 4 << 20  # bytes of lines that a chunk should give
_OF_PROCESSES = ("lost", "timeout", "oom")  # reasons of failures that fewer rows may not have
_TOO_LARGE = f"{TooLarge.__module__}.{TooLarge.__qualname__}"  # and an error that they may not have


class Source(Protocol):
    """A file that can be cut: `TextSource`, `ParquetSource`."""

    file: Input
    kind: str
    form: str
    delimiter: str
    columns: tuple[str, ...]
    begin: int
    line: int
    end: int

    def names(self) -> tuple[list[str], bool]:
        """The columns, and whether each row has these."""

    def use(self, columns: Collection[str], optional: Collection[str]) -> None:
        """Which columns are used, and of which ones nulls are left out."""

    def cut(self, start: int, line: int, rows: int, before: int) -> Piece:
        """The next rows from `start` on."""


class Run:
    """Predicts what is left of a file."""

    def __init__(
        self, source: Source, kept: Kept, jobs: ChunkJobs, watch: Callable[[Report], None], stops: Callable[[], bool]
    ) -> None:
        """`watch` is told how far it is; once `stops` is true, it ends."""
        self._source, self._kept, self._jobs = source, kept, jobs
        self._watch, self._stops = watch, stops
        self._at, self._line = source.begin, source.line
        self._before = dict(kept.posted)
        self._borders = sorted({*kept.parts, *kept.posted, source.end})
        self._todo: deque[Piece] = deque()  # to be posted
        self._out: dict[str, Piece] = {}  # what was posted, by the references of jobs
        self._tries: dict[int, int] = {}  # how often the job of a chunk was gone, by its start
        self._check_at = 0.0

    def predict(self, progress: Progress) -> None:
        """Return when each row is in a part. Raises RunStopped, InputError, ServerError."""
        self._progress = progress
        with AHEAD.used():
            self._predict()

    def _predict(self) -> None:
        gone: float | None = None  # since when the server is
        while True:
            if self._stops():
                raise RunStopped("stopped; run the same again to go on")
            try:
                if not self._step():
                    return
                gone = None
            except (ValueRefused, Unsupported):
                raise
            except ServerError as error:
                gone = gone or time.monotonic()
                if time.monotonic() - gone > OUTAGE:
                    raise
                self._watch(self._progress.report(str(error)))
                time.sleep(LOOK)

    def _step(self) -> bool:
        self._fill()
        if not self._out:
            return False
        ended = self._jobs.first_ended(self._out, LOOK)
        if ended is not None:
            self._take(ended)
        slots = self._jobs.slots()
        self._watch(self._progress.report(None if slots else self._jobs.lacking()))
        return True

    def _fill(self) -> None:
        """Post chunks, as many as workers may need before the next look."""
        is_bare = self._source.form == "csv" and not self._kept.about.outputs
        most = 1 if is_bare else self._share()  # the first prediction tells the columns of all others
        is_new = bool(self._todo)
        waiting = [*self._out.values(), *self._todo]
        while len(waiting) < most and sum(len(piece.data or b"") for piece in waiting) < AHEAD.part():
            piece = self._next()
            if piece is None:
                break
            if piece.data is None:
                self._fail(piece, f"the row is too long: more than {ROW_LIMIT:,} bytes; is a quote never closed?")
                continue
            waiting.append(piece)
            self._todo.append(piece)
            is_new = True
        if is_new:
            self._check()
            self._kept.bare.update(piece.start for piece in self._todo if is_bare)
            self._note_posted(waiting)
        while self._todo and not (is_bare and self._out):
            self._post(self._todo[0])
            self._todo.popleft()

    def _note_posted(self, pieces: Sequence[Piece]) -> None:
        """Write down what is posted, and what an earlier process has posted further on: that is not forgotten."""
        before = {start: end for start, end in self._before.items() if start >= self._at}
        self._kept.note_posted(before | {piece.start: piece.end for piece in pieces})

    def _share(self) -> int:
        """How many chunks may be out: as many as workers need before the next look, less what others have waiting.

        So all runs together keep workers busy, and nobody waits long behind any of them; a run that comes later gets a
        share as large as that of one that has been there for hours.
        """
        others = max(0, self._jobs.waiting() - len(self._out))
        return max(LEAST, 2 * self._jobs.slots() + LEAST - others)

    def _next(self) -> Piece | None:
        """The next rows that have neither a part nor a job of this process."""
        while (part := self._kept.parts.get(self._at)) is not None and part.end > part.start:
            self._at, self._line = part.end, self._line + part.lines
        if self._at >= self._source.end:
            return None
        known = self._before.get(self._at)  # where a chunk of an earlier process ended: its job may be there
        border = self._borders[bisect_right(self._borders, self._at)]
        before = border if known is None else min(known, border)
        piece = self._source.cut(self._at, self._line, UNBOUNDED if known else self._kept.rows, before)
        self._at, self._line = piece.end, piece.line + piece.lines
        return piece

    def _check(self) -> None:
        """Check the input now and then; `joining` does so once more at the end, before anything gets its name."""
        if time.monotonic() >= self._check_at:
            self._source.file.check()
            self._check_at = time.monotonic() + CHECK

    def _post(self, piece: Piece) -> None:
        about, source = self._kept.about, self._source
        chunk = Chunk(
            source.form, piece.data or b"", piece.line, source.columns, about.fields, about.keep, source.delimiter,
            () if piece.start in self._kept.bare else about.outputs,
        )  # fmt: skip
        while True:
            tries = self._tries.get(piece.start, 0)
            key = f"{about.id}:{piece.start}-{piece.end}" + (f":{tries}" if tries else "")
            try:
                self._out[self._jobs.post(chunk, key)] = piece
            except KeyReused:  # by an earlier process, whose version of MLQ packed chunks otherwise
                self._tries[piece.start] = tries + 1
            else:
                return

    def _take(self, reference: str) -> None:
        """Make a part of what a job gave."""
        piece = self._out[reference]
        try:
            done = self._jobs.take(reference)
        except UnknownJob:  # the server lost it, or it was removed: it runs again
            self._again(reference, piece)
        except JobFailed as error:
            if error.reason not in _OF_PROCESSES and error.error_type != _TOO_LARGE:
                self._give_up(reference, piece, str(error))
            self._divide(reference, piece, error)
        except (JobCancelled, Undecodable) as error:
            self._give_up(reference, piece, str(error))
        else:
            self._add(piece, done)
            self._finish(reference)

    def _finish(self, reference: str) -> None:
        """In this order: if the server is away, the job is removed when its time is over."""
        del self._out[reference]
        self._jobs.remove(reference)

    def _again(self, reference: str, piece: Piece) -> None:
        del self._out[reference]
        tries = self._tries[piece.start] = self._tries.get(piece.start, 0) + 1
        if tries > TRIES:
            raise RunStopped(f"the jobs of the rows from line {piece.line:,} on are removed again and again")
        self._todo.append(piece)

    def _give_up(self, reference: str, piece: Piece, why: str) -> None:
        """Stop for an error that other rows would have, too; the next run posts these once more."""
        self._jobs.remove(reference)
        words = why.partition(": ")[2] or why
        raise RunStopped(
            f"the rows from line {piece.line:,} on: {words}; what is predicted is kept: run the same again"
        )

    def _divide(self, reference: str, piece: Piece, error: JobFailed) -> None:
        """The process that predicted these rows died or took too long: find the row that is to blame."""
        halves = self._halves(piece)
        self._kept.bare.discard(piece.start)
        if halves:
            self._kept.rows = max(1, self._kept.rows // 2)
            self._note_posted([*(one for one in self._out.values() if one is not piece), *self._todo, *halves])
        else:
            self._fail(piece, str(error).partition(": ")[2])
        self._todo.extendleft(reversed(halves))
        self._finish(reference)

    def _halves(self, piece: Piece) -> list[Piece]:
        rows = max(1, piece.lines // 2)
        first = self._source.cut(piece.start, piece.line, rows, piece.end)
        if first.end == piece.end and rows > 1:  # rows of many lines
            first = self._source.cut(piece.start, piece.line, 1, piece.end)
        if first.end == piece.end:
            return []
        return [first, self._source.cut(first.end, first.line + first.lines, UNBOUNDED, piece.end)]

    def _fail(self, piece: Piece, why: str) -> None:
        """Write a part of one row that failed."""
        chunk = Chunk(self._source.form, piece.data or b"", piece.line)
        self._write(piece, failed_row(chunk, why))

    def _add(self, piece: Piece, done: Done) -> None:
        predicted, about = done.predicted, self._kept.about
        if self._source.form == "csv" and not about.outputs and predicted.outputs:
            check_outputs(about.keep, predicted.outputs)
            self._kept.learn(predicted.outputs)
        self._write(piece, predicted)
        size = len(predicted.output) + len(predicted.errors)
        wanted = predicted.rows * min(SECONDS / max(done.took, 0.001), OUTPUT / max(size, 1))
        if not self._kept.rows / 2 < wanted < self._kept.rows * 2:  # sizes change rarely
            wanted = min(wanted, self._kept.rows * 8, MOST_ROWS)  # a few rows say little
            self._kept.rows = max(1, round(wanted), self._kept.rows // 8)

    def _write(self, piece: Piece, predicted: Predicted) -> None:
        self._kept.add(piece, predicted)
        self._progress.add(predicted.rows, predicted.failed, piece.end - piece.start)
