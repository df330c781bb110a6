"""How requests that name no version of a model are spread over its versions, and versions that are forgotten."""

import asyncio
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq import MLQ, AsyncMLQ, Forward, InputError, UnknownModel
from mlq.client import known_models
from mlq.core.versions import Traffic, point_of
from mlq.models.hosting import hosting_of
from mlq.ops import models as model_ops
from mlq.running.loads import Loads
from tests.models.zoo import Iris, NewerIris
from tests.programs import until

GOOD = {"length": 1, "width": 2}
OLD, NEW = {"species": "short"}, {"species": "newer"}
SHARES = st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 0.33))


class NewestIris(Iris):
    """Hosted by nobody, unless a test does."""

    version = "2"


@pytest.fixture
def iris(mlq):
    """The model, of whose versions 1 and 1.10 are hosted, and 2 is known."""
    for kind in (Iris, NewerIris):
        mlq.add_model(kind)
    newest = hosting_of(NewestIris, "x", {}, Loads()).listener.about
    mlq._shell.run_many(model_ops.describe(mlq._keys, newest))
    mlq.create_listener()
    until(lambda: sum(one.unserved is None for one in mlq.models()) == 2)
    mlq._lanes.remember_workers(mlq.workers())
    return mlq.model("iris")


def shares(mlq):
    return {one.info.version: round(one.share, 9) for one in mlq.models()}


def test_without_it_the_newest_that_is_hosted_gets_all(mlq, iris):
    assert iris.traffic() == Traffic(None, {})
    assert iris.predict(GOOD, 60) == NEW
    assert shares(mlq) == {"1": 0, "1.10": 1, "2": 0}
    assert [one.info.version for one in mlq.models() if one.is_default] == ["1.10"]


def test_a_default_is_chosen_and_others_follow(mlq, iris, monkeypatch):
    with MLQ(mlq.namespace, url=mlq.url) as client:
        assert client.model("iris").predict(GOOD, 60) == NEW
        iris.set_traffic(default="1")
        assert (iris.info().version, iris.predict(GOOD, 60)) == ("1", OLD)
        assert iris.traffic() == Traffic("1", {})
        assert mlq.model("iris", "1.10").predict(GOOD, 60) == NEW
        monkeypatch.setattr(known_models, "FRESH", 0.0)
        assert client.model("iris").predict(GOOD, 60) == OLD
        iris.set_traffic()
        assert client.model("iris").predict(GOOD, 60) == NEW


def test_a_default_that_nobody_hosts_gets_the_requests_all_the_same(mlq, iris):
    """Another version must not answer by accident: the job waits, and says why."""
    iris.set_traffic(default="2")
    job = iris.submit(GOOD)
    assert "iris@2" in mlq.missing(job.id)
    assert job.state() == "queued"


def test_a_share_goes_to_another_version(mlq, iris):
    iris.set_traffic(default="1", shares={"1.10": 0.5})
    assert shares(mlq) == {"1": 0.5, "1.10": 0.5, "2": 0}
    got = Counter(iris.version_for().version for _ in range(200))
    assert got.keys() == {"1", "1.10"}  # with the same probability as 200 throws of a coin
    by_user = {user: iris.version_for(user).version for user in map(str, range(200))}
    assert set(by_user.values()) == {"1", "1.10"}
    assert all(iris.version_for(user).version == version for user, version in by_user.items())
    assert {iris.submit_many([GOOD] * 3, sticky="a")[i].result(60)["species"] for i in range(3)} in (
        {"short"},
        {"newer"},
    )
    iris.set_traffic(default="1", shares={"1.10": 1.0})
    assert iris.predict(GOOD, 60, sticky="a") == NEW
    assert iris.info().version == "1"


def test_a_larger_share_keeps_those_who_had_the_version(mlq, iris):
    iris.set_traffic(default="1", shares={"1.10": 0.1})
    before = {user for user in map(str, range(300)) if iris.version_for(user).version == "1.10"}
    iris.set_traffic(default="1", shares={"1.10": 0.4})
    after = {user for user in map(str, range(300)) if iris.version_for(user).version == "1.10"}
    assert set() < before < after


def test_the_share_of_a_version_that_nobody_hosts_goes_to_the_default(mlq, iris):
    iris.set_traffic(default="1", shares={"2": 1.0})
    assert iris.predict(GOOD, 60) == OLD
    assert shares(mlq) == {"1": 1, "1.10": 0, "2": 0}


def test_jobs_that_were_posted_stay_with_their_version(mlq):
    """Also within a batch."""
    go = threading.Event()

    class Slow(Iris):
        def predict_batch(self, xs):
            go.wait(60)
            return super().predict_batch(xs)

    mlq.add_model(Slow, batch=4, per_worker=1)
    mlq.add_model(NewerIris)
    mlq.create_listener(concurrency=2)
    iris = mlq.model("iris")
    iris.set_traffic(default="1")
    jobs = iris.submit_many([GOOD] * 10)
    until(lambda: jobs[0].state() == "running")
    iris.set_traffic(default="1.10")
    assert iris.predict(GOOD, 60) == NEW
    go.set()
    assert [job.result(60) for job in jobs] == [OLD] * 10


def test_a_step_of_a_pipeline_follows_it(mlq, iris):
    @mlq.listener(name="ask")
    def ask(_):
        return Forward(GOOD, to=iris)

    iris.set_traffic(default="1")
    until(lambda: any("ask" in worker["functions"] for worker in mlq.workers()))
    assert ask.submit(None).result(60) == OLD


