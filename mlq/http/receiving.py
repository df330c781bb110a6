"""Receives one uploaded file: from the form in the body of a request to the store, in pieces."""

import re
import time
from typing import BinaryIO

from mlq.batches.store import FILE, LIFETIME, Store, Stored, new_id
from mlq.http import bodies
from mlq.http.form_reader import FormReader, Write
from mlq.http.problems import Refused
from mlq.http.served_files import aside

PURPOSE = "batch"
SHORTEST = 3600  # seconds that a file is kept at least
SHOWN = 255  # characters of a file's name
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Upload:
    """One file on its way to the store."""

    def __init__(self, store: Store, limit: int) -> None:
        """`limit`: bytes of the file."""
        self._store, self._limit = store, limit
        self._id = new_id(FILE, time.time())
        self._name = ""
        self._size = 0
        self._file: BinaryIO | None = None

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
        self._file = aside(lambda: self._store.draft(self._id).open("xb"))
        return self._write

    def _write(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise _refused(413, f"a file may have {self._limit:,} bytes")
        if self._file is not None:
            aside(self._file.write, piece)

    def keep(self, fields: dict[str, str]) -> Stored:
        """Keep the draft, if the fields allow it. Raises Refused and OSError."""
        if self._file is None:
            raise Refused(400, "the form has no file: send one in the field `file`")
        if fields.get("purpose") != PURPOSE:
            raise Refused(400, f"purpose must be {PURPOSE!r}, not {fields.get('purpose')!r:.80}",
                          [{"detail": "wrong", "pointer": "#/purpose"}])  # fmt: skip
        lifetime = lifetime_of(fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]"))
        aside(self._file.close)
        draft, self._id = self._id, new_id(FILE, time.time(), lifetime)
        return aside(self._kept, draft)

    def _kept(self, draft: str) -> Stored:
        self._store.draft(draft).rename(self._store.draft(self._id))
        return self._store.add_draft(self._id, self._name, PURPOSE)

    def drop(self) -> None:
        """Remove the draft, if it was not kept."""
        if self._file is not None:
            aside(self._file.close)
            aside(self._store.draft(self._id).unlink, True)  # noqa: FBT003 - missing_ok


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
