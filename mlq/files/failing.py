"""What is written of a row that no worker could say anything about: it was too long, or its process died. Pure."""

import json

from mlq.core.chunk import Chunk, Predicted
from mlq.files.batch_rows import write_batch
from mlq.files.csv_rows import write_csv
from mlq.files.json_rows import write_jsonl
from mlq.files.rows import Row


def failed_row(chunk: Chunk, why: str) -> Predicted:
    """The result of a chunk of one row, as a worker writes that of a row that failed. Its `data` may be missing."""
    row = Row(chunk.line).refuse(why, "failed")
    if chunk.form == "csv":
        return write_csv(chunk, [row])
    if chunk.form == "jsonl":
        return write_jsonl([row])
    row.kept = _custom_id(chunk.data)
    return write_batch([row])


def _custom_id(line: bytes) -> str | None:
    try:
        found = json.loads(line)["custom_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, str) else None
