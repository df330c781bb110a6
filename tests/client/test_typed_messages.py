"""Typed messages from post to result, on a real server and a worker of this process."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pydantic
import pytest

from mlq import MLQ, AsyncMLQ, InputError, JobFailed, JobHandle, ValidationError


@dataclasses.dataclass
class Iris:
    length: float
    width: float = 1.0
    pixels: np.ndarray | None = None


class Species(pydantic.BaseModel):
    name: str
    chance: float = 1.0


class Job(msgspec.Struct):
    number: int


def test_an_object_there_and_back(mlq: MLQ) -> None:
    """The listener gets the type that it declares, and so does who waits."""

    @mlq.listener
    def classify(iris: Iris) -> Species:
        assert type(iris) is Iris
        return Species(name="setosa" if iris.length < 2 else "other")

    mlq.create_listener()
    job = classify.submit(Iris(1.5))
    assert job.result(60) == Species(name="setosa")
    assert mlq.wait(classify.post(Iris(3)), 10) == {"name": "other", "chance": 1.0}
    kept = mlq.get_job(job.id)
    assert kept["msg"] == {"length": 1.5, "width": 1.0, "pixels": None}
    assert kept["result"] == kept["short_result"] == {"name": "setosa", "chance": 1.0}
    assert classify(Iris(1.0)).name == "setosa"
    plain = mlq.submit({"length": 1}, functions=["classify"])
    assert plain.result(60) == mlq.job(plain.id).result(60) == {"name": "setosa", "chance": 1.0}


def test_arrays_within(mlq: MLQ) -> None:
    @mlq.listener
    def total(iris: Iris) -> tuple[str, Iris]:
        assert iris.pixels is not None
        return str(iris.pixels.sum()), dataclasses.replace(iris, pixels=iris.pixels * 2)

    mlq.create_listener()
    job = total.submit(Iris(np.float32(0.5), pixels=np.arange(4)))
    found = job.result(60)
    assert (type(found), found.length, list(found.pixels)) == (Iris, 0.5, [0, 2, 4, 6])
    assert mlq.get_job(job.id)["short_result"] == "6"


def test_bad_input_is_refused_where_it_is_posted(mlq: MLQ) -> None:
    """And leaves no job behind."""

    @mlq.listener
    def classify(iris: Iris, *args: Any) -> None: ...

    for bad in ({"length": "x", "width": None}, Iris("x", None)):  # type: ignore[arg-type]
        for send in (classify.post, classify.submit):
            with pytest.raises(ValidationError) as caught:
                send(bad)  # type: ignore[operator]
            assert isinstance(caught.value, InputError)
            assert caught.value.faults == (
                ("length", "Expected float, got str"),
                ("width", "Expected float, got null"),
            )
    assert mlq.last_id() == 0
    assert mlq.job_count() == 0


def test_bad_input_from_elsewhere_fails_at_once(mlq: MLQ) -> None:
    """Without a retry, before any listener sees it, and with the fields' names."""
    called = []

    @mlq.listener(retries=3, backoff=0.01, retry_on=ValueError)
    def classify(iris: Iris) -> None:
        called.append(iris)

    mlq.create_listener()
    job = mlq.submit({"width": "wide"}, functions=["classify"])
    with pytest.raises(JobFailed) as caught:
        job.result(60)
    assert (caught.value.error_type, caught.value.reason) == ("mlq.errors.ValidationError", "error")
    kept = mlq.get_job(job.id)
    words = "the message to classify does not fit Iris: length: is missing; width: Expected float, got str"
    assert (kept["error"], kept["retries"], len(kept["attempts"])) == (words, 0, 1)
    assert [letter.id for letter in mlq.dead_letters()] == [job.id]
    assert not called


