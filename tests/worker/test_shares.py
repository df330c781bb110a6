"""Workers and shares: two users of unequal jobs, batches, pipelines, jobs that wait for others, pools and clients."""

import asyncio
import signal
import threading
import time
from collections import Counter

import pytest

from mlq import AsyncMLQ, Forward, InputError, JobFailed, Split
from tests.programs import until


def times(raw, keys, lane="default"):
    """The virtual times of the shares of a lane, whether they wait or not."""
    found = dict(raw.zrange(f"{keys.lane}{lane}||times", 0, -1, withscores=True))
    found |= dict(raw.zrange(f"{keys.lane}{lane}|", 0, -1, withscores=True))
    return {name.decode(): score for name, score in found.items() if name}


@pytest.mark.parametrize("slots", [1, 4])
def test_two_users_of_unequal_jobs(mlq, slots):
    """While both wait, each gets half of the time that the listeners measure."""
    ran = []

    def work(message):
        began = time.monotonic()
        time.sleep(message[1])
        ran.append((message[0], time.monotonic() - began))

    short = [mlq.post(["b", 0.01], share="b") for _ in range(150)]
    long = [mlq.post(["a", 0.15], share="a") for _ in range(8 * slots)]
    mlq.create_listener(work, concurrency=slots)
    for job_id in (*short, *long):
        mlq.wait(job_id, 60)
    used, longest = Counter(), Counter()
    left = Counter(share for share, _ in ran)
    for share, took in ran:
        used[share] += took
        longest[share] = max(longest[share], took)
        left[share] -= 1
        if left[share] < slots + 2:  # it waits no more
            break
    assert abs(used["a"] - used["b"]) <= (slots + 1) * (longest["a"] + longest["b"])


def test_batches(mlq, raw, keys):
    """Of several shares; each job is charged its part of the time."""
    sizes = []

    @mlq.listener(batch=8)
    def work(messages):
        sizes.append(len(messages))
        time.sleep(0.5)
        return messages

    jobs = [work.submit(i, share="ab"[i % 2]) for i in range(8)]
    mlq.create_listener(None, concurrency=1)
    assert [job.result(60) for job in jobs] == list(range(8))
    assert sizes == [8]
    found = times(raw, keys, "default:work")
    assert found["a"] == pytest.approx(found["b"], abs=0.5)
    assert 0.5 <= found["a"] + found["b"] < 3  # and not 4: eight times the whole


def test_who_waits_for_others_is_not_charged_for_that(mlq, raw, keys):
    """It has no slot then."""

    def work(message, context):
        if message == "child":
            time.sleep(1.0)
        else:
            context.block_until_result(context.post("child", share="children"), 30)

    mlq.create_listener(work, concurrency=1)
    mlq.submit("parent", share="parents").result(60)
    found = times(raw, keys)
    assert found["children"] >= 1
    assert found["parents"] < found["children"]


def test_a_timeout_is_charged(mlq, raw, keys):
    def work(_message):
        time.sleep(0.5)

    mlq.create_listener(work)
    with pytest.raises(JobFailed, match="longer than its limit"):
        mlq.submit(1, share="a", timeout=0.3).result(60)
    assert times(raw, keys)["a"] >= 0.3


def test_steps_have_the_share_of_their_root(mlq):
    """Forwards, and splits with their joins."""
    seen = {}

    def note(name, context):
        seen[name] = context.full_message["id"]

    @mlq.listener
    def first(message, context):
        note("first", context)
        return Forward(message, to=second)

    @mlq.listener
    def second(message, context):
        note("second", context)
        return Split([1, 2, 3], each=part, into=join)

    @mlq.listener
    def part(message, context):
        note(f"part {message}", context)
        return message

    @mlq.listener
    def join(results, context):
        note("join", context)
        return sum(results)

    job = mlq.submit(1, functions=["first"], share="team:a", priority=3)
    mlq.create_listener(None)
    assert job.result(60) == 6
    assert len(seen) == 6
    assert {mlq.get_job(job_id)["share"] for job_id in seen.values()} == {"team:a"}
    assert {mlq.get_job(job_id)["priority"] for job_id in seen.values()} == {3}


