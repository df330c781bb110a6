"""What the HTTP service needs of the library: posting once, looks without payloads, pages, and following live."""

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlq import MLQ, AsyncMLQ, InputError, State, UnknownJob
from mlq.core.job import ANY_JOB
from mlq.errors import KeyReused
from mlq.running.outcomes import success
from mlq.shell import inbox as inbox_module
from tests.hand import Hand

ROOT = Path(__file__).parents[2]
FORK = """
import os, sys
from mlq import MLQ
mlq = MLQ(sys.argv[2], url=sys.argv[1])
job_id = mlq.post(1)
news = mlq.follow(job_id)
next(news)
name = mlq._inbox.name
child = os.fork()
if child == 0:
    mine = mlq.follow(job_id)
    next(mine)
    assert mlq._inbox.name != name
    mlq.cancel(job_id)
    os._exit(0 if [one.state for one in mine] == ["cancelled"] else 1)
assert [one.state for one in news] == ["cancelled"]
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0)
"""


@pytest.fixture
def hand(shell, keys):
    return Hand(shell, keys)


@pytest.fixture(params=["sync", "asyncio"])
def call(request, mlq, server_url):
    """`call("method", ...)` of either client."""
    if request.param == "sync":
        yield lambda name, *args, **more: getattr(mlq, name)(*args, **more)
        return
    with asyncio.Runner() as loop:
        client = AsyncMLQ(mlq.namespace, url=server_url)

        async def run(name, args, more):
            return await getattr(client, name)(*args, **more)

        yield lambda name, *args, **more: loop.run(run(name, args, more))
        loop.run(client.close())


# --- posting once


def test_a_key_makes_one_job(mlq, call):
    assert [call("post", {"a": 1}, idempotency_key="k", queue="q") for _ in range(3)] == ["1"] * 3
    assert call("submit", {"a": 1}, queue="q", idempotency_key="k").id == "1"
    assert call("post", {"a": 1}, queue="q") == "2"
    assert mlq.get_job("1")["msg"] == {"a": 1}


@pytest.mark.parametrize("other", [{"msg": 2}, {"msg": 1, "queue": "q"}, {"msg": 1, "functions": ["f"]},
                                   {"msg": 1, "callback": "http://x/"}, {"msg": 1.0}])  # fmt: skip
def test_a_key_is_for_one_post(mlq, call, other):
    call("post", 1, idempotency_key="k")
    with pytest.raises(KeyReused, match="'k'"):
        call("post", **other, idempotency_key="k")
    assert issubclass(KeyReused, InputError)
    assert mlq.last_id() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", 5, b"k", "\ud800"])
def test_a_key_is_a_short_printable_text(mlq, call, key):
    with pytest.raises(InputError, match="idempotency key"):
        call("post", 1, idempotency_key=key)
    assert mlq.last_id() == 0


def test_namespaces_have_keys_of_their_own(mlq, call, server_url):
    call("post", 1, idempotency_key="k")
    with contextlib.closing(MLQ(mlq.namespace + "-b", url=server_url)) as other:
        assert other.post(2, idempotency_key="k") == "1"
        other.clear()
        other._redis.delete(f"{{{other.namespace}}}:counter")


# --- looks


def test_info_is_the_job_without_its_payloads(mlq, call):
    mlq.create_listener(lambda msg: ("short", msg))
    mlq.submit("secret").result(60)
    told = call("get_info", "1")
    assert "secret" not in repr(told)
    whole = call("get_job", "1")
    assert told == {name: value for name, value in whole.items() if name not in {"msg", "result", "short_result"}}
    with pytest.raises(UnknownJob, match="no job 2"):
        call("get_info", "2")


def test_the_last_id(mlq, call):
    assert call("last_id") == 0
    mlq.post_many(range(7))
    mlq.clear()
    assert call("last_id") == 7


def test_pages_of_jobs(mlq, call):
    mlq.post_many(range(10))
    mlq.cancel("4")
    seen, before = [], ""
    while before is not None:
        page, before = call("list_jobs", before=before, limit=3)
        assert len(page) <= 3
        seen += [job.id for job in page]
    assert seen == [str(n) for n in range(10, 0, -1)]
    page, more = call("list_jobs", State.CANCELLED)
    assert ([job.id for job in page], more) == (["4"], None)
    assert call("list_jobs", before="1") == ([], None)
    assert [job.id for job in call("list_jobs", before="3")[0]] == ["2", "1"]


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": -1}, {"limit": 1.5}, {"limit": "x"}, {"before": "x"}])
def test_pages_that_can_not_be(call, wrong):
    with pytest.raises(InputError):
        call("list_jobs", **wrong)


# --- following


def test_a_claim_is_heard_at_once(mlq, hand):
    _hears_the_claim(mlq.follow(mlq.post(1)), hand)


def _hears_the_claim(news, hand):
    assert next(news).state is State.QUEUED
    threading.Timer(0.2, hand.claim).start()
    began = time.monotonic()
    assert next(news).state is State.RUNNING
    assert time.monotonic() - began < 5  # who is not told asks after 10 s
    news.close()


def test_a_claim_is_heard_at_once_in_asyncio(mlq, hand, server_url):
    async def main():
        client = AsyncMLQ(mlq.namespace, url=server_url)
        news = client.follow(await client.post(1))
        assert (await anext(news)).state is State.QUEUED
        began = time.monotonic()
        following = asyncio.create_task(anext(news))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(hand.claim)
        assert (await following).state is State.RUNNING
        assert time.monotonic() - began < 5  # who is not told asks after 10 s
        await news.aclose()
        await client.close()

    asyncio.run(main())


