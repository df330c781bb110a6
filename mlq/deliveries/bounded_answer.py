"""The head of a receiver's answer, of which only so much is read. Imports http.client, which few workers need."""

from http.client import HTTPException, HTTPResponse
from typing import Any

MOST = 64 * 1024  # bytes of lines; 2,600 interim answers (`100 Continue`) are 20 ms of work


class TooLong(HTTPException):
    """The receiver has sent more than that."""


class BoundedAnswer(HTTPResponse):
    """http.client skips interim answers for as long as they come, which would keep this process busy."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """As for HTTPResponse."""
        super().__init__(*args, **options)
        self.fp: Any = _Lines(self.fp)


class _Lines:
    """A file whose lines count."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MOST

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise TooLong(f"the head of its answer has more than {MOST:,} bytes")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
