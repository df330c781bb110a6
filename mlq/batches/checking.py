"""Checks the lines of a batch before any of them is predicted: one that is wrong in one of these ways is refused whole.

A body that the model refuses is no such way: that line alone fails.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from mlq.core.json_values import MOST_PARTS, has_too_many_parts
from mlq.files.kinds import unreadable

MOST_ROWS = 50_000  # as in OpenAI's API
LONGEST = 16 * 1024 * 1024  # bytes of a line: parsing one takes ten times as much memory
SHOWN = 20  # faults that are told; a file with as many is not read further
_BOM = b"\xef\xbb\xbf"


class Fault(NamedTuple):
    """Why a batch is refused, in the words of OpenAI's API."""

    code: str
    message: str
    line: int | None  # from 1
    param: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is kept and answered."""
        return {"code": self.code, "line": self.line, "message": self.message, "param": self.param}


class Checked(NamedTuple):
    """What a look at all lines gave."""

    rows: int  # lines that are not blank
    faults: list[Fault]


def check(lines: Iterable[bytes], endpoint: str) -> Checked:
    """Check that all lines are requests to `endpoint`, each with a `custom_id` of its own.

    `lines` may be cut after `LONGEST` bytes and one more.
    """
    rows, faults = 0, []
    seen: set[bytes] = set()
    for number, line in enumerate(lines, 1):
        if number == 1 and (why := unreadable(line)):
            return Checked(0, [Fault("invalid_file_format", f"the file {why}", None)])
        text = line.removeprefix(_BOM) if number == 1 else line
        if not text.strip():
            continue
        rows += 1
        if rows > MOST_ROWS:
            faults.append(Fault("too_many_requests", f"a batch may have {MOST_ROWS:,} requests", number))
            break
        fault = _fault(text, number, endpoint, seen)
        if fault is not None:
            faults.append(fault)
            if len(faults) >= SHOWN:
                break
    if not rows:
        faults.append(Fault("empty_file", "the file has no requests", None))
    return Checked(rows, faults)


def _fault(text: bytes, number: int, endpoint: str, seen: set[bytes]) -> Fault | None:
    if len(text) > LONGEST:
        return Fault("line_too_long", f"a line may have {LONGEST:,} bytes", number)
    if has_too_many_parts(text):
        return Fault("too_many_values", f"a line may have {MOST_PARTS:,} values and keys", number)
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:  # no UTF-8 is a ValueError, too
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return Fault("invalid_json_line", f"this line is not JSON: {reason:.200}", number)
    if not isinstance(line, dict):
        return Fault("invalid_json_line", "this line is not a JSON object", number)
    custom_id = line.get("custom_id")
    if not isinstance(custom_id, str) or not custom_id:
        return Fault("missing_required_parameter", "custom_id must be a text", number, "custom_id")
    digest = hashlib.blake2b(custom_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    if digest in seen:
        return Fault("duplicate_custom_id", f"the custom_id {custom_id!r:.100} is that of an earlier line", number,
                     "custom_id")  # fmt: skip
    seen.add(digest)
    if line.get("url") != endpoint:
        return Fault("invalid_url", f"the url must be that of the batch, {endpoint}, not {line.get('url')!r:.100}",
                     number, "url")  # fmt: skip
    if line.get("method") != "POST":
        return Fault("invalid_method", f"the method must be POST, not {line.get('method')!r:.40}", number, "method")
    if "body" not in line:
        return Fault("missing_required_parameter", "the line has no body", number, "body")
    return None
