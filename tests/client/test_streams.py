"""Partial results, logs and progress of a job, as a client follows them."""

import asyncio
import threading
import time
from typing import Any

import pytest

from mlq import MLQ, AsyncMLQ, JobCancelled, UnknownJob
from mlq.core import codec
from mlq.core.job_options import PLAIN
from mlq.core.keys import Keys
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass
from mlq.running.outcomes import failure, success
from mlq.shell.sync import Shell


class Hand:
    """Does by hand what a worker does, step by step."""

    def __init__(self, shell: Shell, keys: Keys) -> None:
        self.shell = shell
        self.keys = keys
        self.calls = 0

    def claim(self) -> Any:
        """The next job of the default lane."""
        served = WorkerClass.of(["default"], [], [])
        while not self.shell.run(work_ops.register(self.keys, served, 60)):
            pass
        self.calls += 1
        claimed = self.shell.run(work_ops.claim(self.keys, "hand", self.calls, served.name, 60, 1))
        assert claimed
        return claimed[0]

    def say(self, one: Any, number: int, chunk: Any, kind: str = "chunk") -> None:
        """One partial result, or a line of the log."""
        data = chunk.encode() if kind == "log" else codec.pack(chunk)
        assert self.shell.run(work_ops.report(self.keys, one, b"", [(number, kind, data)]))

    def end(self, one: Any, outcome: Any, **verdict: Any) -> None:
        """The outcome."""
        assert self.shell.run(settle_ops.settle(self.keys, [Ending(one, outcome, PLAIN, **verdict)], 2)) == [True]

    def retry(self, one: Any) -> Any:
        """It fails, and is tried again at once; the next attempt."""
        self.end(one, failure(ValueError("not yet"), again=True), retry_in=0.0)
        while not self.shell.run(job_ops.counts(self.keys)).waiting:
            self.shell.run(work_ops.reap(self.keys, 3, 2, 2))
        return self.claim()


@pytest.fixture
def hand(shell: Shell, keys: Keys) -> Hand:
    """A worker's."""
    return Hand(shell, keys)


class Reader:
    """Reads a stream on a thread."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.got: list[tuple[int, Any]] = []
        self.error: BaseException | None = None
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for chunk in self.stream:
                with self._more:
                    self.got.append((self.stream.attempt, chunk))
                    self._more.notify_all()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            self.error = error

    def until(self, count: int) -> list[tuple[int, Any]]:
        """Wait for so many chunks: (attempt, chunk)."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.got) >= count, 5), self.got
            return list(self.got)

    def ended(self) -> BaseException | None:
        """Wait for the end: the error, if it was one."""
        self._thread.join(5)
        assert not self._thread.is_alive()
        return self.error


def _from_asyncio(url: str, namespace: str, job_id: str) -> Any:
    """An AsyncStream, read as if it were a Stream."""

    class Twin:
        attempt = 0

        def __iter__(self) -> Any:
            with asyncio.Runner() as loop:

                async def make() -> Any:
                    return AsyncMLQ(namespace, url=url)

                client = loop.run(make())
                stream = client.job(job_id).stream()
                chunks = aiter(stream)
                try:
                    while True:
                        try:
                            chunk = loop.run(anext(chunks))
                        except StopAsyncIteration:
                            return
                        self.attempt = stream.attempt
                        yield chunk
                finally:
                    loop.run(client.close())

    return Twin()


@pytest.fixture(params=["sync", "asyncio"])
def read(request: pytest.FixtureRequest, mlq: MLQ, server_url: str, namespace: str) -> Any:
    """Makes a reader of a job's stream, by either client."""
    if request.param == "sync":
        return lambda job_id: Reader(mlq.job(job_id).stream())
    return lambda job_id: Reader(_from_asyncio(server_url, namespace, job_id))


