"""What posters do, through `MLQ`, `AsyncMLQ` and handles."""

import asyncio
import datetime as dt
import decimal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlq import (
    MLQ,
    AsyncMLQ,
    JobCancelled,
    JobFailed,
    State,
    TooLarge,
    UnknownJob,
    Unserializable,
    WaitTimeout,
    WrongState,
)

OLD_KEYS = {
    "id", "timestamp", "worker", "processing_started", "processing_finished", "progress", "short_result", "result",
    "callback", "retries", "functions", "msg",
}  # fmt: skip


def test_ids_are_digits_that_rise_and_clear_keeps_counting(mlq: MLQ) -> None:
    """One, many at once, and after all was removed."""
    assert [mlq.post(0), *mlq.post_many(range(3)), mlq.post(4)] == ["1", "2", "3", "4", "5"]
    assert mlq.clear() > 0
    assert mlq.job_count() == 0
    assert mlq.post(1) == "6"


def test_post_many_keeps_the_order(mlq: MLQ) -> None:
    """Over more than one round trip, and the worker runs them so."""
    ids = mlq.post_many(range(1203))
    assert ids == [str(i) for i in range(1, 1204)]
    assert mlq.job_count() == 1203
    assert mlq.position(ids[1100]) == 1100
    seen: list[int] = []
    mlq.create_listener(seen.append)
    mlq.wait(ids[-1], 20)
    assert seen == list(range(1203))
    assert mlq.post_many([]) == []


def test_get_job_tells_a_jobs_life(mlq: MLQ) -> None:
    """The old keys, by state."""
    begun, go_on = threading.Event(), threading.Event()

    def work(message: Any) -> tuple[str, int]:
        begun.set()
        go_on.wait(10)
        return "short", 7

    before = time.time()
    job_id = mlq.post({"m": [1, None]}, functions=["work"])
    waiting = mlq.get_job(job_id)
    assert set(waiting) >= OLD_KEYS
    assert waiting["msg"] == {"m": [1, None]}
    assert waiting["functions"] == ["work"]
    assert before - 1 <= waiting["timestamp"] <= time.time() + 1
    unset = ("worker", "processing_started", "processing_finished", "progress", "short_result", "result", "callback")
    assert [waiting[key] for key in unset] == [None] * 7
    assert (mlq.get_progress(job_id), mlq.get_result(job_id)) == ("[queued; not started]", None)
    mlq.create_listener(work)
    assert begun.wait(5)
    running = mlq.get_job(job_id)
    assert (running["progress"], mlq.get_progress(job_id)) == (0, "[started]")
    assert running["worker"]
    assert running["processing_started"] >= running["timestamp"]
    assert mlq.job_count() == 1
    go_on.set()
    assert mlq.wait(job_id, 5) == 7
    ended = mlq.get_job(job_id)
    assert (ended["progress"], ended["short_result"], ended["result"], ended["retries"]) == (100, "short", 7, 0)
    assert ended["processing_finished"] >= ended["processing_started"]
    assert mlq.get_progress(job_id) == "[completed]"
    assert mlq.job_count() == 0


VALUES = [
    None, True, 0, -(2**63), 2**64 - 1, 0.5, "text \U0001f600", b"\x00\xff", [1, [2, {"a": None}]], {"k": {"n": []}},
    {1: 2},
    dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC), decimal.Decimal("1.10"), uuid.UUID(int=5),
]  # fmt: skip


def test_messages_arrive_as_they_were_posted(mlq: MLQ) -> None:
    """And come back as they were returned, byte by byte."""
    mlq.create_listener(lambda message: message)
    ids = mlq.post_many(VALUES)
    assert [mlq.wait(i, 5) for i in ids] == VALUES
    assert [mlq.get_job(i)["msg"] for i in ids] == VALUES
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    back = mlq.submit(array).result(60)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()
    blob = bytes(range(256)) * 20_000
    assert mlq.submit(blob).result(60) == blob


