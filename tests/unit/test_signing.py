"""Signatures of webhooks: against the standard's own example, and against all that is forged."""

import base64
import json
import time

import pytest

from mlq import InputError, Unverified, verify_webhook
from mlq.deliveries.signing import read_secrets, sign

OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 64).decode()
BODY = b'{"type":"job.succeeded"}'


def headers(secrets=NEW, body=BODY, at=None, event_id="job-1-17"):
    """Those of a webhook that was sent now."""
    timestamp = int(time.time() if at is None else at)
    signature = sign(read_secrets(secrets), event_id, timestamp, body)
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_the_example_of_the_standard():
    """As every library of Standard Webhooks computes it."""
    keys = read_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("known", [NEW, OLD, f"{OLD},{NEW}", f" {NEW} {OLD} ", [OLD, NEW]])
def test_any_of_several_secrets_will_do(known):
    """So sender and receiver can be changed one after the other."""
    assert verify_webhook(BODY, headers(f"{OLD} {NEW}"), known) == {"type": "job.succeeded"}


def test_headers_of_any_framework():
    """Upper case or lower case."""
    given = {name.title(): value for name, value in headers().items()}
    assert verify_webhook(BODY, given, NEW) == json.loads(BODY)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "job-2-17"},
        {"webhook-timestamp": 100},  # seconds from the test's own time, which the signature does not know
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,AAAA v2,BBBB \u00e4 \ud800"},
        {"webhook-signature": headers()["webhook-signature"].replace("v1,", "v1a,")},
    ],
    ids=range(6),
)
def test_forged(change):
    """Each part is signed."""
    if "webhook-timestamp" in change:
        change = {"webhook-timestamp": str(int(time.time()) + change["webhook-timestamp"])}
    with pytest.raises(Unverified, match="no signature"):
        verify_webhook(BODY, headers() | change, NEW)


def test_another_body_and_another_secret():
    """One byte is enough."""
    for body, secret in ((BODY + b" ", NEW), (BODY, OLD)):
        with pytest.raises(Unverified):
            verify_webhook(body, headers(), secret)


@pytest.mark.parametrize("age", [301, -302, 10**9])
def test_old_ones_are_refused(age):
    """And those of the future: a replay, or a clock that is wrong."""
    with pytest.raises(Unverified, match="300 s"):
        verify_webhook(BODY, headers(at=time.time() - age), NEW)


@pytest.mark.parametrize("timestamp", ["", "x", "1e9", "-1", "1" * 5000, "\u0661"])
def test_times_that_are_none(timestamp):
    """Before anything is computed with them."""
    with pytest.raises(Unverified, match="webhook-timestamp"):
        verify_webhook(BODY, headers() | {"webhook-timestamp": timestamp}, NEW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_missing_header(name):
    """An unsigned request is refused."""
    given = headers()
    del given[name]
    with pytest.raises(Unverified, match=name):
        verify_webhook(BODY, given, NEW)


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"\xff"])
def test_signed_body_that_is_no_event(body):
    """It is told as all else."""
    with pytest.raises(Unverified, match="not a JSON object"):
        verify_webhook(body, headers(body=body), NEW)


def test_body_as_a_text():
    """Made of other bytes, it would have another signature."""
    with pytest.raises(InputError, match="bytes"):
        verify_webhook(BODY.decode(), headers(), NEW)


@pytest.mark.parametrize(
    "secret",
    ["secret", "whsec_", "whsec_MfKQ", "whsec_!!!", NEW[6:], "whsec_" + base64.b64encode(b"x" * 65).decode(), NEW[:-1]],
    ids=range(7),
)
def test_secrets_that_are_none(secret):
    """The error says which one, and shows nothing of it."""
    with pytest.raises(InputError, match="number 2") as caught:
        read_secrets(f"{OLD} {secret}")
    assert str(caught.value) == "webhook secret number 2 must be whsec_ followed by the base64 of 24 to 64 bytes"


def test_no_secret():
    """Nothing can be verified without."""
    with pytest.raises(InputError, match="at least one"):
        verify_webhook(BODY, headers(), " , ")
