"""Lines of OpenAI's batch API: `{"custom_id", "method", "url", "body"}`, and their answers. Pure.

Ids of answers are made of the line's number, so that a chunk that is predicted twice has the same ones.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from mlq.core.chunk import Chunk, Predicted
from mlq.files.json_rows import lines_of, written
from mlq.files.rows import New, R, Row, failed

CHAT = "/v1/chat/completions"
_STATUS = {"invalid_input": (400, "invalid_request_error"), "failed": (500, "server_error")}


def urls_of(function: str) -> tuple[str, ...]:
    """The addresses in lines that mean a function, such as the listener `iris@2` of a model."""
    name, _, version = function.partition("@")
    usual = f"/models/{name}/predict"
    return (usual, f"/models/{name}/versions/{version}/predict") if version else (usual,)


def read_batch(chunk: Chunk, function: str, new: New[R], size: int) -> Iterator[list[R]]:
    """Blocks of `size` rows; those that are not for `function` fail."""
    urls, names = urls_of(function), (function.partition("@")[0], function)

    def read(row: Row, line: Any) -> None:
        if not isinstance(line, dict) or not isinstance(line.get("custom_id"), str):
            row.refuse("it is no JSON object with a text custom_id")
            return
        row.kept, row.value = line["custom_id"], line.get("body")
        url, body = line.get("url"), row.value
        if line.get("method") != "POST":
            row.refuse(f"the method must be POST, not {line.get('method')!r:.40}", "invalid_method")
        elif "body" not in line:
            row.refuse("it has no body", "invalid_request")
        elif url == CHAT:
            model = body.get("model") if isinstance(body, dict) else None
            if model not in names:
                row.refuse(f"this batch is for the model {names[0]}, not {model!r:.80}", "model_not_found")
        elif url not in urls:
            row.refuse(f"the url must be {urls[0]}, not {url!r:.80}", "invalid_url")

    return lines_of(chunk, read, new, size)


def write_batch(rows: Sequence[Row]) -> Predicted:
    """The lines of the rows."""
    output = written((row for row in rows if not row.reason), lambda row: _answer(row, 200, row.value))
    wrong = failed(rows)
    return Predicted(output, written(wrong, _failure), len(rows), len(wrong))


def _failure(row: Row) -> dict[str, Any]:
    """A request that was made and failed has an answer with its status; a line that is no request has none."""
    if row.code not in _STATUS:
        return _line(row) | {"error": {"code": row.code, "message": row.reason}}
    status, kind = _STATUS[row.code]
    return _answer(row, status, {"error": {"message": row.reason, "type": kind, "param": None, "code": row.code}})


def _answer(row: Row, status: int, body: Any) -> dict[str, Any]:
    return _line(row) | {"response": {"status_code": status, "request_id": f"req_{row.line}", "body": body}}


def _line(row: Row) -> dict[str, Any]:
    custom_id = row.kept if isinstance(row.kept, str) else None  # of a line that could not be read, it is not known
    return {"id": f"batch_req_{row.line}", "custom_id": custom_id, "response": None, "error": None}
