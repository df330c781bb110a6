"""What listeners get, may do and may return."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mlq import MLQ, JobFailed, UnknownJob


class OurError(Exception):
    """An error of the application."""


def test_all_listeners_run_in_order_and_the_last_output_is_the_result(mlq: MLQ) -> None:
    """Unless the job names some of them."""
    calls: list[str] = []

    def first(message: Any) -> str:
        calls.append("first")
        return "from first"

    def second(message: Any) -> str:
        calls.append("second")
        return "from second"

    mlq.create_listener(first)
    mlq.create_listener(second)
    assert mlq.submit(1).result(5) == "from second"
    assert calls == ["first", "second"]
    assert mlq.submit(1, functions=["first"]).result(5) == "from first"
    assert mlq.submit(1, functions=["second", "first"]).result(5) == "from second"


def test_a_job_waits_for_a_worker_that_has_all_its_functions(mlq: MLQ, namespace: str, server_url: str) -> None:
    """A worker with one of two leaves it alone, and runs what it can."""

    def one(message: Any) -> str:
        return "one"

    def two(message: Any) -> str:
        return "two"

    mlq.create_listener(one)
    both = mlq.submit(1, functions=["one", "two"])
    assert mlq.submit(1, functions=["one"]).result(5) == "one"
    assert both.state() == "queued"
    assert both.progress() is None
    mlq.create_listener(two)
    assert both.result(5) == "two"
    assert mlq.remove_listener(two)
    again = mlq.submit(1, functions=["two"])
    assert mlq.submit(1).result(5) == "one"
    assert again.state() == "queued"


def test_a_worker_without_listeners_claims_nothing(mlq: MLQ) -> None:
    """Until it has one; and again after its last one was removed."""

    def echo(message: Any) -> Any:
        return message

    mlq.create_listener()
    job = mlq.submit(1)
    time.sleep(0.3)
    assert job.state() == "queued"
    mlq.create_listener(echo)
    assert job.result(5) == 1
    assert mlq.remove_listener(echo) is True
    assert mlq.remove_listener(echo) is False
    assert mlq.remove_listener("never there") is False
    job = mlq.submit(2)
    time.sleep(0.3)
    assert job.state() == "queued"


def test_a_job_posted_right_after_clear_is_claimed(mlq: MLQ) -> None:
    """The worker notices that the lanes which it knew are gone, though as many were made since."""

    def after_clear(message: Any) -> Any:
        return message

    mlq.create_listener(after_clear)
    assert mlq.submit(1).result(5) == 1
    mlq.clear()
    assert mlq.submit(2, functions=["after_clear"]).result(5) == 2


def test_any_number_of_lanes_can_be_kept(mlq: MLQ, raw: Any, namespace: str) -> None:
    """Jobs for ten thousand sets of functions that nobody has stop nobody."""
    raw.sadd(f"{{{namespace}}}:lanes", *(f"default:absent-{i}" for i in range(10_000)))
    mlq.create_listener(lambda message: message)
    assert mlq.submit(1).result(5) == 1


def test_the_context_is_a_mapping_with_attributes(mlq: MLQ) -> None:
    """Both give the same; `full_message` has the keys of `get_job`."""
    seen: list[Any] = []

    def look(message: Any, *args: Any) -> None:
        seen.append(args[0])
        assert args[0]["update_progress"] == args[0].update_progress
        args[0].update_progress(30)

    mlq.create_listener(look)
    job = mlq.submit({"a": 1}, functions=["look"])
    job.result(5)
    context = seen[0]
    assert set(context) == {
        "full_message", "update_progress", "store_data", "fetch_data", "post", "block_until_result",
    }  # fmt: skip
    full = context.full_message
    assert set(full) <= set(mlq.get_job(job.id))
    assert (full["id"], full["msg"], full["functions"], full["retries"]) == (job.id, {"a": 1}, ["look"], 0)
    with pytest.raises(AttributeError):
        context.no_such_helper  # noqa: B018


def test_store_fetch_and_post_from_a_listener(mlq: MLQ) -> None:
    """What was stored comes back, from a made-up key, one of our own, and after its time only None."""

    def keep(message: Any, context: Any) -> Any:
        if message == "posted":
            return "posted too"
        made_up = context.store_data({"x": [1, b"\xff"]})
        assert context.store_data(5, key="named") == "named"
        context.store_data(6, key="short", expiry=0.001)
        time.sleep(0.01)
        posted = context.post("posted", functions=["keep"])
        fetched = [context.fetch_data(key) for key in (made_up, "named", "short", "unknown")]
        return {"made_up": made_up, "fetched": fetched, "posted": posted}

    mlq.create_listener(keep)
    result = mlq.submit(1).result(5)
    assert result["fetched"] == [{"x": [1, b"\xff"]}, 5, None, None]
    assert mlq.fetch_data(result["made_up"]) == {"x": [1, b"\xff"]}
    assert mlq.wait(result["posted"], 5) == "posted too"


@pytest.mark.parametrize("value", [100, -1, 0, 37, "half way", 0.5, True, {"epoch": 3}], ids=repr)
def test_reported_progress_ends_nothing(mlq: MLQ, value: Any) -> None:
    """Whatever is reported, the job runs on; 100 and -1 are the last word only when it ended."""
    reported, go_on = threading.Event(), threading.Event()

    def report(message: Any, context: Any) -> str:
        context.update_progress(value)
        reported.set()
        go_on.wait(10)
        return "done"

    mlq.create_listener(report)
    job = mlq.submit(1)
    assert job.progress() in (None, 0)
    assert reported.wait(5)
    assert job.progress() == value
    assert mlq.get_job(job.id)["progress"] == value
    assert mlq.get_progress(job.id) == ("[started]" if value == 0 else str(value))
    assert not job.ready()
    go_on.set()
    assert job.result(5) == "done"
    assert (job.progress(), mlq.get_progress(job.id)) == (100, "[completed]")


def test_progress_may_be_none_or_an_array(mlq: MLQ) -> None:
    """Both have words."""
    turns = [threading.Event() for _ in range(4)]

    def report(message: Any, context: Any) -> None:
        for i, value in enumerate((None, np.array([1, 2]))):
            context.update_progress(value)
            turns[2 * i].set()
            turns[2 * i + 1].wait(5)

    mlq.create_listener(report)
    job = mlq.submit(1)
    assert turns[0].wait(5)
    assert job.progress() is None
    assert mlq.get_progress(job.id) == "None"
    turns[1].set()
    assert turns[2].wait(5)
    assert mlq.get_progress(job.id) == "[1 2]"
    turns[3].set()
    job.result(5)


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
    assert job.result(5) == result
    kept = mlq.get_job(job.id)
    assert kept["result"] == mlq.get_result(job.id) == result
    assert kept["short_result"] == short


def test_a_numpy_array_is_a_result_like_any_other(mlq: MLQ) -> None:
    """Nobody asks whether it is true."""
    mlq.create_listener(lambda shape: np.zeros(shape))  # noqa: PLW0108 - zeros would take the context for a dtype
    assert mlq.submit([2, 3]).result(5).shape == (2, 3)
    assert mlq.submit(0).result(5).shape == (0,)


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
        (lambda: None, "TypeError"),
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
        "no parameter",
    ],
)
def test_no_listener_takes_the_worker_down(
    mlq: MLQ, listener: Callable[..., Any], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it raises or returns: the job is a dead letter that says why, and the next one runs."""
    mlq.create_listener(listener)
    job = mlq.submit(1)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - the error's own kind, where it can be made
        job.result(10)
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
    assert mlq.submit(1, functions=["fine"]).result(5) == "fine"


