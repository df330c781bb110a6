"""Callbacks, with a receiver that can be told how to answer."""

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from mlq import MLQ
from tests.worker.receiver import Got, Receiver

pytestmark = pytest.mark.slow


def query_of(got: Got) -> dict[str, str]:
    """What a callback says."""
    return dict(parse_qsl(urlsplit(got.path).query, keep_blank_values=True))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of callbacks on this machine."""
    made = Receiver(query_of)
    yield made
    made.close()


def _outcome(mlq: MLQ, job_id: str, timeout: float = 10) -> str:
    give_up = time.monotonic() + timeout
    while (said := mlq.get_job(job_id)["callback_outcome"]) is None and time.monotonic() < give_up:
        time.sleep(0.01)
    return str(said)


def test_success_and_failure_are_told(mlq: MLQ, receiver: Receiver) -> None:
    """With what the URL held already; a failure has no short result."""

    def divide(message: Any) -> Any:
        return f"1/{message} & more", 1 / message

    mlq.create_listener(divide)
    good = mlq.submit(2, callback=receiver.url + "?mine=a%26b")
    assert good.result(60) == 0.5
    assert receiver.wait(1) == [{"mine": "a&b", "success": "1", "job_id": good.id, "short_result": "1/2 & more"}]
    assert _outcome(mlq, good.id) == "sent"
    bad = mlq.submit(0, callback=receiver.url)
    assert receiver.wait(2)[1] == {"success": "0", "job_id": bad.id}
    assert mlq.get_job(bad.id)["callback"] == receiver.url


@pytest.mark.parametrize("short", ["x" * 3000, list(range(2000)), None], ids=["text", "list", "None"])
def test_a_short_result_that_does_not_fit_is_left_out(mlq: MLQ, receiver: Receiver, short: Any) -> None:
    """The rest is told."""
    mlq.create_listener(lambda message: (short, "long"))
    job = mlq.submit(1, callback=receiver.url)
    assert receiver.wait(1) == [{"success": "1", "job_id": job.id}]


def test_an_answer_that_is_not_2xx_is_tried_again(mlq: MLQ, receiver: Receiver) -> None:
    """A 500 and a redirect do not count; nobody goes where the redirect points."""
    receiver.answers = [500, 302]
    mlq.create_listener(lambda message: "ok")
    job = mlq.submit(1, callback=receiver.url)
    told = {"success": "1", "job_id": job.id, "short_result": "ok"}
    assert receiver.wait(3, 20) == [told] * 3
    assert _outcome(mlq, job.id) != ""
    mlq.shutdown()
    assert mlq.get_job(job.id)["callback_outcome"] == "sent"
    assert len(receiver.got) == 3


@pytest.mark.parametrize(
    ("end", "told"),
    [("/döne/✓", {}), ("?näme=Zoë", {"näme": "Zoë"}), ("?a=%C3%A9 b".replace(" ", "%20"), {"a": "é b"})],
)
def test_a_url_in_any_language_is_sent(mlq: MLQ, receiver: Receiver, end: str, told: dict[str, str]) -> None:
    """As browsers send it: UTF-8, percent-encoded, and what is encoded already stays as it is."""
    mlq.create_listener(lambda message: None)
    job = mlq.submit(1, callback=receiver.url + end)
    assert receiver.wait(1) == [told | {"success": "1", "job_id": job.id}]
    assert _outcome(mlq, job.id) == "sent"
    assert mlq.get_job(job.id)["callback"] == receiver.url + end


def test_three_tries_and_no_more(mlq: MLQ, receiver: Receiver, raw: Any, namespace: str) -> None:
    """Within 30 s; what went wrong is kept with the job."""
    receiver.answers = [500, 404, 503, 500]
    mlq.create_listener(lambda message: "ok")
    begun = time.monotonic()
    job = mlq.submit(1, callback=receiver.url)
    receiver.wait(3, 25)
    assert time.monotonic() - begun < 30
    while raw.exists(f"{{{namespace}}}:delivery:callback:{job.id}"):
        time.sleep(0.01)
    assert "503" in mlq.get_job(job.id)["callback_outcome"]
    assert raw.zcard(f"{{{namespace}}}:deliveries:callback") == 0
    assert job.result(60) == "ok"


def test_neither_a_dead_nor_a_silent_receiver_delays_jobs(mlq: MLQ, receiver: Receiver) -> None:
    """A hundred callbacks to each; the jobs take no longer than without."""
    receiver.pause.clear()
    mlq.create_listener(lambda message: message)
    begun = time.monotonic()
    for url in ("http://127.0.0.1:9/dead", receiver.url, "http://does-not-exist.invalid/"):
        for job_id in mlq.post_many(range(100), callback=url):
            mlq.wait(job_id, 5)
    assert time.monotonic() - begun < 15  # a hundred pauses or timeouts would take minutes
    assert mlq.submit(1).result(60) == 1


def test_a_failure_by_timeout_is_told(mlq: MLQ, receiver: Receiver) -> None:
    """Once, when the job is given up; not for each requeue."""
    over = threading.Event()
    mlq.create_listener(lambda message: over.wait(20))
    mlq.create_reaper(0.1, 0.3, 1)
    job = mlq.submit(1, callback=receiver.url)
    assert receiver.wait(1, 15) == [{"success": "0", "job_id": job.id}]
    over.set()
    mlq.shutdown()
    assert len(receiver.got) == 1


def test_each_outcome_is_told_once(mlq: MLQ, receiver: Receiver) -> None:
    """A dead letter that is requeued and ends well has two outcomes."""
    failing = [True]

    def sometimes(message: Any) -> str:
        if failing:
            raise ValueError(failing.pop())
        return "well"

    mlq.create_listener(sometimes)
    job = mlq.submit(1, callback=receiver.url)
    receiver.wait(1)
    assert _outcome(mlq, job.id) == "sent"
    mlq.requeue(job.id)
    assert job.result(60) == "well"
    assert [told["success"] for told in receiver.wait(2)] == ["0", "1"]
    assert len(receiver.got) == 2


def test_a_callback_survives_its_worker(
    start: Callable[..., Any], mlq: MLQ, receiver: Receiver, raw: Any, namespace: str
) -> None:
    """SIGKILL while the receiver is being called: another worker calls again."""
    receiver.pause.clear()
    worker = start()
    job = mlq.submit(["echo", "v"], callback=receiver.url)
    assert job.result(60) == "v"
    receiver.wait(1)
    worker.signal(signal.SIGKILL)
    worker.wait()
    receiver.pause.set()
    start()
    told = {"success": "1", "job_id": job.id, "short_result": "v"}
    assert receiver.wait(2, 20) == [told] * 2
    assert mlq.get_job(job.id)["retries"] == 0
    assert _outcome(mlq, job.id) == "sent"
    assert not raw.exists(f"{{{namespace}}}:delivery:callback:{job.id}")


BAD_URLS = ["ftp://x/", "no url", "http://", 5, "http://h:99999/", "http://h/\n", "http://h/" + "x" * 9000]


@pytest.mark.parametrize("url", BAD_URLS, ids=range(len(BAD_URLS)))
def test_a_callback_that_is_no_url_is_refused(mlq: MLQ, url: Any) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match="callback"):
        mlq.post(1, callback=url)
    assert mlq.job_count() == 0


def test_a_silent_receiver_does_not_delay_what_is_for_others(mlq: MLQ, receiver: Receiver) -> None:
    """Also if so much is due for it that it could have all places."""
    healthy = Receiver(query_of)
    receiver.pause.clear()
    mlq.create_listener(lambda message: message)
    try:
        slow = [mlq.job(one) for one in mlq.post_many(range(200), callback=receiver.url)]
        mlq.wait(slow[-1].id, 60)
        receiver.wait(4, 60)  # the others are put back
        jobs = [mlq.submit(i, callback=healthy.url) for i in range(50)]
        healthy.wait(50, 60)
        assert len(receiver.got) < 200  # these have not been waited for
        assert {_outcome(mlq, job.id, 60) for job in jobs} == {"sent"}
        receiver.pause.set()
        assert len(receiver.wait(200, 60)) >= 200  # nothing is lost
    finally:
        healthy.close()


def test_an_answer_without_end_is_cut_off(mlq: MLQ) -> None:
    """`100 Continue` again and again would keep the worker busy for as long as a try may take."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sent = []

        def answer() -> None:
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                while len(sent) < 100_000:
                    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
                    sent.append(100)

        threading.Thread(target=answer, daemon=True).start()
        mlq.create_listener(lambda message: message)
        job = mlq.submit(1, callback=f"http://127.0.0.1:{listening.getsockname()[1]}/")
        assert job.result(60) == 1
        while not (tries := mlq.get_job(job.id)["deliveries"]):
            time.sleep(0.01)
    assert "the head of its answer has more than 65,536 bytes" in str(tries[0])
    assert len(sent) < 100_000
