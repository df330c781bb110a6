"""Predicts the rows of a file: begins a run, or goes on with the one that was stopped before its end."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlq.errors import InputError
from mlq.files import kinds, places
from mlq.files.batch_ids import check_ids
from mlq.files.chunk_jobs import ChunkJobs, ClientJobs
from mlq.files.joining import join, publish
from mlq.files.kept import ABOUT, About, Kept, check_own, check_same
from mlq.files.mapping import Columns, check_outputs, chosen_columns, outputs_in, schemas_in
from mlq.files.object_fields import Fields, fields_in
from mlq.files.places import Folder, Input
from mlq.files.report import Progress, Report
from mlq.files.run import Run, Source
from mlq.files.targets import target_of
from mlq.files.text import LOOK, TextSource
from mlq.system.extras import require

if TYPE_CHECKING:
    from mlq.client.blocking import Client

HEAD = 64 * 1024  # bytes by which the kind of a file is told


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks for."""

    name: str  # a model, such as iris or iris@2, or a listener
    input: str  # paths, or URLs of fsspec
    output: str
    errors: str | None = None  # beside the output, if it is not named
    fields: Mapping[str, str] = field(default_factory=dict)  # columns by field, where their names differ
    keep: tuple[str, ...] = ()
    restart: bool = False  # throw away what an earlier run has


def predict_file(
    client: "Client",
    wanted: Wanted,
    watch: Callable[[Report], None] = lambda _: None,
    stops: Callable[[], bool] = lambda: False,
    jobs: Callable[[str], ChunkJobs] | None = None,
    named: Callable[[Report], None] = lambda _: None,
) -> Report:
    """Predict all rows; returns when the output has its name. The same call goes on if an earlier one was stopped.

    `watch` is told how far it is, several times a second; it ends soon once `stops` is true. `jobs`: makes what posts
    and waits, for a function. `named` is told of the end before the run's folder goes. Raises InputError if it can't
    begin; RunStopped if it stopped before its end, and ServerError: in both cases what was predicted is kept.
    """
    file = places.open_input(wanted.input)
    folder: Folder | None = None
    try:
        source = _source(file)
        kinds.check_output(source.kind, wanted.output)
        errors = wanted.errors or kinds.errors_beside(source.kind, wanted.output)
        places.check_apart([("input", wanted.input), ("output", wanted.output), ("errors file", errors)])
        places.check_together(wanted.output, errors)
        folder = places.folder_for(wanted.output)
        kept = _earlier(folder, file, wanted, errors) or _begun(client, folder, source, wanted, errors)
        about, progress = kept.about, _progress(kept, source, wanted.output)
        if not about.is_joined:
            used = [*(column for _, column in about.fields), *about.keep] if about.fields else []
            source.use(dict.fromkeys(used), about.optional)
            Run(source, kept, (jobs or _jobs_of(client))(about.function), watch, stops).predict(progress)
            join(folder, kept, source)
        publish(folder, kept, wanted.output)
        ended = progress.report(is_whole=True)
        named(ended)
        folder.remove(ABOUT)
        return ended
    finally:
        file.close()
        if folder is not None:
            folder.release()


def _progress(kept: Kept, source: Source, output: str) -> Progress:
    """Counts what is done, beginning with the parts that are there."""
    progress = Progress(source.end - source.begin, output, kept.about.errors)
    for part in kept.parts.values():
        progress.before(part.rows, part.failed, part.end - part.start)
    return progress


def _jobs_of(client: "Client") -> Callable[[str], ChunkJobs]:
    return lambda function: ClientJobs(client, function)


def _source(file: Input) -> Source:
    """Raises InputError."""
    try:
        kind = kinds.kind_of(file.address, file.read(0, HEAD))
        if kind != "parquet":
            return TextSource(file, kind)
        require("files", f"reading {file.address}")
        from mlq.files.parquet import ParquetSource

        return ParquetSource(file)
    except InputError:
        file.close()
        raise


def _earlier(folder: Folder, file: Input, wanted: Wanted, errors: str) -> Kept | None:
    """What an earlier process has left, to go on with. Raises InputError if this call is about something else."""
    if not folder.exists():
        return None
    folder.hold()
    packed = None if wanted.restart else folder.read(ABOUT)
    if packed is None:  # it was killed before it had begun, or is not wanted
        check_own(folder)
        folder.remove(ABOUT)
        folder.release()
        return None
    about = About.parse(packed, folder.address)
    now = {
        "name": wanted.name,
        "input": file.address,
        "given": dict(wanted.fields),
        "keep": wanted.keep,
        "errors": errors,
    }
    check_same(about, now, folder.address)
    if about.fingerprint != file.fingerprint():
        raise InputError(
            f"{file.address} has changed since {folder.address} was begun: predict it from the beginning (--restart, "
            "or restart=True)"
        )
    if not about.is_joined:
        _check_free(wanted.output, errors)
    kept = Kept(folder, about)
    kept.load()
    return kept


def _check_free(output: str, errors: str) -> None:
    places.check_free(output, "output")
    places.check_free(errors, "errors file")


def _begun(client: "Client", folder: Folder, source: Source, wanted: Wanted, errors: str) -> Kept:
    """A new run. Everything is checked before anything is written. Raises InputError."""
    _check_free(wanted.output, errors)
    target = target_of(client, wanted.name)
    inputs = fields_in(target.input)
    columns = _columns(source, inputs, wanted, is_model=target.input is not None)
    outputs = outputs_in(target.output)
    check_outputs(wanted.keep, outputs)
    optional = [
        column for name, column in columns.fields
        if inputs is not None and name not in inputs.required and column not in wanted.keep
    ]  # fmt: skip
    about = About(
        id=uuid.uuid4().hex, name=wanted.name, function=target.function, version=target.version,
        input=source.file.address, fingerprint=source.file.fingerprint(), kind=source.kind, given=dict(wanted.fields),
        keep=tuple(wanted.keep), errors=errors, fields=columns.fields, optional=tuple(optional), outputs=outputs,
        declared=schemas_in(target.output),
    )  # fmt: skip
    kept = Kept(folder, about)
    folder.hold()
    kept.begin()
    return kept


def _columns(source: Source, inputs: Fields | None, wanted: Wanted, *, is_model: bool) -> Columns:
    """Which columns become which fields. Raises InputError."""
    address = source.file.address
    if source.kind == "batch":
        check_ids(source.file)
        if wanted.fields or wanted.keep:
            raise InputError(f"{address} has lines of OpenAI's batch API, whose columns can't be mapped or kept")
        return Columns()
    there, whole = source.names()
    if inputs is None and is_model and whole:
        raise InputError(
            f"model {wanted.name} takes no object with named fields, as rows of {address} are: use JSON Lines"
        )
    if not there and not whole and source.begin < source.end and (inputs or wanted.fields or wanted.keep):
        raise InputError(f"none of the first {LOOK} lines of {address} is a JSON object")
    if not there and not whole:
        return Columns((), tuple(wanted.keep))
    return chosen_columns(address, there, inputs, wanted.fields, wanted.keep, whole=whole)
