"""Sends files to the service's API as the form of a client."""

import json
from typing import Any


def form(content: bytes, purpose: str | None = "batch", name: str = "in.jsonl", **fields: str) -> tuple[bytes, str]:
    """A body and its content type."""
    given = ({} if purpose is None else {"purpose": purpose}) | fields
    parts = [b'--b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (one.encode(), value.encode())
             for one, value in given.items()]  # fmt: skip
    parts.append(b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % name.encode())
    return b"".join((*parts, content, b"\r\n--b--\r\n")), "multipart/form-data; boundary=b"


def upload(client: Any, content: bytes, **given: Any) -> Any:
    """Through the application's test client."""
    body, kind = form(content, **given)
    return client.post("/v1/files", data=body, content_type=kind)


def lines(model: str, rows: list[Any], **others: Any) -> bytes:
    """The lines of a batch."""
    whole = [{"custom_id": f"r{number}", "method": "POST", "url": f"/models/{model}/predict", "body": row} | others
             for number, row in enumerate(rows)]  # fmt: skip
    return b"".join(json.dumps(one).encode() + b"\n" for one in whole)
