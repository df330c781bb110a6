"""Receives one uploaded file: from the form in the body of a request to the store, in pieces."""

import re
import time
from contextlib import suppress
from typing import IO

from mlq.batches.store import FILE, LIFETIME, Stored, new_id
from mlq.http import bodies
from mlq.http.form_reader import FormReader, Write
from mlq.http.problems import Refused
from mlq.http.room import Coming
from mlq.http.served_files import ServedFiles, full

PURPOSE = "batch"
SHORTEST = 3600  # seconds that a file is kept at least
SHOWN = 255  # characters of a file's name
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Upload:
    """One file on its way to the store."""

    def __init__(self, files: ServedFiles, coming: Coming, limit: int) -> None:
        """`coming`: counts what it brings; `limit`: bytes of the file."""
        self._files, self._coming, self._limit = files, coming, limit
        self._id = new_id(FILE, time.time())
        self._name = ""
        self._size = 0
        self._file: IO[bytes] | None = None

    def read(self, boundary: str, most: int) -> dict[str, str]:
        """Write the form's file to a draft; returns the other fields. Raises Refused and OSError."""
        try:
            form = FormReader(boundary, self._begin)
            for piece in bodies.pieces(most):
                form.feed(piece)
            form.end()
        except ValueError as error:
            raise _refused(400, f"the body is not a form: {error}") from None
        return form.fields

    def _begin(self, name: str, file: str) -> Write:
        if name != "file" or self._file is not None:
            raise _refused(400, "the form must have one file, named `file`")
        self._name = _CONTROL.sub("", re.split(r"[/\\]", file)[-1])[:SHOWN] or "upload.jsonl"
        self._file = self._files.called(self._files.store.create, self._id)
        return self._write

    def _write(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise _refused(413, f"a file may have {self._limit:,} bytes")
        if not self._coming.add(len(piece)):
            raise full(self._coming.most)
        if self._file is not None:
            self._files.called(self._file.write, piece)

    def keep(self, fields: dict[str, str]) -> Stored:
        """Keep the draft, if the fields allow it. Raises Refused and OSError."""
        if self._file is None:
            raise Refused(400, "the form has no file: send one in the field `file`")
        if fields.get("purpose") != PURPOSE:
            raise Refused(400, f"purpose must be {PURPOSE!r}, not {fields.get('purpose')!r:.80}",
                          [{"detail": "wrong", "pointer": "#/purpose"}])  # fmt: skip
        lifetime = lifetime_of(fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]"))
        self._files.called(self._file.close)
        kept = new_id(FILE, time.time(), lifetime)
        made = self._files.called(self._files.store.add_draft, self._id, kept, self._name, PURPOSE)
        self._files.added(made.size)
        return made

    def drop(self) -> None:
        """Remove the draft, if it was not kept."""
        if self._file is not None:
            with suppress(OSError):  # then it is swept some day
                self._files.called(self._dropped, self._file)

    def _dropped(self, file: IO[bytes]) -> None:
        with suppress(OSError):
            file.close()
        self._files.store.drop_draft(self._id)


def _refused(status: int, reason: str) -> Refused:
    """A refusal in the middle of a body, which is not read to its end."""
    return Refused(status, reason, headers={"Connection": "close"})


def lifetime_of(anchor: object, seconds: object) -> int:
    """How long a file is kept that has this `expires_after`. Raises Refused."""
    if anchor is None and seconds is None:
        return LIFETIME
    given = int(seconds) if isinstance(seconds, str) and seconds.isdecimal() and len(seconds) < 9 else seconds
    if anchor != "created_at" or not isinstance(given, int) or not SHORTEST <= given <= LIFETIME:
        raise Refused(400, f"expires_after needs the anchor created_at, and {SHORTEST} to {LIFETIME} seconds",
                      [{"detail": "wrong", "pointer": "#/expires_after"}])  # fmt: skip
    return given