def test_the_listeners_own_exception_is_raised_again(mlq: MLQ) -> None:
    """With its arguments and its remote traceback, where the class is known here."""
    errors: list[BaseException] = [KeyError("missing"), OurError("ours", 3), FileNotFoundError(2, "no file", "a.txt")]

    def fail_on_purpose(message: int) -> None:
        raise errors[message]

    mlq.create_listener(fail_on_purpose)
    for i, error in enumerate(errors):
        with pytest.raises(type(error)) as caught:
            mlq.submit(i).result(5)
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
        mlq.submit(1).result(5)
    assert caught.value.error_type == "nowhere.to_be_found.Unknown"
    assert "in fail" in caught.value.remote_traceback


def test_signatures(mlq: MLQ) -> None:
    """`f(msg)`, `f(msg, *args)`, `f(msg, context)`, `async def`, lambdas and objects that can be called."""

    def plain(msg: Any) -> list[Any]:
        return [msg]

    def starred(msg: Any, *args: Any) -> list[Any]:
        return [msg, len(args)]

    async def coroutine(msg: Any, context: Any) -> list[Any]:
        await asyncio.sleep(0)
        context.update_progress(1)
        return [msg, "async"]

    class Callee:
        def __call__(self, msg: Any) -> list[Any]:
            return [msg, "object"]

    for listener, result in ((plain, [7]), (starred, [7, 1]), (coroutine, [7, "async"]), (Callee(), [7, "object"])):
        mlq.create_listener(listener)
        assert mlq.submit(7, functions=[getattr(listener, "__name__", "Callee")]).result(5) == result


def test_one_job_at_a_time_unless_more_slots_are_asked_for(mlq: MLQ, namespace: str, server_url: str) -> None:
    """And never more than asked for."""
    running, most, lock = 0, 0, threading.Lock()

    def count(message: Any) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    def peak(slots: int) -> int:
        nonlocal most
        most = 0
        queue = MLQ(namespace, url=server_url)
        queue.create_listener(count, concurrency=slots)
        for job_id in queue.post_many(range(40)):
            queue.wait(job_id, 5)
        queue.shutdown()
        queue.close()
        return most

    assert peak(1) == 1
    assert peak(4) == 4


def test_a_deleted_job_is_unknown(mlq: MLQ) -> None:
    """To everybody who asks, by its id."""
    job = mlq.submit(1)
    mlq.delete(job.id)
    for call in (job.state, job.ready, job.progress, job.result, job.cancel):
        with pytest.raises(UnknownJob, match=rf"job {job.id}\b"):
            call()