def test_clients(mlq, server_url):
    """Posts in bulk, with keys, by asyncio; and weights."""
    ids = mlq.post_many([1, 2], share="a")
    assert mlq.post(3, share="a", idempotency_key="k") == mlq.post(3, share="a", idempotency_key="k")
    with pytest.raises(InputError, match="another"):
        mlq.post(3, share="b", idempotency_key="k")

    async def look():
        async with AsyncMLQ(mlq.namespace, url=server_url) as client:
            job = await client.post(1, share="b", functions=["f"])
            await client.share_weight("b", 0.5)
            return (await client.get_job(job))["share"], await client.shares()

    share, found = asyncio.run(look())
    assert share == "b"
    assert [tuple(one) for one in found] == [("a", 3, 1.0), ("b", 1, 0.5)]
    assert found == mlq.shares()
    assert mlq.get_job(ids[0])["share"] == "a"
    assert mlq.counts().lanes == {"default": 3, "default:f": 1}
    assert mlq.unserved() == {"default": 3, "default:f": 1}
    assert mlq.stats().queues["default"].waiting == 4


@pytest.mark.parametrize("weight", [0, -1, 1001, float("nan"), "2", None, True])
def test_wrong_weights(mlq, weight):
    with pytest.raises(InputError, match="weight of a share"):
        mlq.share_weight("a", weight)


@pytest.mark.parametrize("share", ["", "a|b", "a,b", "a\n", "x" * 101, 5, ["a"], b"a"])
def test_wrong_names(mlq, share):
    for refused in (lambda: mlq.post(1, share=share), lambda: mlq.post_many([1], share=share),
                    lambda: mlq.submit(1, share=share), lambda: mlq.share_weight(share, 2)):  # fmt: skip
        with pytest.raises(InputError, match="share must be"):
            refused()
    assert mlq.last_id() == 0


@pytest.mark.parametrize("name", ["a|b", "|"])
def test_names_that_would_look_like_shares(mlq, name):
    with pytest.raises(InputError):
        mlq.post(1, queue=name)
    with pytest.raises(InputError):
        mlq.post(1, functions=[name])


def test_a_long_name_is_refused_with_what_it_comes_with(mlq):
    """The head of a record has a limit."""
    with pytest.raises(InputError, match="too long"):
        mlq.post(1, functions=["ä" * 350], queue="ö" * 100, share="ü" * 100)
    job_id = mlq.post(1, functions=["f" * 600], queue="ö" * 100, share="ü" * 90)
    assert mlq.get_job(job_id)["share"] == "ü" * 90


def test_a_requeued_dead_letter_keeps_its_share(mlq):
    fails = [True]

    def work(message):
        if fails[0]:
            raise ValueError("no")
        return message

    mlq.create_listener(work)
    job = mlq.submit(5, share="a")
    with pytest.raises(ValueError, match="no"):
        job.result(60)
    fails[0] = False
    mlq.requeue(job.id)
    assert mlq.wait(job.id, 60) == 5


def test_about_how_long_a_job_waits(mlq, server_url):
    """By the jobs before it, and the slots of workers that can run it."""
    gate = threading.Event()
    mlq.listener(name="work")(lambda _message: gate.wait(60))
    job_id = mlq.post(1, functions=["work"], share="a")
    last = [mlq.post(1, functions=["work"], share="a") for _ in range(4)][-1]
    assert mlq.about_wait(job_id) is None
    mlq.create_listener(None, concurrency=2)
    until(lambda: mlq.counts().running == 2)
    assert mlq.about_wait(job_id) is None
    assert (mlq.position(last), mlq.about_wait(last)) == (
        2,
        1.0,
    )  # jobs of which nothing is known are taken to last 1 s

    async def look():
        async with AsyncMLQ(mlq.namespace, url=server_url) as client:
            return await client.about_wait(last)

    assert asyncio.run(look()) == 1.0
    assert mlq.about_wait(mlq.post(1, functions=["work"])) is None
    gate.set()
    assert mlq.wait(last, 60) is True


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["after the claim", "listener", "settle's reply is lost"])
def test_a_worker_that_is_killed(start, mlq, raw, keys, fault):
    """Its share is charged until that was noticed, its jobs run again, and nothing of the ring is left."""
    job = mlq.submit("die", share="a")
    others = [mlq.submit("other", share="b") for _ in range(3)]
    assert start(fault=fault, concurrency=1).wait() == -signal.SIGKILL
    mlq.create_listener(lambda message: message)
    for one in (job, *others):
        assert one.result(60) in ("die", "other", "done")
    until(lambda: not mlq.counts().running)
    assert not raw.exists(f"{keys.lane}default|", keys.lanes, *(f"{keys.lane}default|{share}" for share in "ab"))
    assert not any(raw.hexists(keys.job + one.id, "charged") for one in (job, *others))
    if fault != "settle's reply is lost":
        assert times(raw, keys)["a"] >= 1  # a lease lasts for seconds
