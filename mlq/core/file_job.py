"""The message of a job that predicts a file, and the names under which such jobs are posted."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, Self

from mlq.core.checks import check_functions, printable
from mlq.core.job_options import JobOptions, options_of
from mlq.errors import InputError

KEPT_IN = "MLQ_FILES"  # the environment variable that names the directory of uploaded files and of those of batches
PLACES = "MLQ_FILE_PLACES"  # the one that names what other files may be read and written; commas separate several
FILES_QUEUE, PREDICT_FILE = "#files", "#predict_file"  # no user may name such a queue
LONGEST = 4096  # characters of an address
MOST_COLUMNS = 10_000


class FileJob(NamedTuple):
    """What is predicted, and where it is written."""

    model: str  # a model's name, or that of a listener
    input: str  # a path or a URL
    output: str
    errors: str | None = None  # of rows that failed; beside the output if left out
    fields: tuple[tuple[str, str], ...] = ()  # fields of the input, and the columns that they come from
    keep: tuple[str, ...] = ()  # columns that are carried over
    restart: bool = False  # what an earlier job has left of it is not used

    @classmethod
    def of(cls, given: Any) -> Self:
        """From all that a caller gave, or a job's message says. Raises InputError."""
        if not isinstance(given, Mapping) or given.keys() != set(cls._fields):
            raise InputError("this is not the message of a job that predicts a file")
        return cls(
            (check_functions([given["model"]]) or [""])[0],
            _address("input", given["input"]),
            _address("output", given["output"]),
            None if given["errors"] is None else _address("errors", given["errors"]),
            _pairs(given["fields"]),
            _columns(given["keep"]),
            given["restart"] is True,
        )

    def message(self) -> dict[str, Any]:
        """As it is posted."""
        return self._asdict() | {"fields": dict(self.fields)}


def _address(what: str, given: object) -> str:
    if not isinstance(given, str) or not printable(given, LONGEST):
        raise InputError(f"{what} must be a path or a URL of up to {LONGEST:,} characters, not {given!r:.80}")
    return given


def _pairs(given: object) -> tuple[tuple[str, str], ...]:
    found = () if given is None else given.items() if isinstance(given, Mapping) else (given,)
    pairs = [pair for pair in found if isinstance(pair, tuple) and all(isinstance(one, str) for one in pair)]
    if len(pairs) != len(found) or len(pairs) > MOST_COLUMNS:
        raise InputError(f"fields must be a dict of fields and the columns that they come from, not {given!r:.80}")
    return tuple(pairs)


def _columns(given: object) -> tuple[str, ...]:
    found = list(given) if isinstance(given, Iterable) and not isinstance(given, (str, bytes)) else [None]
    columns = [one for one in found if isinstance(one, str)]
    if len(columns) != len(found) or len(columns) > MOST_COLUMNS:
        raise InputError(f"keep must be a list of columns, not {given!r:.80}")
    return tuple(columns)


def own_options(callback: str | None, options: Any) -> JobOptions:
    """The options of a job that predicts a file: as given, in the queue of such jobs. Raises InputError."""
    if "queue" in options:
        raise InputError("a file prediction has no option 'queue'")
    return replace(options_of(callback, None, options), functions=(PREDICT_FILE,), queue=FILES_QUEUE)