def test_large_messages_and_results_take_another_way(mlq: MLQ, server_url: str, raw: Any, namespace: str) -> None:
    """From each client and from a listener, alone and among small ones; nothing of it is left behind."""
    large, threshold = bytes(range(256)) * 1000, 64 * 1024

    def work(message: Any, context: Any) -> Any:
        if message == "nested":
            return context.block_until_result(context.post(large), timeout=20)
        return message

    mlq.create_listener(work, concurrency=3)
    around = [b"x" * (threshold + extra) for extra in range(-16, 17)]  # with its head, one of these is on the edge
    ids = mlq.post_many([1, large, *around, 2])
    assert [mlq.wait(job_id, 20) for job_id in ids] == [1, large, *around, 2]
    assert mlq.submit("nested").result(60) == large
    assert mlq.get_result(ids[1]) == large

    async def as_well() -> None:
        async with AsyncMLQ(namespace, url=server_url) as client:
            job = await client.submit(large)
            assert await job.result(60) == large
            assert await client.get_result(job.id) == large

    asyncio.run(as_well())
    first = mlq.post(large, idempotency_key="one")
    staged = f"{{{namespace}}}:staged:*".replace("-", "\\-")
    assert list(raw.scan_iter(staged)) == []
    assert mlq.post(large, idempotency_key="one") == first
    assert list(raw.scan_iter(staged)) == []


def test_a_large_message_that_is_lost_fails_its_job(mlq: MLQ, raw: Any, namespace: str) -> None:
    """Between the claim and the moment when the worker reads it."""
    job = mlq.submit(bytes(70_000))
    raw.set(
        f"{{{namespace}}}:post:{job.id}", b"default\n%b\n" % job.reference.partition("@")[2].encode() + bytes(70_000)
    )
    mlq.create_listener(lambda message: message)
    with pytest.raises(JobFailed, match="not a job's record"):
        job.result(60)


@pytest.mark.parametrize("message", [object(), {1, 2}, 2**64, {"a": [print]}, "\ud800"], ids=range(5))
def test_what_can_not_be_serialised_is_refused(mlq: MLQ, raw: Any, namespace: str, message: Any) -> None:
    """Before anything is written, alone and among others."""
    with pytest.raises(Unserializable):
        mlq.post(message)
    with pytest.raises(Unserializable):
        mlq.post_many([1, 2, message])
    with pytest.raises(Unserializable):
        mlq.store_data(message)
    assert list(raw.scan_iter(f"{{{namespace}}}*")) == []


def test_what_is_too_large_is_refused(mlq: MLQ, raw: Any, namespace: str) -> None:
    """Above 64 MiB."""
    with pytest.raises(TooLarge, match="67,108,864"):
        mlq.post(b"x" * (64 * 1024 * 1024))
    assert list(raw.scan_iter(f"{{{namespace}}}*")) == []


@pytest.mark.parametrize("functions", ["text", [], [1], ["a,b"], [""], 5, ["a\n"], ["x" * 2000]], ids=range(8))
def test_functions_that_make_no_sense_are_refused(mlq: MLQ, functions: Any) -> None:
    """Before anything is written."""
    with pytest.raises(ValueError, match="functions"):
        mlq.post(1, functions=functions)
    assert mlq.job_count() == 0


def test_an_unknown_id_is_named(mlq: MLQ) -> None:
    """By every operation on one job; what is no id is refused."""
    for call in (
        mlq.get_job, mlq.get_progress, mlq.get_result, mlq.get_state, mlq.wait, mlq.cancel, mlq.delete, mlq.requeue,
        mlq.discard, mlq.position,
    ):  # fmt: skip
        with pytest.raises(UnknownJob, match="job 424242 ") as caught:
            call("424242")
        assert isinstance(caught.value, KeyError)
        for bad in ("x", "", "1 2", "-1", None, 1.5, True):
            with pytest.raises(ValueError, match="id"):
                call(bad)
    mlq.post(1)
    assert mlq.get_job(1)["id"] == "1"  # type: ignore[arg-type]


