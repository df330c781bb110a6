"""Predictions from Python: checked before they are posted, and answered without the model's class."""

import asyncio
import threading

import pytest

from mlq import MLQ, AsyncMLQ, InputError, JobFailed, UnknownModel, ValidationError
from mlq.client import known_models as module
from mlq.core.model import ModelInfo
from mlq.core.versions import Versions
from mlq.models.hosting import hosting_of
from mlq.ops import models as model_ops
from mlq.running.loads import Loads
from tests.models.zoo import Broken, Flower, Iris, NewerIris, Number, Numbers, Odd, Waiting, Words
from tests.programs import until

FUNCTIONS = {"iris@1", "iris@1.10", "number@1", "numbers@1", "odd@1", "words@1", "waiting@1", "broken@1"}


@pytest.fixture
def zoo(mlq):
    """A queue whose worker hosts the models of the tests."""
    for kind in (Iris, NewerIris, Number, Numbers, Odd, Words, Waiting, Broken):
        mlq.add_model(kind)
    mlq.create_listener(concurrency=4)
    return mlq


def test_a_prediction(zoo):
    job = zoo.model("iris", "1").submit({"length": 1, "width": 2})
    assert job.result(60) == {"species": "short"}
    assert job.ready()
    assert zoo.get_job(job.id)["queue"] == "iris"
    assert zoo.model("iris", "1").predict(Flower(length=2, width=2), 20) == {"species": "long on cpu"}


def test_the_newest_version_is_the_default(zoo):
    assert zoo.model("iris").info().version == "1.10"
    assert zoo.model("iris").predict({"length": 1, "width": 2}, 20) == {"species": "newer"}


def test_many_predictions_are_batched(zoo):
    jobs = zoo.model("numbers").submit_many(range(100))
    assert [job.result(60) for job in jobs] == [2 * n for n in range(100)]


def test_a_wrong_input_is_refused_at_once_and_nothing_is_posted(zoo):
    before = zoo.last_id()
    with pytest.raises(ValidationError) as refused:
        zoo.model("iris").submit({"length": "x"})
    assert sorted(refused.value.faults) == [("length", "must be number, not a string ('x')"), ("width", "is missing")]
    with pytest.raises(ValidationError):
        zoo.model("numbers").submit_many([1, "x"])
    assert zoo.last_id() == before


def test_what_only_the_model_can_refuse_has_the_same_shape(zoo):
    job = zoo.model("iris").submit({"length": 1, "width": 7}, retries=5)
    with pytest.raises(ValidationError, match="seven is for the model alone") as refused:
        job.result(60)
    assert [path for path, _ in refused.value.faults] == ["width"]
    assert len(zoo.get_job(job.id)["attempts"]) == 1


def test_an_error_of_the_model_arrives_with_its_traceback(mlq):
    mlq.add_model(Iris, batch=1)
    mlq.create_listener()
    with pytest.raises(ArithmeticError, match="thirteen") as raised:
        mlq.model("iris").predict({"length": 13, "width": 1}, 20)
    assert "zoo.py" in str(raised.value.__cause__)


def test_an_exception_in_the_place_of_an_output_fails_that_prediction_alone(zoo):
    jobs = zoo.model("iris", "1").submit_many([{"length": n, "width": 1} for n in (1, 13, 1)])
    assert (jobs[0].result(60), jobs[2].result(60)) == ({"species": "short"}, {"species": "short"})
    with pytest.raises(ArithmeticError, match="thirteen"):
        jobs[1].result(60)


@pytest.mark.parametrize(
    ("model", "given", "error_type", "words"),
    [
        ("number", -3, "mlq.errors.WrongOutput", "no number"),
        ("number", -4, "builtins.SystemExit", "SystemExit"),
        ("number", -5, "tests.models.zoo.Unprintable", "Unprintable"),
        ("numbers", 404, "mlq.running.answers.WrongNumber", "a list of 2 for 1 message"),
        ("broken", 1, "mlq.errors.NotLoaded", "No such file"),
    ],
)
def test_failures_are_told(zoo, model, given, error_type, words):
    with pytest.raises(JobFailed, match=words) as failed:
        zoo.model(model).predict(given, 20)
    assert failed.value.error_type == error_type
    assert zoo.model("number").predict(1, 20) == 2  # others go on


def test_a_wrong_number_of_answers_shifts_none(zoo):
    jobs = zoo.model("numbers").submit_many([1, 404, 2])
    assert (jobs[0].result(60), jobs[2].result(60)) == (2, 4)
    with pytest.raises(JobFailed, match="a list of 2 for 1 message"):
        jobs[1].result(60)


@pytest.mark.parametrize(("model", "given", "output"), [("odd", 3, ["3"]), ("waiting", 3, -3), ("words", "a b", "A B")])
def test_odd_models(zoo, model, given, output):
    assert zoo.model(model).predict(given, 20) == output


def test_words_are_streamed(zoo):
    job = zoo.model("words").submit("a b c")
    assert list(job.stream()) == ["a", "b", "c"]
    assert job.result(60) == "A B C"


def test_unknown_models(zoo, mlq):
    zoo.model("odd").predict(1, 20)  # the worker has described its models
    with pytest.raises(UnknownModel, match=r"has ever hosted a model 'irs'.*did you mean 'iris'"):
        mlq.model("irs").submit({})
    with pytest.raises(UnknownModel, match=r"has no version '2', but 1.10, 1$"):
        mlq.model("iris", "2").submit({})
    for name in ("", "a/b", None, "x" * 65):
        with pytest.raises(InputError, match="the model's name must be"):
            mlq.model(name)


class NewestIris(Iris):
    """The one after that."""

    version = "2"


