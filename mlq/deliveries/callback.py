"""The content of a callback, and when it is tried again: a GET, up to three tries within 30 s.

A try takes 5 s at most, the pauses are 2 and 5 s, and due deliveries are looked for every 1.5 s: so all within 25 s.
"""

from urllib.parse import urlencode, urlsplit, urlunsplit

from mlq.deliveries.exchange import Answer, Request
from mlq.ops.deliveries import Delivery

TRIES = 3
TRY_TIMEOUT = 5.0  # seconds
PAUSES = (2.0, 5.0)  # seconds before the second and the third try
LEASE = 10.0  # seconds; above TRY_TIMEOUT


def request(delivery: Delivery) -> Request:
    """The URL with `success`, `job_id` and, if it fits, `short_result` added to its query."""
    added = {"success": delivery.text("success"), "job_id": delivery.id}
    if delivery.fields["says"] == b"1":
        added["short_result"] = delivery.text("said")
    parts = urlsplit(delivery.text("url"))
    query = "&".join(part for part in (parts.query, urlencode(added)) if part)
    return Request("GET", urlunsplit((parts.scheme, parts.netloc, parts.path, query, "")), {}, None, TRY_TIMEOUT)


def pause(delivery: Delivery, answer: Answer) -> float | None:
    """Seconds until the next try; None if there is none."""
    return None if answer.refused or delivery.attempt >= TRIES else PAUSES[delivery.attempt - 1]
