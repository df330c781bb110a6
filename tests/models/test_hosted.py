"""A model in one process: loaded once, tried again after a pause, and checked in what it gives."""

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlq import NotLoaded, ValidationError, WrongOutput
from mlq.models import instance as module
from mlq.models.declaration import declaration_of
from mlq.models.hosted import Hosted
from mlq.models.testing import TestClient
from mlq.running.answers import WrongNumber
from mlq.running.loads import Loads
from tests.models.zoo import Broken, Iris, Number, Numbers, Odd, Waiting, Words


def hosted(kind, loads=None):
    return Hosted(declaration_of(kind, "x"), "cpu", loads or Loads())


def test_many_threads_load_it_once():
    go, loads = threading.Barrier(20), []

    class Slow(Number):
        def load(self, device):
            loads.append(device)

    model = hosted(Slow)

    def predict(x):
        go.wait()
        return model.one(x)

    with ThreadPoolExecutor(20) as threads:
        assert sorted(threads.map(predict, range(20))) == list(range(1, 21))
    assert loads == ["cpu"]


def test_each_thread_may_have_its_own():
    go, loads = threading.Barrier(3), []

    class Slow(Number):
        def load(self, device):
            go.wait(20)  # all three at once
            loads.append(threading.get_ident())

    model = Hosted(declaration_of(Slow, "x"), "cpu", Loads(), per_thread=True)

    def predict(x):
        go.wait(20)
        return model.one(x)

    with ThreadPoolExecutor(3) as threads:
        assert sorted(threads.map(predict, range(3))) == [1, 2, 3]
    assert len(set(loads)) == len(loads) == 3


@pytest.mark.parametrize("error", [OSError("disk"), SystemExit(3), MemoryError()])
def test_a_model_that_can_not_be_loaded_is_tried_again_after_growing_pauses(monkeypatch, error):
    now, tries = [0.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    class Failing(Number):
        def load(self, device):
            tries.append(now[0])
            if len(tries) < 9:
                raise error

    loads = Loads()
    model = hosted(Failing, loads)
    for tenth in range(3000):
        now[0] = tenth / 10
        with contextlib.suppress(NotLoaded):
            model.one(1)
        if len(tries) < 9:
            assert type(error).__name__ in loads.all()["number@1"].why
    assert tries == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert loads.all()["number@1"].state == "ready"


def test_an_interrupted_load_counts_as_none():
    class Interrupted(Number):
        def load(self, device):
            if not hasattr(Interrupted, "seen"):
                Interrupted.seen = True
                raise KeyboardInterrupt

    loads, reported = Loads(), []
    loads.report_to(lambda _name, load: reported.append(load.state))
    model = hosted(Interrupted, loads)
    with pytest.raises(KeyboardInterrupt):
        model.one(1)
    assert loads.all() == {}
    assert reported == ["loading", "cold"]
    assert model.one(1) == 2


@pytest.mark.parametrize(
    ("kind", "given", "output"),
    [
        (Iris, {"length": 1, "width": 2}, {"species": "short"}),
        (Number, 4, 5),
        (Numbers, 4, 8),
        (Odd, 3, ["3"]),
        (Waiting, 3, -3),
        (Words, "a b", "A B"),
    ],
)
def test_predictions(kind, given, output):
    assert TestClient(kind).predict(given) == output


def test_streams():
    assert list(TestClient(Words).stream("a b")) == ["a", "b"]
    with pytest.raises(TypeError, match="nothing to stream"):
        list(TestClient(Number).stream(1))


def test_batches():
    short, failed, long = TestClient(Iris).predict_batch([{"length": n, "width": 1} for n in (1, 13, 2)])
    assert (short, long) == ({"species": "short"}, {"species": "long on cpu"})
    assert isinstance(failed, ArithmeticError)
    with pytest.raises(WrongNumber, match=r"numbers\.predict_batch returned a list of 3 for 2 messages"):
        TestClient(Numbers).predict_batch([1, 404])


def test_an_output_that_does_not_fit_is_an_error_of_the_model():
    with pytest.raises(WrongOutput, match=r"number returned a value that does not match int: .*no number"):
        TestClient(Number).predict(-3)


@pytest.mark.parametrize("given", [{"length": "x", "width": 1}, {"length": 1}, {"length": 1, "width": 7}])
def test_a_test_client_refuses_what_a_client_or_worker_would(given):
    with pytest.raises(ValidationError) as refused:
        TestClient(Iris).predict(given)
    assert len(refused.value.faults) == 1


def test_the_error_of_a_load_names_the_model_and_the_reason():
    wanted = r"model broken@1 can't be loaded: FileNotFoundError: .*weights\.bin"
    with pytest.raises(NotLoaded, match=wanted) as refused:
        TestClient(Broken).predict(1)
    assert isinstance(refused.value.__cause__, FileNotFoundError)


def test_a_coroutine_that_waits_for_a_load_keeps_no_thread_of_the_loop():
    """Forty that waited kept all of asyncio's threads, so that loaded models waited, too."""
    begun, go = threading.Event(), threading.Event()

    class Slow(Waiting):
        def load(self, device):
            begun.set()
            go.wait(20)

    async def main():
        model = hosted(Slow)
        waiting = [asyncio.create_task(model.one_async(number)) for number in range(200)]
        await asyncio.to_thread(begun.wait, 20)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 20) == "free"
        go.set()
        assert await asyncio.gather(*waiting) == [-number for number in range(200)]

    asyncio.run(main())
