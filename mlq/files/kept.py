"""What a run keeps in its folder: what it is about, the parts it has, and the chunks that were posted without one."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple, Self

from mlq.core.chunk import Predicted
from mlq.errors import InputError, RunStopped
from mlq.files.places import Folder
from mlq.files.text import Piece

ABOUT, POSTED, JOINED, JOINED_ERRORS = "run.json", "posted.json", "joined", "joined.errors"
FORMAT = 1
FIRST = 32  # rows of the first chunk: how long they take says how many the next ones have
_PART = re.compile(r"(\d{16})-(\d{16})-(\d+)-(\d+)-(\d+)\.lines")
_OWN = re.compile(
    rf"(({re.escape(ABOUT)}|{re.escape(POSTED)}|{JOINED}|{re.escape(JOINED_ERRORS)}|{_PART.pattern}(\.errors)?)(\.draft)?|lock)"
)


@dataclass(frozen=True, slots=True)
class About:
    """What a run is about. It never changes, but for `outputs`, which become known, and `is_joined`."""

    id: str  # of the run; a part of the idempotency keys of its chunks
    name: str  # as the caller gave it
    function: str  # what predicts all rows, such as iris@2: the version does not change during a run
    version: str | None
    input: str
    fingerprint: str
    kind: str  # csv, jsonl, batch or parquet
    given: dict[str, str]  # columns by field, as the caller gave them
    keep: tuple[str, ...]
    errors: str  # the address of the file of rows that failed
    fields: tuple[tuple[str, str], ...]  # as a chunk has them
    optional: tuple[str, ...]  # columns of Parquet whose nulls are left out
    outputs: tuple[str, ...]  # of CSV, the columns of the predictions; () until they are known
    declared: dict[str, Any]  # the schemas of the model's fields, for the types of Parquet
    is_joined: bool = False  # the output is whole, and gets its name now
    format: int = FORMAT

    def packed(self) -> bytes:
        """As it is kept."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def parse(cls, packed: bytes, where: str) -> Self:
        """Raises InputError."""
        try:
            found = json.loads(packed)
            is_ours = found["format"] == FORMAT
            given = {one.name: found[one.name] for one in fields(cls)} if is_ours else {}
        except (ValueError, TypeError, KeyError):
            raise InputError(f"{where}/{ABOUT} is damaged: begin again (--restart, or restart=True)") from None
        if not is_ours:
            raise InputError(f"{where} is of another version of MLQ: go on with that one, or begin again")
        pairs = tuple((field, column) for field, column in given["fields"])
        lists = {name: tuple(given[name]) for name in ("keep", "optional", "outputs")}
        return cls(**(given | lists | {"fields": pairs}))


class Part(NamedTuple):
    """Rows that were predicted. All of it is in the name of its file."""

    start: int
    end: int
    lines: int  # physical lines of the input
    rows: int
    failed: int

    @property
    def name(self) -> str:
        """The name of the file of its output."""
        return f"{self.start:016d}-{self.end:016d}-{self.lines}-{self.rows}-{self.failed}.lines"

    @property
    def errors(self) -> str:
        """The name of the file of its errors, which is there if rows failed."""
        return f"{self.name}.errors"


class Kept:
    """The folder of one run."""

    def __init__(self, folder: Folder, about: About) -> None:
        """What an earlier process has left is not known yet: `load` reads it."""
        self._folder = folder
        self.about = about
        self.parts: dict[int, Part] = {}  # by where they start
        self.posted: dict[int, int] = {}  # the ends of chunks without a part, by their starts
        self.bare: set[int] = set()  # the starts of those that were posted before the columns of CSV were known
        self.rows = FIRST  # of a chunk: what was found to take about a second

    def begin(self) -> None:
        """Write down what the run is about."""
        self._folder.write(ABOUT, self.about.packed())

    def load(self) -> None:
        """Read what an earlier process has left."""
        found = sorted(
            Part(*map(int, match.groups())) for name in self._folder.names() if (match := _PART.fullmatch(name))
        )
        end = -1
        for part in found:  # of two that overlap, which only two processes at once could make, the first counts
            if part.start >= end:
                self.parts[part.start] = part
                end = part.end
        try:
            kept = json.loads(self._folder.read(POSTED) or b"{}")
            ranges = [(int(start), int(stop)) for start, stop in kept.get("ranges", ())]
            self.bare = {int(start) for start in kept.get("bare", ())}
            self.rows = int(kept.get("rows", FIRST))
        except (ValueError, TypeError, AttributeError):  # the machine stopped while it was written
            return
        self.posted = {start: stop for start, stop in ranges if start not in self.parts}

    def note_posted(self, ranges: dict[int, int]) -> None:
        """Write down which chunks have jobs, or are about to. It need not be safe: chunks may be predicted twice."""
        self.posted = ranges
        self.bare &= self.posted.keys()
        words = json.dumps({"rows": self.rows, "ranges": sorted(self.posted.items()), "bare": sorted(self.bare)})
        self._folder.write(POSTED, words.encode(), safe=False)

    def add(self, piece: Piece, predicted: Predicted) -> Part:
        """Write a part, safely; afterwards its job is not needed any more."""
        part = Part(piece.start, piece.end, piece.lines, predicted.rows, predicted.failed)
        if predicted.errors:
            self._folder.write(part.errors, predicted.errors)
        self._folder.write(part.name, predicted.output)
        self.parts[part.start] = part
        return part

    def learn(self, outputs: tuple[str, ...]) -> None:
        """The columns of the predictions are known now."""
        self.about = replace(self.about, outputs=outputs)
        self.begin()

    def note_joined(self) -> None:
        """From now on, the parts are not needed any more."""
        self.about = replace(self.about, is_joined=True)
        self.begin()

    def read(self, name: str) -> bytes:
        """The lines of a part. Raises RunStopped if they are gone."""
        found = self._folder.read(name)
        if found is None:
            raise RunStopped(f"{self._folder.address}/{name} is gone: run the same again, and its rows are predicted")
        return found

    def in_order(self) -> list[Part]:
        """All parts, by where they start."""
        return [self.parts[start] for start in sorted(self.parts)]


def check_own(folder: Folder) -> None:
    """Check that a folder has nothing that no run has written: it is about to be removed. Raises InputError."""
    if others := [name for name in folder.names() if not _OWN.fullmatch(name)]:
        raise InputError(f"{folder.address} is not the folder of a run, since it has {others[0]!r:.80}: move it away")


def check_same(about: About, wanted: Mapping[str, Any], where: str) -> None:
    """Check that a call asks for what a run in its folder is about. Raises InputError, which names the difference."""
    words = {
        "name": "the model", "input": "the input", "given": "the columns of fields", "keep": "the columns to keep",
        "errors": "the errors file",
    }  # fmt: skip
    for name, word in words.items():
        before, now = getattr(about, name), wanted[name]
        if before != now:
            raise InputError(
                f"{where} has a run that differs: {word} was {before!r:.200}, now {now!r:.200}. Go on with the same, "
                "or begin again (--restart, or restart=True)"
            )
