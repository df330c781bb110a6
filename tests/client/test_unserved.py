"""A job that no worker can run is told of on post, in WaitTimeout and by its handle; with both clients."""

import asyncio
import logging
import re

import pytest

from mlq import MLQ, AsyncMLQ, InputError, WaitTimeout

LACKING = "no live worker has a listener 'trian' (did you mean 'train'?)"


@pytest.fixture
def trained(mlq):
    """A worker with one listener, `train`."""

    def train(message):
        return message

    mlq.listener(train)
    mlq.create_listener()
    mlq.submit(0, functions=["train"]).result(60)  # it lives
    return mlq


def told(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "mlq.client"]


def test_a_typo_is_told_of(trained, server_url, namespace, caplog):
    with MLQ(namespace, url=server_url) as client, caplog.at_level(logging.WARNING, "mlq"):
        job = client.submit(1, functions=["trian"])
        assert (job.warning, job.missing()) == (LACKING, LACKING)
        client.post(1, functions=["trian"])
        client.post_many([1, 2], functions=["trian"])
        assert told(caplog) == [f"job {job.id}: {LACKING}"]  # once
        with pytest.raises(WaitTimeout, match="did not end within 1 s: no live worker has a listener 'trian'"):
            job.result(1)
        with pytest.raises(WaitTimeout, match=r"within 0.01 s$"):  # whoever polls is not slowed
            job.result(0.01)
        with pytest.raises(
            WaitTimeout, match=r"1 of 1 jobs did not end within 0.2 s: no live worker has a listener 'trian'"
        ):
            client.wait_many([job], 0.2)


def test_a_typo_is_told_of_on_an_event_loop(trained, server_url, namespace, caplog):
    async def check():
        async with AsyncMLQ(namespace, url=server_url) as client:
            job = await client.submit(1, functions=["trian"])
            assert (job.warning, await job.missing()) == (LACKING, LACKING)
            await client.post(1, functions=["trian"])
            with pytest.raises(WaitTimeout, match="did not end within 1 s: no live worker has a listener 'trian'"):
                await job.result(1)
            return job.id

    with caplog.at_level(logging.WARNING, "mlq"):
        job_id = asyncio.run(check())
    assert told(caplog) == [f"job {job_id}: {LACKING}"]


def test_a_job_that_can_be_run_is_not_warned_of(trained, server_url, namespace, caplog):
    with MLQ(namespace, url=server_url) as client, caplog.at_level(logging.WARNING, "mlq"):
        job = client.submit(1, functions=["train"])
        assert job.result(60) == 1
        assert (job.warning, job.missing(), told(caplog)) == (None, None, [])


def test_a_handle_of_an_ended_job_lacks_nothing(mlq):
    job = mlq.submit(1, functions=["nobody"])
    job.cancel()
    assert job.missing() is None


def test_where_nobody_works_the_server_is_named(mlq, server_url, namespace, caplog):
    """It may be the wrong one."""
    lacking = f"no worker is running in namespace {namespace!r}"
    named = f"{lacking}; the server is {mlq.server}"

    async def check():
        async with AsyncMLQ(namespace, url=server_url) as client:
            with pytest.raises(WaitTimeout, match=re.escape(named)):
                await (await client.submit(1)).result(0.2)

    with caplog.at_level(logging.WARNING, "mlq"):
        job = mlq.submit(1)
        with pytest.raises(WaitTimeout, match=re.escape(named)):
            job.result(0.2)
        asyncio.run(check())
    assert job.warning == job.missing() == lacking
    assert told(caplog) == [f"job {job.id}: {named}", f"job {mlq.last_id()}: {named}"]


def test_a_post_succeeds_when_the_list_of_workers_cannot_be_read(mlq, keys, caplog, monkeypatch):
    """The next post does not try it again at once."""
    tried, read = [], mlq.workers
    monkeypatch.setattr(mlq, "workers", lambda: (tried.append(1), read())[1])
    mlq._redis.set(keys.workers, "not a sorted set")
    with caplog.at_level(logging.WARNING, "mlq"):
        assert mlq.post(1, functions=["trian"])
        assert mlq.post(2, functions=["trian"])
    assert (told(caplog), tried) == ([], [1])
    mlq._redis.delete(keys.workers)


def test_misspelt_options_are_refused_with_the_nearest_name(mlq):
    """Where they are written, also for a decorator with options."""
    with pytest.raises(TypeError, match=r"a listener has no option 'retrys' \(did you mean 'retries'\?\)"):
        mlq.listener(retrys=3)
    with pytest.raises(TypeError, match=r"a job has no option 'retrys' \(did you mean 'retries'\?\)"):
        mlq.post(1, retrys=3)


def test_habits_of_other_queues_are_refused_with_what_to_write(mlq):
    @mlq.listener
    def train(message): ...

    for wrong, hint in (
        (lambda: mlq.submit(train, {"epochs": 5}), r"The message comes first: submit\(message, functions=\['name'\]\)"),
        (lambda: mlq.submit(train, "text"), r"not 'text'. To name a listener: functions=\['name'\]"),
        (lambda: mlq.submit(train), r"to have it run for a message, name it: functions=\['train'\]"),
        (lambda: train.submit(1, 2), r"one message: write train.submit\(\[1, 2\]\)"),
        (lambda: mlq.submit(1, functions="train"), r"such as \['train'\], not 'train'"),
        (lambda: mlq.submit(1, functions=[train]), r"must be names, such as 'train', not the functions themselves"),
    ):
        with pytest.raises(InputError, match=hint):
            wrong()
    with pytest.raises(TypeError, match=r"a job has no option 'result_ttl' \(did you mean 'ttl'\?\)"):
        mlq.submit(1, result_ttl=500)
    with pytest.raises(TypeError, match=r"leave functions= out: train.submit posts jobs for train"):
        train.submit(1, functions=["train"])
    with pytest.raises(TypeError, match=r"no option 'retry_on' \(declare it with the listener\)"):
        mlq.submit(1, retry_on=ValueError)
    for option in ("ttl", "result_ttl"):
        with pytest.raises(TypeError, match=rf"no option '{option}' \(give 'ttl' with each post\)"):
            mlq.listener(**{option: 500})
    with pytest.raises(InputError) as caught:
        mlq.submit("train", {"epochs": 5})
    assert caught.value.__context__ is None
    with pytest.raises(TypeError, match=r"^submit\(\) missing 1 required positional argument: 'msg'$"):
        train.submit()
    assert mlq.last_id() == 0
