"""Makes the output of the parts. Nothing gets its final name before all of it is whole and on its disk."""

import csv
import io
from collections.abc import Iterator

from mlq.errors import RunStopped
from mlq.files.kept import JOINED, JOINED_ERRORS, Kept, Part
from mlq.files.mapping import outputs_or_usual
from mlq.files.places import Folder
from mlq.files.run import Source


def join(folder: Folder, kept: Kept, source: Source) -> None:
    """Write the output and the errors into the folder. Raises RunStopped."""
    parts = kept.in_order()
    at = source.begin
    for part in parts:
        if part.start != at:
            raise RunStopped(f"{folder.address} lacks the part from {at:,} on: run the same again")
        at = part.end
    if source.kind == "parquet":
        _write_parquet(folder, kept, source, parts)
    else:
        folder.join(JOINED, _output(kept, source, parts))
    if any(part.failed for part in parts):
        folder.join(JOINED_ERRORS, _errors(kept, source, parts))
    source.file.check()
    kept.note_joined()


def publish(folder: Folder, kept: Kept, output: str) -> None:
    """Give what was joined its names. Whatever was done of that before is not done again."""
    folder.publish(JOINED_ERRORS, kept.about.errors)
    folder.publish(JOINED, output)


def _output(kept: Kept, source: Source, parts: list[Part]) -> Iterator[bytes]:
    if source.form == "csv":
        yield _line([*kept.about.keep, *outputs_or_usual(kept.about.outputs)], source.delimiter)
    for part in parts:
        yield kept.read(part.name)


def _errors(kept: Kept, source: Source, parts: list[Part]) -> Iterator[bytes]:
    if source.form == "csv":
        yield _line(["line", "error"], ",")
    for part in parts:
        if part.failed:
            yield kept.read(part.errors)


def _line(cells: list[str], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _write_parquet(folder: Folder, kept: Kept, source: Source, parts: list[Part]) -> None:
    from mlq.files.parquet import ParquetSource
    from mlq.files.parquet_output import write_parquet

    assert isinstance(source, ParquetSource)  # noqa: S101 - its kind says so
    types = {name: source.schema.field(name).type for name in kept.about.keep}

    def lines() -> Iterator[bytes]:
        for part in parts:
            yield from kept.read(part.name).splitlines()

    names = [*kept.about.keep, *kept.about.outputs]
    try:
        with folder.stream(JOINED) as stream:
            write_parquet(stream, lines, names, types, kept.about.declared)
    except OSError as error:
        raise RunStopped(
            f"can't write {folder.address}/{JOINED}: {error.strerror or error}; run the same again"
        ) from None
    folder.keep(JOINED)
