"""Shadows as clients set them, and what a worker hands to them: here in this process, which runs none."""

import asyncio

import pytest

from mlq import AsyncMLQ, InputError, UnknownModel
from mlq.core import codec
from mlq.ops import shadows as shadow_ops
from tests.models.zoo import Iris, NewerIris, Words
from tests.programs import until

GOOD = {"length": 1, "width": 2}


@pytest.fixture
def iris(mlq):
    """The model, with both versions hosted here; version 1 gets the requests."""
    for kind in (Iris, NewerIris, Words):
        mlq.add_model(kind)
    mlq.create_listener()
    until(lambda: sum(one.unserved is None for one in mlq.models()) == 3)
    mlq.model("iris").set_traffic(default="1")
    return mlq.model("iris")


def taken(mlq):
    return mlq._shell.run(shadow_ops.take(mlq._keys, "iris@1.10"))


def test_predictions_are_handed_over_while_it_is_set(mlq, iris):
    """Within a heartbeat, at run time; without it, nothing is."""
    assert iris.shadow() is None
    assert mlq.shadows() == []
    iris.predict(GOOD, 30)
    assert taken(mlq) is None
    iris.set_shadow("1.10", share=1)
    ids = []

    def handed_over():
        job = iris.submit(GOOD)
        ids.append(job.id)
        return job.result(30) and taken(mlq)

    sample = until(handed_over)
    assert sample.job_id in ids
    assert (codec.unpack(sample.message), codec.unpack(sample.result)) == (GOOD, {"species": "short"})
    mlq.model("iris", "1.10").predict(GOOD, 30)  # its own predictions are not repeated
    state = iris.shadow()
    assert (state.model, state.version, state.share, state.compared) == ("iris", "1.10", 1.0, 0)
    assert state.idle == "no worker with the process pool hosts iris@1.10"
    assert mlq.shadows() == [state._replace(idle=None)]
    iris.set_shadow(None)
    until(lambda: iris.predict(GOOD, 30) and not any(taken(mlq) for _ in range(50)))
    assert (iris.shadow().share, iris.shadow().idle) == (0, None)


def test_what_is_no_shadow_is_refused(mlq, iris):
    with pytest.raises(UnknownModel, match=r"has no version '7', but 1\.10, 1"):
        iris.set_shadow("7", share=0.1)
    for share in (0, 1.1, 10, "10%"):
        with pytest.raises(InputError, match="above 0 and at most 1"):
            iris.set_shadow("1.10", share=share)
    with pytest.raises(InputError, match="name no version"):
        mlq.model("iris", "1").set_shadow("1.10")
    with pytest.raises(UnknownModel, match="has ever hosted a model 'irsi'"):
        mlq.model("irsi").set_shadow("1")
    iris.set_shadow(None)
    assert iris.shadow() is None


def test_the_async_client_does_the_same(mlq, iris):
    async def main():
        async with AsyncMLQ(mlq.namespace, url=mlq.url) as client:
            model = client.model("iris")
            await model.set_shadow("1.10", share=0.5)
            assert await model.shadow() == iris.shadow()
            assert await client.shadows() == mlq.shadows() != []
            with pytest.raises(UnknownModel):
                await model.set_shadow("7")
            with pytest.raises(InputError, match=r"a worker hosts version 1\.10"):
                await client.model("iris", "1.10").forget()
            await model.set_shadow(None)
            assert (await model.shadow()).share == 0

    asyncio.run(main())


def test_damaged_figures_hide_no_others(mlq, iris, raw):
    iris.set_shadow("1.10")
    mlq.model("words").set_shadow("1")
    raw.set(f"{mlq._keys.shadow}words@1", "x")
    raw.hset(mlq._keys.shadows, "odd", "\xff")
    assert [one.model for one in mlq.shadows()] == ["iris"]

    async def main():
        async with AsyncMLQ(mlq.namespace, url=mlq.url) as client:
            return [one.model for one in await client.shadows()]

    assert asyncio.run(main()) == ["iris"]
