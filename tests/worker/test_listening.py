"""What listeners get and may do, and which of them run."""

import asyncio
import functools
import operator
import os
import threading
import time
from typing import Any

import numpy as np
import pytest

from mlq import MLQ, UnknownJob
from mlq.core.progress import progress_words


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
    assert mlq.submit(1).result(60) == "from second"
    assert calls == ["first", "second"]
    assert mlq.submit(1, functions=["first"]).result(60) == "from first"
    assert mlq.submit(1, functions=["second", "first"]).result(60) == "from second"


def test_a_job_waits_for_a_worker_that_has_all_its_functions(mlq: MLQ, namespace: str, server_url: str) -> None:
    """A worker with one of two leaves it alone, and runs what it can."""

    def one(message: Any) -> str:
        return "one"

    def two(message: Any) -> str:
        return "two"

    mlq.create_listener(one)
    both = mlq.submit(1, functions=["one", "two"])
    assert mlq.submit(1, functions=["one"]).result(60) == "one"
    assert both.state() == "queued"
    assert both.progress() is None
    mlq.create_listener(two)
    assert both.result(60) == "two"
    assert mlq.remove_listener(two)
    again = mlq.submit(1, functions=["two"])
    assert mlq.submit(1).result(60) == "one"
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
    assert job.result(60) == 1
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
    assert mlq.submit(1).result(60) == 1
    mlq.clear()
    assert mlq.submit(2, functions=["after_clear"]).result(60) == 2


def test_any_number_of_lanes_can_be_kept(mlq: MLQ, raw: Any, namespace: str) -> None:
    """Jobs for ten thousand sets of functions that nobody has stop nobody."""
    raw.sadd(f"{{{namespace}}}:lanes", *(f"default:absent-{i}" for i in range(10_000)))
    mlq.create_listener(lambda message: message)
    assert mlq.submit(1).result(60) == 1


