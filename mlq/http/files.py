"""The routes of files, in the form of OpenAI's API: upload, list, show, read, delete. For the inputs of batches."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from urllib.parse import quote

from flask import Response, request

from mlq.batches.store import FILE, Stored
from mlq.http.answers import OPENAI, as_json
from mlq.http.file_shapes import File, FileDeleted, FileForm, Files, Refusal
from mlq.http.guard import owner
from mlq.http.owner_places import OwnerPlaces
from mlq.http.problems import Refused
from mlq.http.receiving import Upload
from mlq.http.routes import Parameter, Role, Route
from mlq.http.served_files import GROUP, LISTS, Asked, ServedFiles, unusable
from mlq.http.settings import Settings

FORM = 65_536  # bytes of an upload besides the file
PIECE = 65_536  # bytes of a file that are sent at once
PAGE, MOST = 100, 1000  # files of one page
_uploads = OwnerPlaces(64)  # each has a file open


def routes(files: ServedFiles, settings: Settings) -> list[Route]:
    """The routes for one queue."""
    one = {404: "No such file, or this service keeps none."}
    base = f"{OPENAI}/files"
    listed = (
        Parameter("after", "query", "The id behind which the page begins: `last_id` of the one before."),
        Parameter("limit", "query", f"Files per page, {MOST} at most.", {"type": "integer"}),
        Parameter("order", "query", "By time, `desc` if left out.", {"enum": ["asc", "desc"]}),
        Parameter("purpose", "query", "Only files for this: `batch` or `batch_output`."),
    )
    return [
        Route("POST", base, partial(_upload, files, settings), Role.POST, "Upload a file",
              {200: "The file.", 413: "Too large.", 415: "Not a form.", 507: "All files together are too large."}
              | one, GROUP, FileForm, body_kinds=("multipart/form-data",), reads=True, reply=File, refusal=Refusal,
              about="It is kept for 30 days, or as long as `expires_after[seconds]` says."),
        Route("GET", base, partial(_list, files), Role.READ, "List files", {200: "A page."} | one, GROUP,
              reply=Files, refusal=Refusal, parameters=listed),
        Route("GET", f"{base}/<file_id>", lambda file_id: as_json(shown(files.found(file_id))), Role.READ,
              "Show a file", {200: "The file without its content."} | one, GROUP, reply=File, refusal=Refusal),
        Route("GET", f"{base}/<file_id>/content", partial(_read, files), Role.READ, "Read a file",
              {200: "Its content."} | one, GROUP, refusal=Refusal),
        Route("DELETE", f"{base}/<file_id>", partial(_delete, files), Role.POST, "Delete a file",
              {200: "It is gone."} | one, GROUP, reply=FileDeleted, refusal=Refusal),
    ]  # fmt: skip


def shown(file: Stored) -> File:
    """A file as it is answered."""
    return File(file.id, file.size, file.made, file.expires, file.name, file.purpose)


def _upload(files: ServedFiles, settings: Settings) -> Response:
    if request.mimetype != "multipart/form-data":
        raise Refused(415, "send a form (multipart/form-data) with the fields purpose and file")
    most = settings.file_limit + FORM
    files.check_room(min(request.content_length or most, most))
    with _uploads.take(owner(settings)), files.uploading() as coming:
        upload = Upload(files, coming, settings.file_limit)
        try:
            fields = upload.read(request.mimetype_params.get("boundary", ""), most)
            return as_json(shown(upload.keep(fields)))
        except ConnectionError as error:
            raise unusable(error) from None
        except OSError as error:
            raise Refused(507, f"the file can't be kept: {error.strerror or error}") from None
        finally:
            upload.drop()


def _list(files: ServedFiles) -> Response:
    asked, purpose = Asked.of_query(PAGE, MOST), request.args.get("purpose")
    with LISTS.take():
        found = [shown(one) for one in files.aside(_page, files, asked, purpose)]
    page = found[: asked.limit]
    return as_json(Files(page, len(found) > asked.limit, page[0].id if page else None, page[-1].id if page else None))


def _page(files: ServedFiles, asked: "Asked", purpose: str | None) -> list[Stored]:
    """The files of a page, and one more if there are more."""
    now, store = time.time(), files.store
    kept = files.each(lambda one: store.find(one, now), asked.of(store.ids(FILE, now)))
    return list(islice((one for one in kept if one and purpose in (None, one.purpose)), asked.limit + 1))


def _read(files: ServedFiles, file_id: str) -> Response:
    found = files.found(file_id)
    try:
        opened = files.aside(files.store.open, found.id)
    except FileNotFoundError:  # removed meanwhile
        raise Refused(404, f"no file {file_id:.100}: it has been deleted") from None

    def pieces() -> Iterator[bytes]:
        with opened:
            while piece := files.called(opened.read, PIECE):
                yield piece

    answer = Response(pieces(), content_type="application/octet-stream")
    answer.call_on_close(partial(files.called, opened.close))
    answer.content_length = found.size
    plain = found.name.encode("ascii", "replace").decode().replace("?", "_")
    answer.headers.set("Content-Disposition", "attachment", filename=plain,
                       **{"filename*": f"UTF-8''{quote(found.name, safe='')}"})  # fmt: skip
    return answer


def _delete(files: ServedFiles, file_id: str) -> Response:
    found = files.found(file_id)
    files.aside(files.store.remove, found.id)
    files.added(-found.size)
    return as_json(FileDeleted(found.id))
