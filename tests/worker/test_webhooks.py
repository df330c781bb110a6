"""Webhooks from a worker to a receiver that can be told how to answer. Time passes by moving what is due."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlq import MLQ, InputError, WrongState, verify_webhook
from mlq.deliveries import webhook
from tests.worker.receiver import Got, Receiver

pytestmark = pytest.mark.slow

OLD, NEW = "whsec_" + "A" * 32, "whsec_" + "B" * 32
Answer = tuple[int, dict[str, str]]


class Event(Got):
    """A webhook that came."""

    def event(self, secret: str = NEW) -> dict[str, Any]:
        """What it tells, verified."""
        return verify_webhook(self.body, self.headers, secret)


def event_of(got: Got) -> Event:
    """What is kept of a webhook."""
    return Event(*got)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks on this machine."""
    made = Receiver(event_of)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers sign with two secrets, as while one is changed for the other."""
    monkeypatch.setenv("MLQ_WEBHOOK_SECRETS", f"{OLD},{NEW}")


class Time:
    """Makes deliveries come due, and waits until a try is recorded."""

    def __init__(self, mlq: MLQ, raw: Any, namespace: str) -> None:
        self._mlq, self._raw, self._root = mlq, raw, f"{{{namespace}}}:"

    def passes(self) -> None:
        """The time of the next try comes."""
        name = self._root + "deliveries:webhook"
        for job_id in self._raw.zrange(name, 0, -1):
            self._raw.zadd(name, {job_id: time.time() - 1})
        self._mlq._worker._sender.due()

    def tries(self, job_id: str, count: int) -> list[dict[str, Any]]:
        """The log of a job once it has `count` tries."""
        give_up = time.monotonic() + 90
        while len(tries := self._mlq.get_job(job_id)["deliveries"]) < count:
            assert time.monotonic() < give_up, tries
            time.sleep(0.005)
        return tries

    def pending(self) -> set[str]:
        """What of deliveries is kept."""
        names = self._raw.scan_iter(self._root.replace("-", "\\-") + "deliver*", count=1000)
        return {name.decode().removeprefix(self._root) for name in names}


@pytest.fixture
def later(mlq: MLQ, raw: Any, namespace: str) -> Time:
    """The time of the test's namespace."""
    return Time(mlq, raw, namespace)


def work(message: Any) -> Any:
    """Fails where the message says so."""
    if message == "fail":
        raise ValueError("boom")
    return message, "the long result"


def test_success_and_failure_are_told(mlq: MLQ, receiver: Receiver, later: Time) -> None:
    """Signed with each secret; receivers may know either."""
    mlq.create_listener(work)
    good = mlq.post({"n": 1}, webhook=receiver.url, functions=["work"])
    (got,) = receiver.wait(1)
    assert (got.method, got.path) == ("POST", "/in")
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("mlq/")
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert len(got.headers["webhook-signature"].split()) == 2
    event = got.event(OLD)
    assert event == got.event(NEW)
    data = event["data"]
    assert (event["type"], data["id"], data["state"], data["functions"]) == (
        "job.succeeded",
        good,
        "succeeded",
        ["work"],
    )
    assert (data["short_result"], data["reason"], data["attempts"]) == ({"n": 1}, None, 1)
    bad = mlq.post("fail", webhook=receiver.url)
    data = receiver.wait(2)[1].event()["data"]
    assert (data["id"], data["state"], data["reason"], data["error"], data["error_type"]) == (
        bad, "failed", "error", "boom", "builtins.ValueError"
    )  # fmt: skip
    assert later.tries(bad, 1)[0]["status"] == 204
    assert mlq.get_job(good)["webhook"] == receiver.url
    assert later.pending() == set()


def test_callback_and_webhook_of_one_job(mlq: MLQ, receiver: Receiver, later: Time) -> None:
    """Each is sent, and each is logged."""
    mlq.create_listener(work)
    job_id = mlq.submit(1, callback=receiver.url, webhook=receiver.url).id
    assert sorted(got.method for got in receiver.wait(2)) == ["GET", "POST"]
    assert sorted(one["kind"] for one in later.tries(job_id, 2)) == ["callback", "webhook"]
    assert mlq.get_job(job_id)["callback_outcome"] == "sent"


