"""The content of a webhook, and when it is tried again: a signed POST, up to ten tries within four days."""

import json
import random
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from mlq.core import codec
from mlq.core.checks import functions_of, queue_of
from mlq.core.job import head_of
from mlq.deliveries.exchange import Answer, Request
from mlq.deliveries.signing import sign
from mlq.errors import Undecodable
from mlq.ops.deliveries import Delivery
from mlq.version import __version__

TRY_TIMEOUT = 15.0  # seconds
PAUSES = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)  # seconds before each further try
TRIES = len(PAUSES) + 1
JITTER = 0.1  # of a pause, so that a receiver that was down does not get all webhooks at once
LONGEST = 86400.0  # most seconds that a receiver may ask us to wait
LEASE = 20.0  # seconds; above TRY_TIMEOUT
GONE = 410
THROTTLED = (429, 503)
SHORT_LIMIT = 8000  # bytes of a short result; the whole body should stay below 20,000


def request(delivery: Delivery, keys: Iterable[bytes]) -> Request:
    """The event of a job's end, signed now."""
    body = json.dumps(event(delivery), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    event_id, timestamp = event_id_of(delivery), int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"mlq/{__version__}",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(keys, event_id, timestamp, body),
    }
    return Request("POST", delivery.text("url"), headers, body, TRY_TIMEOUT)


def event_id_of(delivery: Delivery) -> str:
    """An id that is the same for all tries to report one end of a job, redeliveries included, and for no other end."""
    return f"job-{delivery.id}-{delivery.text('finished').replace('.', '')}"


def event(delivery: Delivery) -> dict[str, Any]:
    """The event in the body of a webhook."""
    lane, posted = head_of(delivery.fields["head"])
    finished = float(delivery.text("finished"))
    data: dict[str, Any] = {
        "id": delivery.id,
        "state": delivery.text("state"),
        "queue": queue_of(lane),
        "functions": sorted(functions_of(lane)) or None,
        "attempts": int(delivery.text("attempts") or 0),
        "posted": _moment(posted),
        "finished": _moment(finished),
    }
    data |= {name: delivery.text(name) or None for name in ("reason", "error", "error_type")}
    return {"type": f"job.{data['state']}", "timestamp": _moment(finished), "data": data | _short(delivery)}


def _short(delivery: Delivery) -> dict[str, Any]:
    """The short result; empty if it is too large, or can't be represented in JSON."""
    try:
        short = codec.unpack(delivery.fields["short"])
        fits = len(json.dumps(short, ensure_ascii=False, allow_nan=False).encode()) <= SHORT_LIMIT
    except (KeyError, Undecodable, TypeError, ValueError, RecursionError):
        return {}
    return {"short_result": short} if fits else {}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def pause(delivery: Delivery, answer: Answer) -> float | None:
    """Seconds until the next try; None if there is none."""
    if answer.refused or answer.status == GONE or delivery.attempt >= TRIES:
        return None
    asked = retry_after(answer.retry_after, time.time()) if answer.status in THROTTLED else None
    usual = PAUSES[delivery.attempt - 1] * (1 + JITTER * random.random())  # noqa: S311 - jitter
    return usual if asked is None else asked


def retry_after(header: str, now: float) -> float | None:
    """The seconds that a receiver asks for, clamped to 1 s to 1 day; None if the header is missing or malformed."""
    try:
        seconds = float(int(header)) if header.strip().isdecimal() else parsedate_to_datetime(header).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 1.0), LONGEST)
