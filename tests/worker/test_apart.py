"""Workers see to it that some jobs run apart, and hold up others for that no longer than they must."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from mlq import MLQ
from mlq.core import codec
from mlq.worker import apart, renewer

pytestmark = pytest.mark.slow

SOON = 20.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow one another quickly."""
    monkeypatch.setattr(renewer, "RENEW", 0.1)
    monkeypatch.setattr(apart, "PATIENCE", 0.1)


@pytest.fixture
def set_apart(raw: Any, namespace: str) -> Callable[..., str]:
    """Makes a job that waits to run apart; a post would let workers have it first."""

    def put(message: Any) -> str:
        job_id = str(raw.incr(f"{{{namespace}}}:counter"))
        raw.set(f"{{{namespace}}}:post:{job_id}", b"default:work\n%d\n0\n%b" % (time.time(), codec.pack(message)))
        raw.hset(f"{{{namespace}}}:job:{job_id}", mapping={"state": "scheduled", "shared": 3, "reason": "lost"})
        raw.zadd(f"{{{namespace}}}:scheduled", {job_id: 1e11 + time.time()})
        return job_id

    return put


class Work:
    """Listeners that begin and end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ends: dict[str, threading.Event] = {}
        self.beside: dict[str, int] = {}  # how many others ran when one began
        self._running = 0

    def __call__(self, message: str) -> str:
        self.beside[message] = self._running
        self._running += 1
        self.begun.append(message)
        if message.startswith("long"):
            self.ends.setdefault(message, threading.Event()).wait(SOON)
        self._running -= 1
        return message

    def end(self, message: str) -> None:
        """Let it end."""
        self.ends.setdefault(message, threading.Event()).set()

    def until_begun(self, message: str) -> None:
        """Wait for it."""
        give_up = time.monotonic() + SOON
        while message not in self.begun:
            assert time.monotonic() < give_up, f"{message} did not begin"
            time.sleep(0.01)


def starts(mlq: MLQ, concurrency: int) -> Work:
    """A worker of this process."""
    works = Work()

    def work(message: str) -> str:
        return works(message)

    mlq.create_listener(work, concurrency=concurrency)
    return works


def test_an_idle_worker_runs_it_and_nothing_beside_it(mlq: MLQ, set_apart: Callable[..., str]) -> None:
    """What is posted meanwhile waits, and runs afterwards."""
    first, second = set_apart("long 1"), set_apart("2")
    works = starts(mlq, concurrency=4)
    works.until_begun("long 1")
    other = mlq.submit("other", functions=["work"])
    time.sleep(0.3)  # it would have begun by now; no event tells that nothing happens
    assert works.begun == ["long 1"]
    works.end("long 1")
    assert mlq.wait(first, SOON) == "long 1"
    assert [mlq.wait(second, SOON), other.result(SOON)] == ["2", "other"]
    assert works.beside["long 1"] == works.beside["2"] == 0
    assert mlq.get_job(first)["retries"] == 0


def test_a_busy_worker_makes_room(mlq: MLQ, set_apart: Callable[..., str]) -> None:
    """Though its slots are always wanted."""
    works = starts(mlq, concurrency=2)
    stop = threading.Event()

    def post() -> None:
        number = 0
        while not stop.wait(0.005):
            with contextlib.suppress(Exception):
                mlq.post(f"short {number}", functions=["work"])
            number += 1

    poster = threading.Thread(target=post)
    poster.start()
    try:
        works.until_begun("short 20")
        suspect = set_apart("apart")
        assert mlq.wait(suspect, SOON) == "apart"
        assert works.beside["apart"] == 0
        works.until_begun(f"short {len(works.begun) + 5}")
    finally:
        stop.set()
        poster.join()


def test_a_worker_with_a_long_job_goes_on_after_a_while(
    mlq: MLQ, set_apart: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tried to make room and could not: its other slots are not held up for hours. Once it is idle, it runs it."""
    monkeypatch.setattr(apart, "ROOM", 0.5)
    works = starts(mlq, concurrency=2)
    long = mlq.submit("long", functions=["work"])
    works.until_begun("long")
    suspect = set_apart("apart")
    slots = mlq._worker._shared.slots
    give_up = time.monotonic() + SOON
    while not slots._closed:
        assert time.monotonic() < give_up, "it never made room"
        time.sleep(0.005)
    other = mlq.submit("other", functions=["work"])
    assert other.result(SOON) == "other"
    assert mlq.get_state(suspect) == "scheduled"
    works.end("long")
    assert long.result(SOON) == "long"
    assert mlq.wait(suspect, SOON) == "apart"
    assert works.beside["apart"] == 0


def test_a_worker_that_is_idle_takes_it_while_another_makes_room(
    mlq: MLQ, set_apart: Callable[..., str], namespace: str, server_url: str
) -> None:
    """Whoever can first."""
    works = starts(mlq, concurrency=1)
    mlq.submit("long", functions=["work"])
    works.until_begun("long")
    suspect = set_apart("apart")
    with contextlib.closing(MLQ(namespace, url=server_url)) as second:
        others = starts(second, concurrency=1)
        assert mlq.wait(suspect, SOON) == "apart"
        assert others.begun == ["apart"]
        second.shutdown(0)
    works.end("long")


def test_a_worker_that_lacks_its_function_leaves_it_alone(mlq: MLQ, set_apart: Callable[..., str]) -> None:
    """And works on."""
    suspect = set_apart("apart")
    mlq.create_listener(lambda message: message)
    for number in range(20):
        assert mlq.submit(number).result(SOON) == number
    mlq._worker._apart.due()
    assert mlq.submit(5).result(SOON) == 5
    assert mlq.get_state(suspect) == "scheduled"