def test_chunks_come_as_they_are_said(mlq: MLQ, hand: Hand, read: Any) -> None:
    """One by one, while the job runs; logs are not among them."""
    reader = read(mlq.post(1))
    one = hand.claim()
    for number, chunk in enumerate([{"a": 1}, b"bytes", None], 1):
        hand.say(one, 2 * number, chunk)
        hand.say(one, 2 * number + 1, "words", kind="log")
        assert reader.until(number)[-1] == (1, chunk)
    hand.end(one, success("whole"))
    assert reader.ended() is None
    assert mlq.wait("1", 1) == "whole"


def test_reader_that_comes_late_gets_all(mlq: MLQ, hand: Hand, read: Any) -> None:
    """After the end as well, and more than one page of it."""
    mlq.post(1)
    one = hand.claim()
    for number in range(1, 1201):
        hand.say(one, number, number)
    in_time = read("1")
    in_time.until(1200)
    hand.end(one, success(None))
    for reader in (in_time, read("1")):
        assert reader.ended() is None
        assert [chunk for _, chunk in reader.got] == list(range(1, 1201))


def test_stream_of_a_job_that_says_nothing(mlq: MLQ, hand: Hand, read: Any) -> None:
    """Ends with it."""
    reader = read(mlq.post(1))
    hand.end(hand.claim(), success(5))
    assert reader.ended() is None
    assert reader.got == []


def test_stream_of_a_job_that_fails(mlq: MLQ, hand: Hand, read: Any) -> None:
    """Gives what came before, and raises as `result` does."""
    reader = read(mlq.post(1))
    one = hand.claim()
    hand.say(one, 1, "half")
    hand.end(one, failure(LookupError("no more")))
    error = reader.ended()
    assert isinstance(error, LookupError)
    assert error.args == ("no more",)
    assert reader.got == [(1, "half")]


@pytest.mark.parametrize("state", ["queued", "running", "scheduled"])
def test_stream_of_a_job_that_is_cancelled(mlq: MLQ, hand: Hand, read: Any, state: str) -> None:
    """Wherever it was."""
    reader = read(mlq.post(1))
    chunks = 0
    if state != "queued":
        one = hand.claim()
        hand.say(one, 1, "half")
        reader.until(chunks := 1)
        if state == "scheduled":
            hand.end(one, failure(ValueError()), retry_in=60.0)
    mlq.cancel("1")
    assert isinstance(reader.ended(), JobCancelled)
    assert len(reader.got) == chunks


def test_stream_of_a_job_that_is_deleted(mlq: MLQ, hand: Hand, read: Any) -> None:
    """There is none any more."""
    reader = read(mlq.post(1))
    time.sleep(0.1)
    mlq.delete("1")
    assert isinstance(reader.ended(), UnknownJob)
    assert isinstance(read("17").ended(), UnknownJob)


def test_retry_begins_anew_and_says_so(mlq: MLQ, hand: Hand, read: Any) -> None:
    """The attempt's number tells that what came before is void."""
    reader = read(mlq.post(1))
    one = hand.claim()
    hand.say(one, 1, "a")
    hand.say(one, 2, "b")
    assert reader.until(2) == [(1, "a"), (1, "b")]
    two = hand.retry(one)
    hand.say(two, 1, "a again")
    assert reader.until(3)[-1] == (2, "a again")
    hand.end(two, success("whole"))
    assert reader.ended() is None
    late = read("1")
    assert late.ended() is None
    assert late.got == [(1, "a"), (1, "b"), (2, "a again")]


def test_stream_goes_on_over_a_broken_connection(mlq: MLQ, hand: Hand, read: Any, raw: Any) -> None:
    """Nothing comes twice, nothing is missed."""
    reader = read(mlq.post(1))
    one = hand.claim()
    for number in range(1, 21):
        hand.say(one, number, number)
        if number % 5 == 0:
            reader.until(number)
            raw.client_kill_filter(_type="normal", skipme=True)
    hand.end(one, success(None))
    assert reader.ended() is None
    assert [chunk for _, chunk in reader.got] == list(range(1, 21))