def test_each_listener_converts_its_own(mlq: MLQ) -> None:
    seen: list[Any] = []

    @mlq.listener
    def as_iris(iris: Iris) -> None:
        seen.append(iris)
        iris.length = 99

    @mlq.listener
    def as_model(species: Species | None, ctx: Any) -> None:
        seen.append((species, ctx.full_message["msg"]))

    @mlq.listener
    def as_it_is(msg: dict[str, int]) -> Any:
        seen.append(msg)
        return msg

    mlq.create_listener()
    sent = {"length": 1, "name": "a"}
    assert mlq.submit(sent).result(60) == sent
    assert seen == [Iris(99), (Species(name="a"), sent), sent]


def test_loose_hints_are_not_enforced(mlq: MLQ) -> None:
    @mlq.listener
    def loose(number: int) -> str:
        return number  # type: ignore[return-value]

    mlq.create_listener()
    assert loose.submit("words").result(60) == "words"  # type: ignore[arg-type]
    assert mlq.submit([1.5], functions=["loose"]).result(60) == [1.5]


def test_generators_of_objects(mlq: MLQ) -> None:
    @mlq.listener
    def count(job: Job) -> Iterator[Job]:
        for number in range(job.number):
            yield Job(number)

    mlq.create_listener()
    job = count.submit(Job(2))
    assert list(job.stream()) == [{"number": 0}, {"number": 1}]
    assert job.result(60) == [Job(0), Job(1)]


def test_a_result_that_does_not_fit(mlq: MLQ) -> None:
    @mlq.listener
    def wrong(number: int) -> Job:
        return {"number": "one"}  # type: ignore[return-value]

    mlq.create_listener()
    job = wrong.submit(1)
    with pytest.raises(ValidationError, match="the result of wrong does not fit Job: number: Expected int, got str"):
        job.result(60)
    assert mlq.get_result(job.id) == {"number": "one"}


def test_options_and_keys_of_a_typed_post(mlq: MLQ) -> None:
    @mlq.listener(queue="gpu")
    def f(job: Job) -> Job:
        return job

    first = f.post(Job(1), idempotency_key="a", timeout=5)
    assert f.submit(Job(1), None, idempotency_key="a", timeout=5).id == first
    assert (mlq.get_job(first)["queue"], mlq.get_job(first)["functions"]) == ("gpu", ["f"])
    with pytest.raises(TypeError, match="timeut"):
        f.post(Job(1), timeut=5)  # type: ignore[call-arg]
    assert mlq.last_id() == 1
    assert isinstance(f.submit(Job(2)), JobHandle)


def test_methods_and_objects(mlq: MLQ) -> None:
    class Model:
        def predict(self, iris: Iris) -> Job:
            return Job(int(iris.length))

        async def __call__(self, iris: Iris, ctx: Any) -> Job:
            return Job(int(iris.length) + ctx.attempt)

    method, instance = mlq.listener(Model().predict), mlq.listener(name="called")(Model())
    mlq.create_listener()
    assert method.submit(Iris(5)).result(60) == Job(5)
    assert instance.submit(Iris(5)).result(60) == Job(6)
    with pytest.raises(ValidationError):
        method.submit({})  # type: ignore[arg-type]


def test_from_a_context_and_from_asyncio(mlq: MLQ, namespace: str, server_url: str) -> None:
    """Objects are messages wherever a job is posted."""
    import asyncio

    @mlq.listener
    def outer(job: Job, ctx: Any) -> Any:
        ctx.update_progress(job)
        key = ctx.store_data(Species(name="kept"))
        return [ctx.fetch_data(key), ctx.block_until_result(ctx.post(Job(job.number + 1), functions=["inner"]), 10)]

    @mlq.listener
    def inner(job: Job) -> int:
        return job.number

    mlq.create_listener()
    ids = mlq.post_many([Job(1), Job(5)], functions=["outer"])
    kept = {"name": "kept", "chance": 1.0}
    assert [mlq.wait(each, 10) for each in ids] == [[kept, 2], [kept, 6]]

    async def main() -> Any:
        async with AsyncMLQ(namespace, url=server_url) as client:
            return await (await client.submit(Job(7), functions=["inner"])).result(60)

    assert asyncio.run(main()) == 7
