"""A row of a file on its way from record to prediction, and why one fails. Pure."""

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

from mlq.core.exceptions import text_of
from mlq.errors import MLQError, ValidationError

REASON = 500  # characters kept of why a row failed
SHOWN = 40  # characters shown of a value


class Row:
    """One record. It is read, then predicted, then written; `reason` says why it failed, if it did."""

    __slots__ = ("code", "kept", "line", "reason", "value")

    def __init__(self, line: int) -> None:
        """`line`: of the file, where it begins."""
        self.line = line
        self.value: Any = None  # the input; after the prediction that
        self.kept: Any = ()  # what is carried over to the output
        self.reason = ""  # empty while nothing is wrong
        self.code = ""  # what kind of failure it is

    def refuse(self, reason: str, code: str = "invalid_line") -> Self:
        """It failed; returns itself."""
        self.reason, self.code, self.value = one_line(reason), code, None
        return self

    def fail(self, error: BaseException) -> None:
        """Its prediction raised that."""
        is_input = isinstance(error, ValidationError)
        words = text_of(error)
        if not isinstance(error, MLQError) and words != type(error).__name__:
            words = f"{type(error).__name__}: {words}"
        self.refuse(words, "invalid_input" if is_input else "failed")


R = TypeVar("R", bound=Row)
New = Callable[[int], R]  # a row for a line


def one_line(words: str) -> str:
    """A reason as one line of bounded length, never empty."""
    return " ".join(words[: 4 * REASON].split())[:REASON] or "unknown"


def texts_of(data: bytes) -> str:
    """Text; bytes that are not UTF-8 are kept as lone surrogates, so that only the rows that have them fail."""
    return data.decode("utf-8", "surrogateescape")


def lack_of(text: str) -> str:
    """What is wrong with a record's text: bytes that are no text. Empty if nothing is."""
    if "\0" in text:
        return "it has a NUL byte, so it is no text"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return ""


def shown(value: str) -> str:
    """A value in a reason."""
    return repr(value if len(value) <= SHOWN else value[:SHOWN] + "...")


def failed(rows: Sequence[Row]) -> list[Row]:
    """Those that failed."""
    return [row for row in rows if row.reason]
