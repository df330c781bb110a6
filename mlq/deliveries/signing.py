"""Signatures of webhooks, by the Standard Webhooks specification: made by the sender, verified by receivers. Pure.

A secret is `whsec_` followed by the base64 of 24 to 64 bytes. If there are several, a webhook has a signature for each,
and a receiver needs only one of them: so secrets can be rotated without losing an event.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from mlq.errors import InputError, Unverified

SECRETS = "MLQ_WEBHOOK_SECRETS"  # the environment variable
PREFIX = "whsec_"
SIZES = range(24, 65)  # bytes of a secret
TOLERANCE = 300  # seconds that a webhook may be old or in the future, by the receiver's clock


def read_secrets(given: str | Iterable[str]) -> tuple[bytes, ...]:
    """The keys in secrets that are separated by spaces or commas. Raises InputError, which shows no secret."""
    texts = [given] if isinstance(given, str) else given
    words = [word for text in texts for word in text.replace(",", " ").split()]
    return tuple(_key(word, number) for number, word in enumerate(words, 1))


def _key(word: str, number: int) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not word.startswith(PREFIX) or len(key) not in SIZES:
        raise InputError(
            f"webhook secret number {number} must be {PREFIX} followed by the base64 of "
            f"{SIZES.start} to {SIZES.stop - 1} bytes"
        )
    return key


def sign(keys: Iterable[bytes], event_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one signature per key."""
    return " ".join(f"v1,{_signature(key, event_id, str(timestamp), body)}" for key in keys)


def _signature(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    signed = b"%b.%b.%b" % (event_id.encode("utf-8", "replace"), timestamp.encode(), body)
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def verify_webhook(body: bytes, headers: Mapping[str, str], secrets: str | Iterable[str]) -> dict[str, Any]:
    """The event in a webhook, after verifying that it was signed with one of `secrets` in the last five minutes.

    `body`: the raw bytes of the request; `headers`: of any framework, in upper or lower case; `secrets`: as in
    MLQ_WEBHOOK_SECRETS, or a list of them. Raises Unverified, and InputError for malformed secrets.
    """
    if not isinstance(body, bytes):
        raise InputError(f"the body must be the raw bytes of the request, which were signed, not {type(body).__name__}")
    keys = read_secrets(secrets)
    if not keys:
        raise InputError("verify_webhook needs at least one secret")
    given = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, timestamp, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise Unverified(f"this is not a signed webhook: the header {missing.args[0]} is missing") from None
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise Unverified(f"the header webhook-timestamp is not a time: {timestamp!r:.40}")
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        raise Unverified(f"this webhook's timestamp is more than {TOLERANCE} s in the past or future: check the clock")
    wanted = [f"v1,{_signature(key, event_id, timestamp, body)}".encode() for key in keys]
    claimed = [word.encode("utf-8", "replace") for word in signatures.split()]
    # all pairs are compared, even after a match, so that the time taken reveals nothing
    if not sum(hmac.compare_digest(one, other) for one in wanted for other in claimed):
        raise Unverified("no signature of this webhook matches its body and any of the secrets")
    return _event(body)


def _event(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise Unverified("the body of this webhook is signed, but is not a JSON object")
    return event
