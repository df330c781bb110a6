"""What a webhook says and when it is tried again; no server is asked."""

import json
import time
from email.utils import format_datetime

import pytest

from mlq import verify_webhook
from mlq.core import codec
from mlq.deliveries import callback, webhook
from mlq.deliveries.exchange import Answer
from mlq.deliveries.signing import read_secrets
from mlq.ops.deliveries import Delivery

SECRET = "whsec_" + "A" * 32
ENTRY = {
    "url": b"https://hooks.example/in", "queued": b"1.5", "tries": b"1", "head": b"slow:f,g\n1700000000.25\n0\n",
    "state": b"failed", "attempts": b"2", "finished": b"1700000001.500000", "reason": b"error",
    "error_type": b"builtins.ValueError", "error": b"boom",
}  # fmt: skip


def entry(**fields):
    """A webhook as it is taken from the outbox."""
    return Delivery("webhook", "7", ENTRY | fields)


def tried(number):
    """One that was taken for that try."""
    return entry(tries=str(number).encode(), failed=str(number - 1).encode())


def test_event():
    """All that is known of the end, small."""
    assert webhook.event(entry()) == {
        "type": "job.failed",
        "timestamp": "2023-11-14T22:13:21.500Z",
        "data": {
            "id": "7", "state": "failed", "queue": "slow", "functions": ["f", "g"], "attempts": 2,
            "posted": "2023-11-14T22:13:20.250Z", "finished": "2023-11-14T22:13:21.500Z", "reason": "error",
            "error": "boom", "error_type": "builtins.ValueError",
        },
    }  # fmt: skip


@pytest.mark.parametrize("value", [None, 0, "text \u2028 ä", [1, 2.5, None], {"a": {"b": True}}])
def test_short_result(value):
    """Any that JSON has a form for."""
    body = webhook.request(entry(short=codec.pack(value)), ()).body
    assert json.loads(body)["data"]["short_result"] == value


@pytest.mark.parametrize("packed", [codec.pack(b"bytes"), codec.pack(float("nan")), codec.pack("\x00" * 4000), b"\xc1"])
def test_short_result_without_a_form(packed):
    """It is left out, and the rest is told."""
    assert "short_result" not in webhook.event(entry(short=packed))["data"]


def test_body_stays_small():
    """Below 20,000 bytes, whatever the job said."""
    worst = {"error": b"\x00" * 1000, "error_type": b"x" * 1000, "short": codec.pack("\u2028" * 2600)}
    body = webhook.request(entry(**worst, head=b"q:" + b'"' * 998 + b"\n1\n"), ()).body
    assert 16_000 < len(body) < 20_000


def test_text_that_was_cut_within_a_character():
    """Is told as far as it goes."""
    assert webhook.event(entry(error="ä".encode()[:1]))["data"]["error"] == "\ufffd"


def test_each_try_is_signed_anew(monkeypatch):
    """The time is the try's, the id and the body are the event's."""
    now = time.time()
    first = webhook.request(entry(), read_secrets(SECRET))
    monkeypatch.setattr(time, "time", lambda: now + 100_000)
    second = webhook.request(tried(2), read_secrets(SECRET))
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "job-7-1700000001500000"
    assert int(second.headers["webhook-timestamp"]) == pytest.approx(now + 100_000, abs=2)
    assert verify_webhook(second.body, second.headers, SECRET)["type"] == "job.failed"
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_schedule():
    """Ten tries, with pauses that grow, never all at the same time."""
    pauses = [webhook.pause(tried(number), Answer(500, "answered 500")) for number in range(1, 11)]
    for pause, usual in zip(pauses, webhook.PAUSES, strict=False):
        assert usual <= pause <= usual * 1.1
    assert (len(webhook.PAUSES), pauses[-1]) == (9, None)
    assert len({webhook.pause(tried(5), Answer(None, "no")) for _ in range(20)}) > 1


def test_what_ends_it_at_once():
    """A receiver that is gone, and a target that is refused; a missing one may come back."""
    assert webhook.pause(tried(1), Answer(410, "answered 410")) is None
    assert webhook.pause(tried(1), Answer(None, "refused", refused=True)) is None
    assert webhook.pause(tried(1), Answer(404, "answered 404")) is not None


@pytest.mark.parametrize(
    ("header", "expected"),
    [("120", 120), (" 7 ", 7), ("0", 1), ("999999999999", 86_400), ("9" * 400, None), ("", None), ("soon", None),
     ("-5", None), ("1.5", None), ("\u0661", 1)],
)  # fmt: skip
def test_retry_after_in_seconds(header, expected):
    """From a second to a day; what is none is no wish."""
    assert webhook.retry_after(header, 0.0) == expected


def test_retry_after_as_a_date():
    """In the future it is the pause, in the past it is at once."""
    now = time.time()
    from datetime import UTC, datetime

    later = format_datetime(datetime.fromtimestamp(now + 90, UTC), usegmt=True)
    assert webhook.retry_after(later, now) == pytest.approx(90, abs=1)
    assert webhook.retry_after("Wed, 21 Oct 2015 07:28:00 GMT", now) == 1


@pytest.mark.parametrize(("status", "counts"), [(429, True), (503, True), (500, False), (302, False)])
def test_who_may_ask_for_a_pause(status, counts):
    """Those that are too busy."""
    pause = webhook.pause(tried(1), Answer(status, "no", "77"))
    assert (pause == 77) == counts


def test_callbacks_are_tried_three_times():
    """As ever."""
    pauses = [callback.pause(tried(number), Answer(500, "no", "77")) for number in (1, 2, 3)]
    assert pauses == [2.0, 5.0, None]
    assert callback.pause(tried(1), Answer(None, "refused", refused=True)) is None
