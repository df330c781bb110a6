"""Tells of which kind a file is, and refuses those that can't be read as they are. Pure."""

import json
from pathlib import PurePosixPath

from mlq.errors import InputError

BOM = b"\xef\xbb\xbf"
SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
DELIMITERS = ",;\t"
_PACKED = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip",
}  # fmt: skip
_BATCH = ("custom_id", "method", "url", "body")


def kind_of(address: str, head: bytes) -> str:
    """`csv`, `jsonl`, `batch` or `parquet`. `head`: the first bytes of the file. Raises InputError."""
    if head.startswith(b"PAR1"):
        return "parquet"
    _check_text(address, head)
    kind = SUFFIXES.get(PurePosixPath(address).suffix.lower())
    if kind == "parquet":
        raise InputError(f"{address} is no Parquet file: it does not begin with PAR1")
    first = head.removeprefix(BOM).lstrip().partition(b"\n")[0]
    if kind is None:
        kind = "jsonl" if first.startswith(b"{") else "csv"
    return "batch" if kind == "jsonl" and _is_batch(first) else kind


def _is_batch(line: bytes) -> bool:
    """Whether this is a line of OpenAI's batch API."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(name in found for name in _BATCH)


def unreadable(head: bytes) -> str | None:
    """Why a text file can't be read as it is, and what to do; None if it can."""
    for magic, name in _PACKED.items():
        if head.startswith(magic):
            return f"is compressed ({name}): unpack it first"
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if wide or (head[:200].count(0) > len(head[:200]) // 4 and len(head) > 3):
        return "is UTF-16, not UTF-8: convert it first, such as with iconv -f UTF-16 -t UTF-8"
    return None


def _check_text(address: str, head: bytes) -> None:
    """Raises InputError for a file that is compressed, or not UTF-8."""
    if why := unreadable(head):
        raise InputError(f"{address} {why}")
    if b"\r" in head and b"\n" not in head:
        raise InputError(f"the lines of {address} end with CR alone: convert it first, such as with tr '\\r' '\\n'")


def delimiter_of(address: str, header: str) -> str:
    """What is between the columns of a CSV file, by its name and its header."""
    if address.lower().endswith(".tsv"):
        return "\t"
    return max(DELIMITERS, key=header.count)  # the comma, if there is none


def check_output(kind: str, output: str) -> None:
    """Check that the name of an output does not promise another kind than that of the input. Raises InputError."""
    named = SUFFIXES.get(PurePosixPath(output).suffix.lower())
    written = "jsonl" if kind == "batch" else kind
    if named not in (None, written):
        words = {"csv": "CSV (.csv)", "jsonl": "JSON Lines (.jsonl)", "parquet": "Parquet (.parquet)"}
        raise InputError(f"the output {output} is of the input's kind, {words[written]}: name it so")


def errors_beside(kind: str, output: str) -> str:
    """The name of the file of the rows that failed, if none was given: `out.errors.csv` beside `out.csv`.

    And `out.parquet.errors.jsonl` beside `out.parquet`, since there may be an `out.jsonl`, too.
    """
    suffix = ".csv" if kind == "csv" else ".jsonl"
    return f"{output.removesuffix(suffix)}.errors{suffix}"
