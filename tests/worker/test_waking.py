"""Idle workers are woken, whoever takes the wake-up along, and whatever others post."""

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mlq import MLQ
from mlq.worker import presence
from tests.programs import until

pytestmark = pytest.mark.slow

FOR_LONG = 60.0  # seconds of one wait on the server: of what is found sooner, workers heard by other means


@pytest.fixture
def idle(raw: Any, start: Callable[..., Any]) -> Callable[[], Any]:
    """Starts a worker, and waits until it sleeps on the server."""
    ours = {client["id"] for client in raw.client_list()}

    def sleeping() -> int:
        return sum("b" in one["flags"] and one["id"] not in ours and one["name"] != "side" for one in raw.client_list())

    def begin() -> Any:
        before = sleeping()
        process = start(listen=FOR_LONG)
        until(lambda: sleeping() == before + 1)
        process.sleeping = sleeping
        return process

    return begin


@pytest.mark.parametrize("first", [True, False])
def test_a_wake_up_that_a_frozen_worker_takes_along_is_missed(mlq: MLQ, idle: Callable[[], Any], first: bool) -> None:
    """By the other one, long before its own sleep is over."""
    one, other = idle(), idle()
    (one if first else other).signal(signal.SIGSTOP)
    for number in range(3):  # of the workers that sleep, the one is woken that has slept longest
        assert mlq.submit(["echo", number]).result(60) == number
    assert one.sleeping() <= 1  # the frozen one was woken


def test_a_worker_of_which_the_server_forgot_everything_goes_on(
    mlq: MLQ, raw: Any, namespace: str, idle: Callable[[], Any]
) -> None:
    """It says again what it serves, long before its sleep is over."""
    idle()
    raw.delete(*raw.scan_iter(f"{{{namespace}}}:*".replace("-", "\\-"), count=1000))
    assert mlq.submit(["echo", 1]).result(60) == 1


def test_a_class_stays_known_while_slots_come_and_go(
    mlq: MLQ, raw: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change has the worker say at once what it is; the time until it registers again goes on."""
    monkeypatch.setattr(presence, "REGISTER_EVERY", 0.3)
    mlq.create_listener(lambda message: message)
    assert mlq.submit(1).result(60) == 1
    (index,) = raw.scan_iter(f"{{{namespace}}}:class:*:ready".replace("-", "\\-"), count=1000)

    def has_registered_again() -> bool:
        mlq._worker._renewer.hurry()
        return bool(raw.ttl(index) > 0)

    raw.persist(index)
    until(has_registered_again)


def test_queues_that_are_used_once_hold_nobody_up(mlq: MLQ, raw: Any, server_url: str) -> None:
    """A storm of names beside the jobs of one queue: some that this worker serves, and many that nobody does."""
    served = [f"served-{i}" for i in range(50)]
    over = threading.Event()

    def storm() -> None:
        with MLQ(mlq.namespace, url=server_url) as other:
            number = 0
            while not over.is_set():
                other.post(number, queue=f"once-{number}")
                number += 1
                other.post(number, queue=served[number % 50])

    def listener(message: int) -> int:
        return message

    for queue in served:
        mlq.listener(name=queue, queue=queue)(lambda message: message)
    mlq.create_listener(listener)
    thread = threading.Thread(target=storm)
    thread.start()
    try:
        for number in range(200):
            assert mlq.submit(number).result(60) == number
    finally:
        over.set()
        thread.join()
    until(lambda: not [lane for lane in mlq.counts().lanes if not lane.startswith("once-")])
    assert all(waiting == 1 for waiting in mlq.counts().lanes.values())