def test_for_asyncio(mlq, iris):
    async def main():
        async with AsyncMLQ(mlq.namespace, url=mlq.url) as client:
            model = client.model("iris")
            await model.set_traffic(default="1", shares={"1.10": 0.5})
            assert await model.traffic() == Traffic("1", {"1.10": 0.5})
            user = next(str(n) for n in range(1000) if point_of("iris", str(n)) < 0.5)
            assert (await model.version_for(user)).version == "1.10"
            assert await model.predict(GOOD, 60, sticky=user) == NEW
            assert [await job.result(60) for job in await model.submit_many([GOOD], sticky=user)] == [NEW]
            assert await (await model.submit(GOOD, sticky=user)).result(60) == NEW
            await client.model("iris", "2").forget()
            assert {one.info.version: one.is_default for one in await client.models()} == {"1": True, "1.10": False}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("default", "given", "words"),
    [
        (None, {"1": 0.7, "1.10": 0.4}, "110% together"), (None, {"1": 1.5}, "at most 1"), (None, {"1": 0}, "above 0"),
        (None, {"1": -0.1}, "above 0"), (None, {"1": float("nan")}, "above 0"), (None, {"1": True}, "above 0"),
        (None, {"1": "10%"}, "above 0"), ("1", {"1": 0.1}, "is the default"), ("a/b", {}, "part of URLs"),
        (None, {"": 0.1}, "part of URLs"),
    ],
)  # fmt: skip
def test_what_is_no_traffic_is_refused(iris, default, given, words):
    with pytest.raises(InputError, match=words):
        iris.set_traffic(default, given)
    assert iris.traffic() == Traffic(None, {})


def test_an_unknown_version_gets_no_traffic(mlq, iris):
    for default, wanted in (("3", {}), (None, {"3": 0.1})):
        with pytest.raises(UnknownModel, match="has no version '3'"):
            iris.set_traffic(default, wanted)
    with pytest.raises(UnknownModel, match="ever hosted"):
        mlq.model("rose").set_traffic(default="1")
    with pytest.raises(InputError, match="name no version"):
        mlq.model("iris", "1").set_traffic(default="1")


@pytest.mark.parametrize("sticky", ["", 7, "x" * 1001, b"x"])
def test_what_is_not_sticky_is_refused(iris, sticky):
    with pytest.raises(InputError, match="sticky must be a text"):
        iris.submit(GOOD, sticky=sticky)


@pytest.mark.parametrize(
    "damaged", [b"", b"[]", b"{}", b"\xff", b'{"default": 1, "shares": {}}', b'{"default": null, "shares": {"1": 2}}',
                b'{"default": null, "shares": 5}', b"[" * 100_000, b'{"default": "1", "shares": {}}' + b" " * 70_000],
)  # fmt: skip
def test_damaged_traffic_is_none(mlq, iris, damaged):
    mlq._shell.run(model_ops.Op(("HSET", f"{mlq._keys.model}iris", "#traffic", damaged), lambda reply: reply))
    assert iris.traffic() == Traffic(None, {})
    assert iris.predict(GOOD, 60) == NEW


def test_a_version_that_is_forgotten_while_jobs_wait_for_it(mlq, iris):
    waits = mlq.model("iris", "2").submit(GOOD)
    mlq.model("iris", "2").forget()
    assert [one.info.version for one in mlq.models()] == ["1.10", "1"]
    assert waits.state() == "queued"
    assert "iris@2" in mlq.missing(waits.id)
    with pytest.raises(UnknownModel, match="has no version '2'"):
        mlq.model("iris", "2").submit(GOOD)
    mlq.add_model(NewestIris)  # a worker hosts it again
    assert waits.result(60) == {"species": "short"}


def test_what_is_in_use_is_not_forgotten(mlq, iris):
    with pytest.raises(InputError, match="a worker hosts version 1 of iris"):
        mlq.model("iris", "1").forget()
    for default, wanted in (("2", {}), ("1", {"2": 0.1})):
        iris.set_traffic(default, wanted)
        with pytest.raises(InputError, match="version 2 of iris gets requests"):
            mlq.model("iris", "2").forget()
    with pytest.raises(InputError, match="which version of iris"):
        iris.forget()
    with pytest.raises(UnknownModel):
        mlq.model("iris", "3").forget()


def test_the_last_version_takes_the_model_with_it(mlq):
    newest = hosting_of(NewestIris, "x", {}, Loads()).listener.about
    mlq._shell.run_many(model_ops.describe(mlq._keys, newest))
    mlq.model("iris").set_traffic(shares={"2": 0.5})
    mlq.model("iris").set_traffic()
    mlq.model("iris", "2").forget()
    assert mlq.models() == []
    with pytest.raises(UnknownModel, match="ever hosted"):
        mlq.model("iris").info()


@given(SHARES, st.floats(0, 1, exclude_max=True))
def test_each_point_has_one_version(given, point):
    """The shares lie side by side."""
    traffic, edge = Traffic.of("z", given), 0.0
    for version, share in traffic.shares.items():
        if edge + 1e-9 < point < edge + share - 1e-9:
            assert traffic.at(point) == version
        edge += share
    if point > edge + 1e-9:
        assert traffic.at(point) is None
    assert Traffic.parse(traffic.packed().encode()) == traffic


@given(st.text(min_size=1, max_size=1000))
def test_a_text_has_one_point(sticky):
    assert 0 <= point_of("iris", sticky) == point_of("iris", sticky) < 1