def test_a_handle_works_from_another_process(mlq: MLQ, namespace: str, server_url: str) -> None:
    """By the id alone; an exception comes back there too."""

    def work(message: Any) -> Any:
        return 10 / message

    mlq.create_listener(work)
    ids = mlq.post_many([4, 0])
    script = """if True:
        import sys
        from mlq import MLQ
        mlq = MLQ(sys.argv[1], url=sys.argv[2])
        good, bad = (mlq.job(i) for i in sys.argv[3:])
        assert good.result(60) == 2.5 and good.ready() and good.progress() == 100
        try:
            bad.result(60)
        except ZeroDivisionError as error:
            assert "in work" in str(error.__cause__)
        else:
            raise SystemExit("nothing was raised")
        assert bad.ready() and bad.progress() == -1
    """
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", script, namespace, server_url, *ids]
    subprocess.run(command, check=True, cwd=root)


def test_dead_letters_are_listed_requeued_and_discarded(mlq: MLQ) -> None:
    """One or all."""
    failing = True

    def sometimes(message: Any) -> Any:
        if failing:
            raise ValueError(f"not {message}")
        return message

    mlq.create_listener(sometimes)
    ids = mlq.post_many(range(150))
    for job_id in ids:
        with pytest.raises(ValueError, match=r"^not \d+$"):
            mlq.wait(job_id, 5)
    letters = mlq.dead_letters()
    assert [letter.id for letter in letters] == ids
    assert (letters[3].error, letters[3].error_type, letters[3].attempts) == ("not 3", "builtins.ValueError", 1)
    assert letters[3].reason == "error"
    failing = False
    mlq.requeue(ids[0])
    assert mlq.wait(ids[0], 5) == 0
    assert mlq.get_job(ids[0])["retries"] == 1
    assert mlq.get_job(ids[0])["error"] is None
    mlq.discard(ids[1])
    with pytest.raises(UnknownJob):
        mlq.get_job(ids[1])
    with pytest.raises(WrongState, match="succeeded"):
        mlq.requeue(ids[0])
    assert mlq.requeue_all() == 148
    assert [mlq.wait(job_id, 5) for job_id in ids[2:]] == list(range(2, 150))
    assert (mlq.requeue_all(), mlq.discard_all(), mlq.dead_letters()) == (0, 0, [])


def test_a_handle_requeues_and_deletes_its_job(mlq: MLQ) -> None:
    """As the client does, and refuses the same."""
    job = mlq.submit(1)
    with pytest.raises(WrongState):
        job.requeue()
    job.cancel()
    job.requeue()
    assert (job.state(), mlq.position(job.id)) == (State.QUEUED, 0)
    job.delete()
    with pytest.raises(UnknownJob):
        job.state()


def test_cancel_takes_a_waiting_job_out(mlq: MLQ) -> None:
    """It does not run; one that ended can't be cancelled; a cancelled one may be requeued."""
    seen: list[Any] = []
    handles = [mlq.submit(i) for i in range(3)]
    assert [mlq.position(handle.id) for handle in handles] == [0, 1, 2]
    handles[1].cancel()
    assert mlq.position(handles[2].id) == 1
    assert mlq.position(handles[1].id) is None
    assert mlq.get_progress(handles[1].id) == "[cancelled]"
    with pytest.raises(JobCancelled):
        handles[1].result(60)
    mlq.create_listener(seen.append)
    handles[2].result(60)
    assert seen == [0, 2]
    with pytest.raises(WrongState):
        handles[0].cancel()
    mlq.requeue(handles[1].id)
    handles[1].result(60)
    assert seen == [0, 2, 1]


@pytest.mark.parametrize("ttl", [0.3, 0.1234567, 1.1, 1.0019])
def test_a_result_lapses_after_its_time_to_live(mlq: MLQ, raw: Any, ttl: float, namespace: str) -> None:
    """Counted from its success; without one it stays."""
    mlq.create_listener(lambda message: message)
    kept, lapsing = mlq.submit(1), mlq.submit(2, ttl=ttl)
    assert lapsing.result(60) == 2
    assert 0 < raw.pttl(f"{{{namespace}}}:job:{lapsing.id}") <= ttl * 1000 + 1
    give_up = time.monotonic() + ttl + 2
    while raw.exists(f"{{{namespace}}}:job:{lapsing.id}") and time.monotonic() < give_up:
        time.sleep(0.02)
    with pytest.raises(UnknownJob):
        lapsing.state()
    assert kept.result(60) == 1
    assert raw.pttl(f"{{{namespace}}}:job:{kept.id}") == -1