def test_a_new_version_is_found_soon(zoo, monkeypatch):
    """Descriptions are used for some seconds; a version that is not among them is asked for."""
    with MLQ(zoo.namespace, url=zoo.url) as client:
        asked = client.model("iris")
        until(client.models)
        before = asked.info()
        assert before.version == "1.10"
        zoo.add_model(NewestIris)
        until(lambda: any(one.info.version == "2" and not one.unserved for one in client.models()))
        assert client.model("iris", "2").info().version == "2"
        client._models.remember("iris", Versions([before]))
        assert asked.info().version == "1.10"
        monkeypatch.setattr(module, "FRESH", 0.0)
        until(lambda: asked.info().version == "2")  # the list of workers is read once a second


def test_a_version_that_nobody_hosts_any_more_is_not_the_default(mlq):
    """After going back to an older version, predictions would wait for ever."""
    gone = ModelInfo.parse(hosting_of(NewestIris, "x", {}, Loads()).listener.about.encode())
    mlq._shell.run_many(model_ops.describe(mlq._keys, gone.packed()))
    assert mlq.model("iris").info().version == "2"  # as long as nobody hosts another one
    mlq.add_model(Iris)
    mlq.create_listener()
    until(lambda: [one for one in mlq.models() if one.unserved is None])
    mlq._models.remember("iris", Versions([]))
    with MLQ(mlq.namespace, url=mlq.url) as client:
        assert client.model("iris").predict({"length": 1, "width": 2}, 20) == {"species": "short"}
        assert client.model("iris", "2").info().version == "2"


async def _predictions(namespace, url):
    async with AsyncMLQ(namespace, url=url) as mlq:
        model = mlq.model("iris", "1")
        assert (await model.info()).name == "iris"
        assert await model.predict({"length": 1, "width": 2}, 20) == {"species": "short"}
        jobs = await mlq.model("numbers").submit_many([1, 2])
        assert [await job.result(60) for job in jobs] == [2, 4]
        with pytest.raises(ValidationError):
            await model.submit({"length": 1})
        with pytest.raises(ValidationError, match="seven"):
            await model.predict({"length": 1, "width": 7}, 20)
        with pytest.raises(UnknownModel, match="did you mean 'iris'"):
            await mlq.model("irs").submit({})
        found = await mlq.models()
        assert all(one.unserved is None for one in found)
        assert {one.info.function for one in found} == FUNCTIONS


def test_asyncio(zoo):
    zoo.model("odd").predict(1, 20)  # the worker has described its models
    asyncio.run(_predictions(zoo.namespace, zoo.url))


def test_states(zoo):
    """Where a model is loaded is told with a worker's heartbeat."""
    zoo.model("iris", "1").predict({"length": 1, "width": 2}, 20)
    with pytest.raises(JobFailed):
        zoo.model("broken").predict(1, 20)
    until(lambda: any(one.state == "broken" for one in zoo.models()))  # with the worker's next heartbeat
    states = {one.info.function: one.state for one in zoo.models()}
    assert states == {"iris@1": "ready", "broken@1": "broken"} | dict.fromkeys(
        ("iris@1.10", "number@1", "numbers@1", "odd@1", "words@1", "waiting@1"), "cold"
    )
    (broken,) = [one for one in zoo.models() if one.info.name == "broken"]
    assert "weights.bin" in broken.why
    assert broken.processes[0].state == "broken"


def test_garbage_in_the_descriptions_hides_no_other_model(zoo, raw, keys):
    zoo.model("odd").predict(1, 20)
    raw.sadd(keys.models, "string", "damaged", b"\xff", "a/b")
    raw.set(keys.model + "string", "x")
    raw.hset(keys.model + "damaged", mapping={"1": b"\xc1", "2": "[]", "3": '{"name": 5}', "4": "[" * 100_000})
    raw.hset(keys.model + "odd", "2", "null")
    assert {one.info.name for one in zoo.models()} == {
        "iris", "number", "numbers", "odd", "words", "waiting", "broken",
    }  # fmt: skip
    with pytest.raises(UnknownModel):
        zoo.model("damaged").submit(1)
    assert zoo.model("odd").predict(1, 20) == ["1"]


def test_descriptions_outlive_clear(zoo):
    zoo.model("odd").predict(1, 20)
    zoo.clear()
    zoo._models.remember("odd", Versions([]))
    assert zoo.model("odd").predict(1, 20) == ["1"]


class Texts:
    """Counts what shares its call."""

    name, version = "texts", "1"
    Input, Output = str, list[str]

    def cost(self, x):
        return 1 / (3 - len(x)) if len(x) == 3 else len(x)

    def group(self, x):
        return x[0]

    def predict_batch(self, xs):
        return [xs] * len(xs)


def test_inputs_of_one_group_share_a_call_up_to_a_cost(mlq):
    mlq.add_model(Texts, max_cost=4)
    mlq.create_listener()
    go = threading.Event()
    mlq.create_listener(wait := lambda _msg: go.wait(20))
    blocks = mlq.submit(1, functions=[mlq.listeners.called(wait)])
    jobs = mlq.model("texts").submit_many(["a", "b", "ab", "bc", "a", "abc", "accccccc"])
    go.set()
    blocks.result(60)
    with pytest.raises(ZeroDivisionError):  # in its cost: it concerns that one alone
        jobs.pop(5).result(60)
    assert [job.result(60) for job in jobs] == [
        ["a", "ab", "a"], ["b", "bc"], ["a", "ab", "a"], ["b", "bc"], ["a", "ab", "a"], ["accccccc"],
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "options"), [(Iris, {"max_cost": 4}), (Texts, {"max_cost": 0})])
def test_costs_that_are_refused(mlq, kind, options):
    with pytest.raises(InputError, match="max_cost"):
        mlq.add_model(kind, **options)
