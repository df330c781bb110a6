"""Parses a form with files (multipart/form-data) as it comes: files are handed on in pieces and never kept in memory.

`forms.py` is for bodies that are in memory anyway. This parser is as strict, and does no I/O itself.
"""

from collections.abc import Callable

from mlq.http.forms import HEADERS, MOST, named

OPTION = 65_536  # bytes of a field that is no file
Write = Callable[[bytes], None]


class FormReader:
    """Takes a body in pieces; `fields` are those that are no files, once `ended`."""

    def __init__(self, boundary: str, open_file: Callable[[str, str], Write]) -> None:
        """`open_file` gets the name of a part and that of its file, and returns what its pieces are given to.

        Raises ValueError, as `feed` and `end` do, with the reason.
        """
        if not boundary:
            raise ValueError("its boundary is missing")
        self.fields: dict[str, str] = {}
        self.ended = False  # its last boundary has come
        self._mark = b"\r\n--" + boundary.encode("latin-1", "replace")
        self._open_file = open_file
        self._some = b"\r\n"  # not used yet; so that the first boundary is like the others
        self._parts = 0
        self._part: _Field | None = None  # the one that is read, if it is no file
        self._write: Write | None = None  # takes the content of the part that is read; None between parts

    def feed(self, piece: bytes) -> None:
        """Take the next piece. What `open_file` and the files raise is raised here, too."""
        self._some += piece
        while not self.ended and (self._content() if self._write is not None or not self._parts else self._head()):
            pass

    def end(self) -> None:
        """The body has ended."""
        if not self.ended:
            raise ValueError("a part has no end" if self._parts else "its boundary is missing")

    def _content(self) -> bool:
        """Hand on content up to the next boundary, as far as it has come; whether there may be more to do."""
        end = self._some.find(self._mark)
        sure = len(self._some) - len(self._mark) + 1 if end < 0 else end
        if sure > 0:
            if self._write is not None:
                self._write(self._some[:sure])
            self._some = self._some[sure:]
        if end < 0:
            return False
        self._some = self._some[len(self._mark) :]
        if self._part is not None:
            self.fields[self._part.name] = self._part.text()
        self._part = self._write = None
        self._parts += 1
        if self._parts > MOST + 1:
            raise ValueError(f"it has more than {MOST} parts")
        return True

    def _head(self) -> bool:
        """Begin a part, once all of its headers have come; whether there may be more to do."""
        if len(self._some) < 2:
            return False
        if self._some.startswith(b"--"):
            self.ended = True
            return False
        end = self._some.find(b"\r\n\r\n", 0, HEADERS + 4)
        if not self._some.startswith(b"\r\n") or (end < 0 and len(self._some) > HEADERS):
            raise ValueError("the headers of a part are missing or too long")
        if end < 0:
            return False
        name, file = named(self._some[2:end])
        self._some = self._some[end + 4 :]
        if file is not None:
            self._write = self._open_file(name, file)
        else:
            self._part = _Field(name)
            self._write = self._part.add
        return True


class _Field:
    """A part that is no file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._content = b""

    def add(self, piece: bytes) -> None:
        if len(self._content) + len(piece) > OPTION:
            raise ValueError(f"the field {self.name:.80} has more than {OPTION:,} bytes")
        self._content += piece

    def text(self) -> str:
        return self._content.decode()