def test_cancelled_job_is_told(mlq: MLQ, receiver: Receiver) -> None:
    """Though nothing ran."""
    job = mlq.submit(1, webhook=receiver.url, functions=["nobody"])
    job.cancel()
    mlq.create_listener(work)
    assert receiver.wait(1)[0].event()["type"] == "job.cancelled"


def test_ten_tries_by_the_schedule(mlq: MLQ, receiver: Receiver, later: Time) -> None:
    """With one id; each with a time and a signature of its own, and all are logged."""
    receiver.answers = [(500, {})] * 20
    mlq.create_listener(work)
    job_id = mlq.post(1, webhook=receiver.url)
    for number in range(1, 11):
        last = later.tries(job_id, number)[-1]
        assert (last["try"], last["status"], last["error"]) == (number, 500, "answered 500")
        if number < 10:
            pause = last["next"] - last["at"]
            assert webhook.PAUSES[number - 1] <= pause <= webhook.PAUSES[number - 1] * 1.1
            later.passes()
    assert last["next"] is None
    assert later.pending() == set()
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    for got in receiver.got:
        got.event()


def test_receiver_that_is_gone(mlq: MLQ, receiver: Receiver, later: Time) -> None:
    """410 ends it at once."""
    receiver.answers = [(410, {})]
    mlq.create_listener(work)
    (one,) = later.tries(mlq.post(1, webhook=receiver.url), 1)
    assert (one["status"], one["next"]) == (410, None)
    assert later.pending() == set()


@pytest.mark.parametrize(("header", "pause"), [("1234", 1234), ("9999999", 86_400)])
def test_busy_receiver_has_its_way(mlq: MLQ, receiver: Receiver, later: Time, header: str, pause: float) -> None:
    """For up to a day."""
    receiver.answers = [(503, {"Retry-After": header})]
    mlq.create_listener(work)
    (one,) = later.tries(mlq.post(1, webhook=receiver.url), 1)
    assert one["next"] - one["at"] == pytest.approx(pause, abs=1)


def test_redirects_are_not_followed(mlq: MLQ, receiver: Receiver, later: Time) -> None:
    """Where it points was never checked."""
    receiver.answers = [(307, {"Location": receiver.url + "?elsewhere=1"})]
    mlq.create_listener(work)
    (one,) = later.tries(mlq.post(1, webhook=receiver.url), 1)
    assert one["error"] == "answered 307"
    assert one["next"] is not None
    assert len(receiver.got) == 1


