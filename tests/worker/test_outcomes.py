"""What a listener may return or raise, and what becomes of it."""

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlq import MLQ, JobFailed, server


class OurError(Exception):
    """An error of the application."""


@pytest.mark.parametrize(
    ("returned", "short", "result"),
    [
        (("short", "long"), "short", "long"),
        (["a", "b"], ["a", "b"], ["a", "b"]),
        ((1, 2, 3), [1, 2, 3], [1, 2, 3]),
        ((1,), [1], [1]),
        (None, None, None),
        (0, 0, 0),
        ("", "", ""),
        ({}, {}, {}),
        ((None, b"\x00\xff\xfe" * 1000), None, b"\x00\xff\xfe" * 1000),
        (bytes(range(256)), bytes(range(256)), bytes(range(256))),
    ],
    ids=["pair", "list", "triple", "single", "None", "zero", "empty", "mapping", "bytes in a pair", "bytes"],
)
def test_what_a_listener_may_return(mlq: MLQ, returned: Any, short: Any, result: Any) -> None:
    """A pair is a short result and a result; a list stays one; bytes stay the same."""
    mlq.create_listener(lambda message: returned)
    job = mlq.submit(1)
    assert job.result(60) == result
    kept = mlq.get_job(job.id)
    assert kept["result"] == mlq.get_result(job.id) == result
    assert kept["short_result"] == short


def test_a_numpy_array_is_a_result_like_any_other(mlq: MLQ) -> None:
    """Nobody asks whether it is true."""
    mlq.create_listener(lambda shape: np.zeros(shape))  # noqa: PLW0108 - zeros would take the context for a dtype
    assert mlq.submit([2, 3]).result(60).shape == (2, 3)
    assert mlq.submit(0).result(60).shape == (0,)


class Unreadable:
    """Raises whatever it is asked, like a proxy outside of its context."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("outside of its context")

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class NoText(Exception):
    """An exception that can't be shown."""

    def __str__(self) -> str:
        raise ValueError("no text either")


class NoArguments(Exception):
    """An exception whose arguments can't be read."""

    @property
    def args(self) -> Any:  # type: ignore[override]
        raise ZeroDivisionError


def _print_much(message: Any) -> None:
    print("x" * 1_000_000)
    raise OurError("after much text", 7)


def _raise(error: Callable[[], BaseException]) -> Callable[[Any], None]:
    def listener(message: Any) -> None:
        raise error()

    return listener


async def _async_exit(message: Any) -> None:
    raise SystemExit(2)


async def _async_cancelled(message: Any) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("listener", "kind"),
    [
        (_raise(lambda: SystemExit(3)), "SystemExit"),
        (_raise(KeyboardInterrupt), "KeyboardInterrupt"),
        (_raise(GeneratorExit), "GeneratorExit"),
        (_raise(lambda: NoText("x")), "NoText"),
        (_raise(lambda: NoArguments("x")), "NoArguments"),
        (_raise(lambda: OurError(Unreadable())), "OurError"),
        (_raise(lambda: OurError("x" * 10_000_000)), "OurError"),
        (_raise(lambda: OurError("\ud800")), "OurError"),
        (_print_much, "OurError"),
        (_async_exit, "SystemExit"),
        (_async_cancelled, "CancelledError"),
        (lambda message: object(), "Unserializable"),
        (lambda message: Unreadable(), "RuntimeError"),
        (lambda message: {1, 2}, "Unserializable"),
        (lambda message: b"x" * (65 * 1024 * 1024), "TooLarge"),
    ],
    ids=[
        "exit",
        "interrupt",
        "generator exit",
        "no text",
        "no arguments",
        "odd argument",
        "huge text",
        "surrogate",
        "prints much",
        "async exit",
        "async cancelled",
        "object",
        "proxy",
        "set",
        "too large",
    ],
)
def test_no_listener_takes_the_worker_down(
    mlq: MLQ, listener: Callable[..., Any], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it raises or returns: the job is a dead letter that says why, and the next one runs."""
    mlq.create_listener(listener)
    job = mlq.submit(1)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - the error's own kind, where it can be made
        job.result(60)
    kept = mlq.get_job(job.id)
    assert kept["state"] == "failed"
    assert kept["error_type"].endswith(kind)
    assert kept["progress"] == -1
    assert kept["result"] == kept["error"]
    assert kept["traceback"]
    assert mlq.get_progress(job.id) == "[failed]"
    with pytest.raises(JobFailed) as caught:
        mlq.get_result(job.id)
    assert caught.value.reason == "error"
    assert [letter.id for letter in mlq.dead_letters()] == [job.id]

    def fine(message: Any) -> str:
        return "fine"

    mlq.create_listener(fine)
    assert mlq.submit(1, functions=["fine"]).result(60) == "fine"


def test_the_listeners_own_exception_is_raised_again(mlq: MLQ) -> None:
    """With its arguments and its remote traceback, where the class is known here."""
    errors: list[BaseException] = [KeyError("missing"), OurError("ours", 3), FileNotFoundError(2, "no file", "a.txt")]

    def fail_on_purpose(message: int) -> None:
        raise errors[message]

    mlq.create_listener(fail_on_purpose)
    for i, error in enumerate(errors):
        with pytest.raises(type(error)) as caught:
            mlq.submit(i).result(60)
        assert type(caught.value) is type(error)
        assert caught.value.args == error.args
        assert "in fail_on_purpose" in str(caught.value.__cause__)


def test_a_class_that_is_not_imported_here_becomes_job_failed(mlq: MLQ) -> None:
    """Nothing is imported on a worker's word."""
    unknown = type("Unknown", (Exception,), {"__module__": "nowhere.to_be_found"})

    def fail(message: Any) -> None:
        raise unknown("why")

    mlq.create_listener(fail)
    with pytest.raises(JobFailed, match="why") as caught:
        mlq.submit(1).result(60)
    assert caught.value.error_type == "nowhere.to_be_found.Unknown"
    assert "in fail" in caught.value.remote_traceback


def make(size: int) -> bytes:
    """A result of that size."""
    return bytes(size)


def test_a_result_that_the_server_refuses_fails_its_job_alone() -> None:
    """What is above a limit of its own; it says so and cuts the connection. Other jobs go on."""
    limits = ["--proto-max-bulk-len", "1mb"]
    with server.scratch(appendfsync=None, port=0, extra=limits) as limited, MLQ("limited", url=limited.url) as mlq:
        mlq.create_listener(make)
        try:
            large, small = mlq.submit(2_000_000), mlq.submit(10)
            assert small.result(60) == bytes(10)
            with pytest.raises(JobFailed, match="invalid bulk length"):
                large.result(60)
            assert mlq.get_job(large.id)["error_type"] == "mlq.errors.ValueRefused"
        finally:
            mlq.shutdown(0)


def test_failures_are_logged(mlq: MLQ, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody may be waiting for the job."""

    def fails(message: Any) -> None:
        raise ValueError(f"about {message}")

    mlq.create_listener(fails)
    job = mlq.submit("this", retries=1, backoff=0.01)
    with pytest.raises(ValueError, match="about this"):
        job.result(60)
    mlq.shutdown()
    told = [record.message for record in caplog.records if (record.name, record.levelname) == ("mlq.worker", "WARNING")]
    first = f"job {job.id} (fails): attempt 1 failed: ValueError: about this; it runs again in 0.0 s"
    assert told == [first, f"job {job.id} (fails): attempt 2 failed: ValueError: about this; it is a dead letter"]