def test_namespaces_never_see_each_other(server_url: str, raw: Any, namespace: str) -> None:
    """Also when one's name is the beginning of the other's, or looks like a pattern."""
    names = [namespace, f"{namespace}_b", f"{namespace}*", f"{namespace[:-1]}?"]
    queues = [MLQ(name, url=server_url) for name in names]
    for number, queue in enumerate(queues):
        assert queue.post(number) == "1"
        queue.store_data(number, key="same")
    queues[0].create_listener(lambda message: f"{message} by the first")
    assert queues[0].wait("1", 5) == "0 by the first"
    assert [queue.get_state("1") for queue in queues[1:]] == ["queued"] * 3
    for number in (2, 3, 0):
        queues[number].clear()
    assert queues[1].get_job("1")["msg"] == 1
    assert queues[1].fetch_data("same") == 1
    assert queues[0].fetch_data("same") is None
    queues[0].shutdown()
    for queue, name in zip(queues, names, strict=True):
        queue.clear()
        raw.delete(f"{{{name}}}:counter")
        queue.close()


def test_waiting_for_the_end_alone(mlq: MLQ, server_url: str) -> None:
    """It tells the state, and raises nothing that a listener raised."""
    good, bad, waiting = mlq.post(1), mlq.post(0), mlq.post(1, queue="nobody")

    async def ask() -> list[State]:
        async with AsyncMLQ(mlq.namespace, url=server_url) as other:
            return [await other.wait_end(job_id, 5) for job_id in (good, bad)]

    mlq.create_listener(lambda number: 1 / number)
    assert [mlq.wait_end(job_id, 5) for job_id in (good, bad)] == [State.SUCCEEDED, State.FAILED]
    assert asyncio.run(ask()) == [State.SUCCEEDED, State.FAILED]
    with pytest.raises(WaitTimeout):
        mlq.wait_end(waiting, 0)


def test_waiting_takes_a_timeout(mlq: MLQ) -> None:
    """And many threads may wait with one client."""
    job = mlq.submit(1)
    with pytest.raises(WaitTimeout, match=f"job {job.id}"):
        job.result(timeout=0.05)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(job.result(60))) for _ in range(20)]
    for thread in threads:
        thread.start()
    mlq.create_listener(lambda message: "told")
    for thread in threads:
        thread.join(10)
    assert results == ["told"] * 20


def test_a_wait_that_was_given_up_answers_no_later_one(mlq: MLQ) -> None:
    """What is said of its job then is not taken for the other job's result."""
    first, second = mlq.submit("first"), mlq.submit("second")
    with pytest.raises(WaitTimeout):
        first.result(0.05)
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(second.result(60)))
    waiting.start()
    time.sleep(0.2)
    mlq.create_listener(lambda message: message)
    waiting.join(10)
    assert got == ["second"]