def test_hanging_receivers_hold_nobody_up(
    mlq: MLQ, receiver: Receiver, later: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither jobs nor callbacks, though there are more of them than are sent at a time; they are cut off in time."""
    monkeypatch.setattr(webhook, "TRY_TIMEOUT", 4.0)
    monkeypatch.setattr(webhook, "PAUSES", (300.0, *webhook.PAUSES[1:]))  # no second try comes before all first ones
    other = Receiver(event_of)
    with contextlib.closing(other):
        receiver.pause.clear()
        mlq.create_listener(work)
        ids = mlq.post_many(range(20), webhook=receiver.url)
        assert mlq.submit(1, callback=other.url).result(60) == "the long result"
        other.wait(1, 2)
        for job_id in ids:
            (one,) = later.tries(job_id, 1)
            assert one["status"] is None
            assert "Timeout" in one["error"] or "took too long" in one["error"]


def test_dripping_receiver_is_cut_off(mlq: MLQ, later: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for the whole exchange, not for each byte of it."""
    monkeypatch.setattr(webhook, "TRY_TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with contextlib.suppress(OSError):
                peer, _ = server.accept()
                with peer:
                    peer.sendall(b"HTTP/1.1 200 OK\r\n")
                    while True:
                        peer.sendall(b"x: y\r\n")
                        time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        mlq.create_listener(work)
        begun = time.monotonic()
        (one,) = later.tries(mlq.post(1, webhook=f"http://127.0.0.1:{server.getsockname()[1]}/"), 1)
        assert time.monotonic() - begun < 3
        assert "took too long" in one["error"]


def test_nothing_is_sent_unsigned(
    mlq: MLQ, receiver: Receiver, later: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Log and job say what is to be set, and it comes due again, for a worker that has a secret."""
    monkeypatch.delenv("MLQ_WEBHOOK_SECRETS")
    mlq.create_listener(work)
    job_id = mlq.post(1, webhook=receiver.url)
    (one,) = later.tries(job_id, 1)
    assert "set MLQ_WEBHOOK_SECRETS" in one["error"]
    assert "set MLQ_WEBHOOK_SECRETS" in caplog.text
    assert one["next"] is not None
    assert receiver.got == []
    mlq.shutdown()
    monkeypatch.setenv("MLQ_WEBHOOK_SECRETS", NEW)
    mlq.create_listener(work)
    later.passes()
    assert receiver.wait(1)[0].event()["data"]["id"] == job_id


@pytest.mark.parametrize(
    ("variable", "value"), [("MLQ_WEBHOOK_SECRETS", "whsec_tooshort"), ("MLQ_CALLBACK_TARGETS", "http://x")]
)
def test_a_worker_does_not_start_with_settings_that_make_no_sense(
    mlq: MLQ, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Found at once, not when the first webhook is lost."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError):
        mlq.create_listener(work)


@pytest.mark.parametrize("kind", ["webhook", "callback"])
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://[64:ff9b::a9fe:a9fe]:80/",
    ],
)
def test_refused_target_ends_it(mlq: MLQ, later: Time, kind: str, url: str) -> None:
    """However it is written; the reason is on the job, and nothing is tried again."""
    mlq.create_listener(work)
    (one,) = later.tries(mlq.post(1, **{kind: url}), 1)
    assert "refused as a target by MLQ_CALLBACK_TARGETS=local" in one["error"]
    assert (one["kind"], one["try"], one["status"], one["next"]) == (kind, 1, None, None)
    assert later.pending() == set()


def _resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Have `hooks.test` stand for the addresses given, those of the first look-up first; the names that were asked."""
    asked: list[str] = []
    real, left = socket.getaddrinfo, list(answers)

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "hooks.test":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [found_ for address in found for found_ in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_name_with_a_refused_address_among_others(
    mlq: MLQ, receiver: Receiver, later: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is refused whole."""
    _resolving(monkeypatch, ["127.0.0.1", "169.254.169.254"])
    mlq.create_listener(work)
    (one,) = later.tries(mlq.post(1, webhook=f"http://hooks.test:{receiver.port}/"), 1)
    assert "hooks.test (169.254.169.254) is refused" in one["error"]
    assert receiver.got == []


def test_name_is_looked_up_once(mlq: MLQ, receiver: Receiver, later: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked is what is called, though the name stands for another address the second time."""
    asked = _resolving(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
    mlq.create_listener(work)
    (one,) = later.tries(mlq.post(1, webhook=f"http://hooks.test:{receiver.port}/in"), 1)
    assert (one["status"], asked) == (204, ["hooks.test"])
    assert receiver.got[0].headers["host"] == f"hooks.test:{receiver.port}"


def test_next_address_where_one_does_not_answer(
    mlq: MLQ, receiver: Receiver, later: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with any name of several addresses."""
    _resolving(monkeypatch, ["127.0.0.9", "127.0.0.1"])
    mlq.create_listener(work)
    (one,) = later.tries(mlq.post(1, webhook=f"http://hooks.test:{receiver.port}/"), 1)
    assert one["status"] == 204


def test_public_targets_only(mlq: MLQ, receiver: Receiver, later: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a service that strangers may post to; a list of names lets some in."""
    monkeypatch.setenv("MLQ_CALLBACK_TARGETS", "public")
    mlq.create_listener(work)
    assert "public" in later.tries(mlq.post(1, webhook=receiver.url), 1)[0]["error"]
    mlq.shutdown()
    monkeypatch.setenv("MLQ_CALLBACK_TARGETS", "hooks.test,10.0.0.0/8")
    _resolving(monkeypatch, ["127.0.0.1"])
    mlq.create_listener(work)
    assert later.tries(mlq.post(1, webhook=f"http://hooks.test:{receiver.port}/"), 1)[0]["status"] == 204
    assert later.tries(mlq.post(1, webhook=receiver.url), 1)[0]["status"] is None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `hooks.test`, and its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-days", "2", "-subj", "/CN=hooks.test", "-addext", "subjectAltName=DNS:hooks.test",
               "-keyout", "key", "-out", "cert"]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "both").write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return folder / "both"


@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_are_those_of_the_name(
    mlq: MLQ, later: Time, monkeypatch: pytest.MonkeyPatch, certificate: Path, trusted: bool
) -> None:
    """Though an address is connected to: the name is asked for, and must be the certificate's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)  # type: ignore[assignment]
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate))
    _resolving(monkeypatch, ["127.0.0.1"])
    receiver = Receiver(event_of, context)
    with contextlib.closing(receiver):
        mlq.create_listener(work)
        (one,) = later.tries(mlq.post(1, webhook=f"https://hooks.test:{receiver.port}/in"), 1)
        assert names == ["hooks.test"]
        assert (one["status"] == 204) == trusted
        assert trusted or "certificate" in one["error"].lower()
        (one,) = later.tries(mlq.post(1, webhook=f"https://127.0.0.1:{receiver.port}/in"), 1)  # not its name
        assert one["status"] is None
        assert len(receiver.got) == trusted


def test_webhook_survives_its_worker(
    start: Callable[..., Any], mlq: MLQ, receiver: Receiver, later: Time, raw: Any, namespace: str
) -> None:
    """SIGKILL while the receiver is being called: another worker sends the same event."""
    receiver.pause.clear()
    worker = start()
    job = mlq.submit(["echo", "v"], webhook=receiver.url)
    assert job.result(60) == "v"
    receiver.wait(1)
    worker.signal(signal.SIGKILL)
    worker.wait()
    receiver.pause.set()
    raw.zadd(f"{{{namespace}}}:deliveries:webhook", {job.id: time.time() - 1})  # its lease is over
    start()
    first, second = receiver.wait(2, 20)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert [one["try"] for one in later.tries(job.id, 1)] == [1]  # nobody knows what came of the other
    assert mlq.get_job(job.id)["retries"] == 0


def test_redeliver(mlq: MLQ, receiver: Receiver, later: Time) -> None:
    """The same event, once more, as often as one likes; not of a job without a webhook."""
    mlq.create_listener(work)
    job_id = mlq.post(1, webhook=receiver.url)
    later.tries(job_id, 1)
    mlq.redeliver(job_id)
    first, second = receiver.wait(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert json.loads(first.body) == second.event()
    assert [one["error"] for one in later.tries(job_id, 2)] == [None, None]
    plain = mlq.submit(1)
    plain.result(60)
    with pytest.raises(WrongState, match="without a webhook"):
        mlq.redeliver(plain.id)


BAD_URLS = ["ftp://x/", "http://", 5, "http://h/\r\nX-Evil: 1", "http://user:pass@h/", "http://a\\@b/", "http://h/ x"]


@pytest.mark.parametrize("url", BAD_URLS, ids=range(len(BAD_URLS)))
def test_hostile_urls_are_refused_when_posted(mlq: MLQ, url: Any) -> None:
    """Before anything is written."""
    for post in (mlq.post, mlq.submit):
        with pytest.raises(ValueError, match="webhook"):
            post(1, webhook=url)
    with pytest.raises(ValueError, match="webhook"):
        mlq.post_many([1], webhook=url)
    assert mlq.job_count() == 0