def test_a_silent_job_is_told_of_every_so_often(mlq):
    job_id = mlq.post(1)
    news = mlq.follow(job_id, every=0.02)
    assert {next(news).state for _ in range(4)} == {State.QUEUED}
    mlq.cancel(job_id)
    assert list(news)[-1].state is State.CANCELLED


def test_a_silent_job_is_told_of_every_so_often_in_asyncio(mlq, server_url):
    async def main():
        client = AsyncMLQ(mlq.namespace, url=server_url)
        job_id = await client.post(1)
        news = client.follow(job_id, every=0.02)
        assert {(await anext(news)).state for _ in range(4)} == {State.QUEUED}
        await client.cancel(job_id)
        assert [one.state async for one in news][-1] is State.CANCELLED
        await client.close()

    asyncio.run(main())


def test_a_long_silence_does_not_make_it_deaf(mlq, raw, keys):
    """Whoever wants to be told every minute is remembered for longer than that."""
    job_id = mlq.post(1)
    news = mlq.follow(job_id, every=60.0)
    next(news)
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(next, news)
        while not raw.exists(keys.waiters + job_id):
            time.sleep(0.01)
        remembered = [raw.ttl(key) for key in (keys.waiters + job_id, keys.followers)]
        mlq.cancel(job_id)
        assert end.result(60).state is State.CANCELLED
    assert min(remembered) > 60


def test_many_followers_take_one_connection(mlq, hand, raw):
    ids = [mlq.post(n) for n in range(3)]
    before = raw.info("clients")["blocked_clients"]
    following = [mlq.follow(ids[n % 3]) for n in range(60)]
    for news in following:
        next(news)
    with ThreadPoolExecutor(60) as pool:
        ends = [pool.submit(list, news) for news in following]
        while sum(len(heard) for heard in mlq._inbox._followed.values()) < 60:
            time.sleep(0.01)
        time.sleep(0.2)  # until all of them wait
        blocked = raw.info("clients")["blocked_clients"]
        for _ in ids:
            hand.end(hand.claim(), success("done"))
        assert all(end.result(60)[-1].state is State.SUCCEEDED for end in ends)
    assert blocked <= before + 1
    assert mlq._inbox._followed == {}


def test_who_leaves_is_forgotten_and_the_reader_ends(mlq, monkeypatch):
    monkeypatch.setattr(inbox_module, "LISTEN", 0.1)
    news = mlq.follow(mlq.post(1))
    next(news)
    assert mlq._inbox._reads
    news.close()
    assert mlq._inbox._followed == {}
    give_up = time.monotonic() + 10
    while mlq._inbox._reads and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not mlq._inbox._reads
    with pytest.raises(UnknownJob):
        next(mlq.follow("999"))
    assert mlq._inbox._followed == {}


def test_closing_the_client_does_not_end_those_that_follow(mlq, hand):
    job_id = mlq.post(1)
    news = mlq.follow(job_id)
    next(news)
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(list, news)
        time.sleep(0.1)
        mlq.close()
        one = hand.claim()
        hand.say(one, 1, "part")
        hand.end(one, success("done"))
        told = end.result(60)
    assert [said.kind for one in told for said in one.entries] == ["chunk"]
    assert told[-1].state is State.SUCCEEDED


def test_a_forked_child_follows_for_itself(mlq, server_url):
    done = subprocess.run([sys.executable, "-c", FORK, server_url, mlq.namespace], cwd=ROOT, capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def _until(holds):
    give_up = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_an_inbox_that_is_told_of_any_job_tells_all(mlq, raw, keys, hand):
    """It had more to read than it did."""
    ids = [mlq.post(n) for n in range(3)]
    told = [mlq.follow(job_id) for job_id in ids]
    assert [next(news).state for news in told] == [State.QUEUED] * 3
    with ThreadPoolExecutor(3) as pool:
        coming = [pool.submit(next, news) for news in told]
        _until(lambda: all(raw.exists(keys.waiters + job_id) for job_id in ids))
        raw.delete(*(keys.waiters + job_id for job_id in ids))  # nobody is told of these claims
        for _ in ids:
            hand.claim()
        raw.rpush(keys.inbox + mlq._inbox.name, ANY_JOB)
        assert [news.result(60).state for news in coming] == [State.RUNNING] * 3
    for news in told:
        news.close()


def test_an_asyncio_inbox_that_is_told_of_any_job_tells_all(mlq, raw, keys, hand, server_url):
    async def main():
        async with AsyncMLQ(mlq.namespace, url=server_url) as client:
            ids = [await client.post(n) for n in range(3)]
            told = [client.follow(job_id) for job_id in ids]
            assert [(await anext(news)).state for news in told] == [State.QUEUED] * 3
            coming = [asyncio.create_task(anext(news)) for news in told]
            await asyncio.to_thread(_until, lambda: all(raw.exists(keys.waiters + job_id) for job_id in ids))
            (name,) = raw.smembers(keys.waiters + ids[0])
            raw.delete(*(keys.waiters + job_id for job_id in ids))
            for _ in ids:
                hand.claim()
            raw.rpush(keys.inbox + name.decode(), ANY_JOB)
            assert [(await asyncio.wait_for(news, 5)).state for news in coming] == [State.RUNNING] * 3
            for news in told:
                await news.aclose()

    asyncio.run(main())


def test_an_inbox_whose_thread_could_not_start_tries_again(mlq, hand, monkeypatch):
    job_id = mlq.post(1)

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            next(mlq.follow(job_id))
    _hears_the_claim(mlq.follow(job_id), hand)