def test_a_job_that_is_deleted_while_somebody_waits(mlq: MLQ, namespace: str, server_url: str) -> None:
    """Is unknown to them."""
    raised: list[type] = []

    def wait(ask: Any) -> None:
        try:
            ask()
        except UnknownJob:
            raised.append(UnknownJob)

    async def from_asyncio() -> None:
        async with AsyncMLQ(namespace, url=server_url) as client:
            await client.wait("1", 10)

    mlq.post(1)
    asks = (lambda: mlq.wait("1", 10), lambda: asyncio.run(from_asyncio()))
    threads = [threading.Thread(target=wait, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    mlq.delete("1")
    for thread in threads:
        thread.join(5)
    assert raised == [UnknownJob, UnknownJob]


def test_an_asyncio_inbox_whose_reader_stopped(namespace: str, server_url: str, mlq: MLQ) -> None:
    """It reads only while somebody waits, and in the event loop that runs."""

    async def wait(client: AsyncMLQ) -> Any:
        job = await client.submit("again")
        return await job.result(60)

    async def main() -> None:
        async with AsyncMLQ(namespace, url=server_url) as client:
            client._inbox.LISTEN = 0.05  # type: ignore[misc]
            names = set()
            for _ in range(3):
                assert await wait(client) == "again"
                names.add(client._inbox.name)
                await asyncio.sleep(0.2)
                assert client._inbox._reader is not None
                assert client._inbox._reader.done()
            assert len(names) == 3

    client = AsyncMLQ(namespace, url=server_url)

    async def in_a_loop_of_its_own() -> Any:
        try:
            return await wait(client)
        finally:
            await client.close()

    mlq.create_listener(lambda message: message)
    asyncio.run(main())
    assert [asyncio.run(in_a_loop_of_its_own()) for _ in range(2)] == ["again", "again"]


def test_an_asyncio_wait_goes_on_when_its_reader_broke(namespace: str, server_url: str, mlq: MLQ, raw: Any) -> None:
    """What is no announcement in the inbox does not stop it."""

    async def main() -> Any:
        async with AsyncMLQ(namespace, url=server_url) as client:
            job = await client.submit("told")
            waiting = asyncio.create_task(job.result(60))
            await asyncio.sleep(0.2)
            raw.rpush(f"{{{namespace}}}:inbox:{client._inbox.name}", b"1 \xc1", b"\xff", b"lost 1:w.1", b"")
            await asyncio.sleep(0.2)
            mlq.create_listener(lambda message: message)
            return await waiting

    assert asyncio.run(main()) == "told"


# --- named queues and options


def test_a_job_of_a_named_queue_waits_for_its_own_listener(mlq: MLQ) -> None:
    """And no other takes it; those of the default one are not held up."""
    ids = [mlq.post(1, queue="slow"), mlq.post(2)]
    assert mlq.get_job(ids[0])["queue"] == "slow"
    assert mlq.counts().lanes == {"slow": 1, "default": 1}
    mlq.create_listener(lambda message: "default")
    assert mlq.wait(ids[1], 5) == "default"
    assert mlq.get_state(ids[0]) == "queued"
    assert mlq.position(ids[0]) == 0

    def slow(message: Any) -> str:
        return "slow"

    mlq.listener(queue="slow")(slow)
    mlq.create_listener()
    assert mlq.wait(ids[0], 5) == "slow"


def test_options_are_kept_with_the_job(mlq: MLQ) -> None:
    """Where they can be seen; each post has its own."""
    job_id = mlq.post(1, queue="q", timeout=5, retries=3, backoff=0.5)
    assert (mlq.get_job(job_id)["timeout"], mlq.get_job(job_id)["queue"]) == (5.0, "q")
    assert mlq.get_job(mlq.post(1))["timeout"] is None
    assert [mlq.get_job(i)["queue"] for i in mlq.post_many([1, 2], queue="r")] == ["r", "r"]


@pytest.mark.parametrize(
    "option",
    [{"queue": "a:b"}, {"queue": ""}, {"timeout": 0}, {"timeout": "5"}, {"retries": -1}, {"retries": 1.5},
     {"backoff": -1}],
    ids=str,
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(mlq: MLQ, option: dict[str, Any]) -> None:
    """By name, before anything is written, of every way to post."""
    (name,) = option
    for call in (mlq.post, mlq.submit, lambda message, **options: mlq.post_many([message], **options)):
        with pytest.raises(ValueError, match=name):
            call(1, **option)  # type: ignore[operator]
    assert mlq.job_count() == 0


def test_a_retry_is_told(mlq: MLQ) -> None:
    """With every attempt's error, and by the job's own options."""
    tried: list[Any] = []

    def flaky(message: Any) -> str:
        tried.append(message)
        if len(tried) < 3:
            raise ValueError(f"not yet {len(tried)}")
        return "at last"

    mlq.create_listener(flaky)
    job = mlq.submit(1, retries=2, backoff=0.01)
    assert job.result(60) == "at last"
    runs = mlq.get_job(job.id)["attempts"]
    assert [(run["attempt"], run["error"]) for run in runs] == [(1, "not yet 1"), (2, "not yet 2"), (3, None)]
    assert mlq.get_job(job.id)["retries"] == 2


# --- the decorator


def test_a_declared_function_stays_one(mlq: MLQ) -> None:
    """It can be called, and it can be posted to, by name."""

    @mlq.listener
    def double(message: int) -> int:
        """Twice as much."""
        return 2 * message

    @mlq.listener(name="treble", queue="slow", retries=1, timeout=5, backoff=0, retry_on=ValueError)
    def three_times(message: int) -> int:
        return 3 * message

    assert (double(4), three_times(4)) == (8, 12)
    assert (double.__name__, double.__doc__) == ("double", "Twice as much.")
    ids = [double.post(5), three_times.post(5)]
    told = [mlq.get_job(i) for i in ids]
    assert [(job["functions"], job["queue"]) for job in told] == [(["double"], "default"), (["treble"], "slow")]
    assert mlq.counts().lanes == {"default:double": 1, "slow:treble": 1}
    mlq.create_listener()
    assert [mlq.wait(i, 5) for i in ids] == [10, 15]
    assert double.submit(6).result(60) == 12
    assert three_times.submit(6, ttl=60).result(60) == 18


def test_what_is_declared_wrong_is_refused_at_once(mlq: MLQ) -> None:
    """Where the function stands."""
    for wrong in ({"queue": "a,b"}, {"timeout": 0}, {"retries": -1}, {"backoff": "1"}, {"retry_on": 5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            mlq.listener(**wrong)(len)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        mlq.listener(nothing=1)(len)  # type: ignore[call-overload]
    assert mlq.listeners.names() == ()


def test_the_same_from_asyncio(mlq: MLQ, namespace: str, server_url: str) -> None:
    """Posts, waits, errors, handles, cancellation: as with the sync client, and many at a time."""

    def work(message: Any) -> Any:
        if message == "bad":
            raise LookupError("bad message")
        return message

    async def main() -> None:
        async with AsyncMLQ(namespace, url=server_url) as client:
            assert await client.post(0) == "1"
            assert await client.post_many([1, 2]) == ["2", "3"]
            deleted = await client.submit("y")
            await deleted.cancel()
            await deleted.requeue()
            await deleted.delete()
            with pytest.raises(UnknownJob):
                await deleted.state()
            cancelled = await client.submit("x")
            await cancelled.cancel()
            with pytest.raises(JobCancelled):
                await cancelled.result(60)
            with pytest.raises(WaitTimeout):
                await client.wait("1", 0.05)
            waiting = asyncio.create_task(client.wait("1", 10))
            await asyncio.sleep(0.05)
            mlq.create_listener(work, concurrency=4)
            assert await waiting == 0
            handles = await asyncio.gather(*(client.submit(i) for i in range(100)))
            assert await asyncio.gather(*(handle.result(60) for handle in handles)) == list(range(100))
            bad = await client.submit("bad")
            with pytest.raises(LookupError, match="bad message") as caught:
                await bad.result(60)
            assert "in work" in str(caught.value.__cause__)
            with pytest.raises(JobFailed):
                await client.get_result(bad.id)
            assert (await bad.ready(), await bad.progress(), await bad.state()) == (True, -1, "failed")
            assert [letter.id for letter in await client.dead_letters()] == [bad.id]
            assert await client.discard_all() == 1
            with pytest.raises(UnknownJob, match=bad.id):
                await client.get_job(bad.id)
            assert await client.job("1").result() == 0
            assert await client.job_count() == 0
            assert len([listed async for listed in client.jobs()]) == 104

    asyncio.run(main())


def test_an_asyncio_call_that_is_cancelled_leaves_no_reply_behind(namespace: str, server_url: str) -> None:
    """The next call on the same client gets its own answer."""

    async def main() -> None:
        async with AsyncMLQ(namespace, url=server_url) as client:
            for number in range(50):
                post = asyncio.create_task(client.post("x"))
                await asyncio.sleep(number / 20_000)
                post.cancel()
                key = await client.store_data(number)
                assert await client.fetch_data(key) == number

    asyncio.run(main())