def test_stream_that_is_left_early(mlq: MLQ, hand: Hand) -> None:
    """The client goes on, and what the job says then is no answer to another question."""
    mlq.post(1)
    one = hand.claim()
    hand.say(one, 1, "first")
    for chunk in mlq.job("1").stream():
        assert chunk == "first"
        assert mlq.get_state("1") == "running"
        break
    second = mlq.submit(2)
    hand.say(one, 2, "second")
    waiting = threading.Thread(target=lambda: hand.end(hand.claim(), success("of the second")))
    waiting.start()
    assert second.result(60) == "of the second"
    waiting.join()


def test_logs(mlq: MLQ, hand: Hand, server_url: str, namespace: str) -> None:
    """Of all attempts, in their order, by either client; while it runs, too."""
    job = mlq.submit(1)
    assert job.logs() == ""
    one = hand.claim()
    hand.say(one, 1, "first \u00e4\n", kind="log")
    hand.say(one, 2, "chunk")
    assert job.logs() == "first \u00e4\n"
    two = hand.retry(one)
    for number in range(1, 1202):
        hand.say(two, number, ".", kind="log")
    hand.end(two, success(None))
    whole = "first \u00e4\n" + "." * 1201
    assert job.logs() == whole

    async def main() -> str:
        async with AsyncMLQ(namespace, url=server_url) as client:
            return await client.job("1").logs()

    assert asyncio.run(main()) == whole
    with pytest.raises(UnknownJob):
        mlq.get_logs("17")


def test_follow_tells_progress_and_states(mlq: MLQ, hand: Hand, shell: Shell, keys: Keys) -> None:
    """Each once; it can be taken up again where it was left."""
    mlq.post(1)
    news = mlq.follow("1")
    assert next(news).state == "queued"
    one = hand.claim()
    shell.run(work_ops.report(keys, one, codec.pack(50), []))
    told = next(news)
    assert (told.state, codec.unpack(told.progress)) == ("running", 50)
    hand.say(one, 1, "a")
    hand.say(one, 2, "b")
    assert [said.number for said in next(news).entries] == [1, 2]
    hand.end(one, success(4))
    last = next(news)
    assert last.ended is not None
    assert last.entries == []
    assert list(news) == []
    (again,) = mlq.follow("1", after=(1, 1))
    assert [said.number for said in again.entries] == [2]


def test_many_tasks_follow_one_job(mlq: MLQ, hand: Hand, server_url: str, namespace: str) -> None:
    """With one connection that listens; those that wait for its result hear of it as well."""
    mlq.post(1)

    async def main() -> list[Any]:
        async with AsyncMLQ(namespace, url=server_url) as client:

            async def chunks() -> list[Any]:
                return [chunk async for chunk in client.job("1").stream()]

            tasks = [asyncio.create_task(chunks()) for _ in range(10)]
            waiting = [asyncio.create_task(client.wait("1", 5)) for _ in range(10)]
            await asyncio.sleep(0.2)

            def work() -> None:
                one = hand.claim()
                for number in range(1, 6):
                    hand.say(one, number, number)
                    time.sleep(0.01)
                hand.end(one, success("whole"))

            await asyncio.to_thread(work)
            return [await asyncio.gather(*tasks), await asyncio.gather(*waiting)]

    assert asyncio.run(main()) == [[[1, 2, 3, 4, 5]] * 10, ["whole"] * 10]


def test_listeners_chunks_reach_the_stream(mlq: MLQ) -> None:
    """All the way: a generator on one side, a loop on the other."""

    def count(message: int) -> Any:
        yield from range(message)
        print("counted")
        return "done"

    mlq.create_listener(count)
    job = mlq.submit(50)
    assert list(job.stream()) == list(range(50))
    assert (job.result(60), job.logs()) == ("done", "counted\n")