def test_the_context_is_a_mapping_with_attributes(mlq: MLQ) -> None:
    """Both give the same; `full_message` has the keys of `get_job`."""
    seen: list[Any] = []

    def look(message: Any, *args: Any) -> None:
        seen.extend((args[0], set(args[0])))
        assert args[0]["update_progress"] == args[0].update_progress
        args[0].update_progress(30)

    mlq.create_listener(look)
    job = mlq.submit({"a": 1}, functions=["look"])
    job.result(60)
    context, names = seen
    assert names == {
        "full_message", "update_progress", "store_data", "fetch_data", "post", "block_until_result", "wait", "emit",
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
    result = mlq.submit(1).result(60)
    assert result["fetched"] == [{"x": [1, b"\xff"]}, 5, None, None]
    assert mlq.fetch_data(result["made_up"]) == {"x": [1, b"\xff"]}
    assert mlq.wait(result["posted"], 5) == "posted too"


def _until_progress_reads(mlq: MLQ, job_id: str, words: str) -> None:
    """Progress is recorded soon after it was reported, not before the listener goes on."""
    begun = time.monotonic()
    seen = (progress_words(news.state, news.progress) for news in mlq.follow(job_id))
    assert words in seen
    assert time.monotonic() - begun < 5  # who is not told asks after 10 s


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
    assert job.progress() in (None, 0, value)  # it may be that far already
    assert reported.wait(5)
    _until_progress_reads(mlq, job.id, "[started]" if value == 0 else str(value))
    assert job.progress() == value
    assert mlq.get_job(job.id)["progress"] == value
    assert mlq.get_progress(job.id) == ("[started]" if value == 0 else str(value))
    assert not job.ready()
    go_on.set()
    assert job.result(60) == "done"
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
    _until_progress_reads(mlq, job.id, "None")
    assert job.progress() is None
    assert mlq.get_progress(job.id) == "None"
    turns[1].set()
    assert turns[2].wait(5)
    _until_progress_reads(mlq, job.id, "[1 2]")
    assert mlq.get_progress(job.id) == "[1 2]"
    turns[3].set()
    job.result(60)


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
        assert mlq.submit(7, functions=[getattr(listener, "__name__", "Callee")]).result(60) == result


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


def test_jobs_begin_in_order_though_some_are_claimed_ahead_and_given_back(mlq: MLQ) -> None:
    """Jobs that become slower: what was claimed ahead goes back, and comes again before what was claimed later."""
    seen: list[int] = []

    def work(message: int) -> None:
        seen.append(message)
        time.sleep(0.002 if message % 600 > 300 else 0)

    ids = mlq.post_many(range(1800))
    mlq.create_listener(work)
    mlq.wait(ids[-1], 30)
    assert seen == list(range(1800))


def test_a_deleted_job_is_unknown(mlq: MLQ) -> None:
    """To everybody who asks, by its id."""
    job = mlq.submit(1)
    mlq.delete(job.id)
    for call in (job.state, job.ready, job.progress, job.result, job.cancel):
        with pytest.raises(UnknownJob, match=rf"job {job.id}\b"):
            call()


def test_a_listener_that_is_declared_while_the_worker_runs_is_served(mlq: MLQ) -> None:
    """And one that is removed or replaced meanwhile is not: the worker hears of each change, however it is made."""
    mlq.create_listener(print)
    assert mlq.submit(1, functions=["print"]).result(60) is None

    @mlq.listener
    def late(message: int) -> int:
        return message + 1

    @mlq.listener(queue="slow")
    def slow(message: int) -> int:
        return message + 2

    assert [late.submit(1).result(60), slow.submit(1).result(60)] == [2, 3]

    @mlq.listener(name="late")
    def instead(message: int) -> int:
        return message + 3

    assert late.submit(1).result(60) == 4
    assert mlq.remove_listener(instead)
    assert mlq.listeners.names() == ("print", "slow")
    job = late.submit(1)
    assert mlq.submit(1, functions=["print"]).result(60) is None
    assert job.state() == "queued"


def test_jobs_that_no_listener_is_there_for_are_not_said_to_be_served(mlq: MLQ) -> None:
    """A listener with a queue of its own runs no job of another queue that names none."""

    @mlq.listener(queue="slow")
    def slow(message: int) -> int:
        return message

    mlq.post(1)
    mlq.create_listener()
    while not mlq.workers():
        time.sleep(0.01)
    assert mlq.unserved() == {"default": 1}
    assert slow.submit(2).result(60) == 2
    mlq.create_listener(print)
    until_served(mlq)


def until_served(mlq: MLQ) -> None:
    """Wait until all that waits is served, or through."""
    give_up = time.monotonic() + 10
    while mlq.unserved() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert mlq.unserved() == {}


def test_two_workers_of_one_namespace_in_a_process(
    mlq: MLQ, namespace: str, server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each has the listeners of its own object; the second one says so."""
    mlq.create_listener(print)
    assert not [record for record in caplog.records if "another MLQ object" in record.message]
    with MLQ(namespace, url=server_url) as other:
        other.create_listener(abs)
        assert [record for record in caplog.records if "another MLQ object" in record.message]
        assert (mlq.listeners.names(), other.listeners.names()) == (("print",), ("abs",))
        other.shutdown(0)
        caplog.clear()
    mlq.shutdown(0)
    mlq.create_listener()
    assert not [record for record in caplog.records if "another MLQ object" in record.message]


def test_a_forked_child_may_declare_listeners(mlq: MLQ) -> None:
    """The worker is its parent's, and is not told of them."""
    mlq.create_listener(print)
    pid = os.fork()
    if pid == 0:
        mlq.listener(name="childs")(print)
        os._exit(len(mlq.listeners.names()))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    assert mlq.listeners.names() == ("print",)


class Slotted:
    """Can't carry attributes."""

    __slots__ = ()

    def __call__(self, message: Any) -> list[Any]:
        """What it was given."""
        return ["slotted", message]


class Client:
    """Has a `post` of its own, which must stay."""

    def post(self) -> str:
        """Its own."""
        return "mine"

    def run(self, message: Any) -> list[Any]:
        """What it was given."""
        return ["method", message]

    def __call__(self, message: Any) -> list[Any]:
        """What it was given."""
        return ["object", message]


@pytest.mark.parametrize(
    ("thing", "result"),
    [
        (Client().run, ["method", 7]),
        (Client(), ["object", 7]),
        (Slotted(), ["slotted", 7]),
        (abs, 7),
        (str, "7"),
        (functools.partial(max, 3), 7),
        (operator.methodcaller("bit_length"), 3),
        (staticmethod(lambda message: [message]), [7]),
    ],
)
def test_whatever_can_be_called_can_be_declared(mlq: MLQ, thing: Any, result: Any) -> None:
    """It has `post` and `submit`, and can still be called; what it was before is left as it was."""
    declared = mlq.listener(name="thing")(thing)
    mlq.create_listener()
    assert declared(7) == result
    assert declared.submit(7).result(60) == result
    assert mlq.wait(declared.post(7), 5) == result
    assert not isinstance(thing, Client) or thing.post() == "mine"
    assert mlq.remove_listener(declared)
    assert mlq.listeners.names() == ()
