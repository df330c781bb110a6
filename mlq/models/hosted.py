"""A hosted model as a listener: loads it on first use, once per process, and has it predict."""

import asyncio
import contextlib
import inspect
import logging
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

from mlq.errors import NotLoaded, WrongOutput
from mlq.models.declaration import Declaration
from mlq.running.answers import answers_of
from mlq.running.loads import Loads

log = logging.getLogger("mlq.models")

FIRST_PAUSE, LONGEST_PAUSE = (
    1.0,
    60.0,
)  # seconds between two tries to load a model that failed to load; doubled each time


class Hosted:
    """One model. Its methods are what its listener calls."""

    def __init__(self, declared: Declaration, device: str, loads: Loads) -> None:
        """Loads nothing yet. `device`: what the model's `load` gets."""
        self._declared = declared
        self._device = device
        self._loads = loads
        self._loading = threading.Lock()
        self._loaded = False
        self._model: Any = None  # never asked for its truth value or length: a model may have odd ones
        self._failures = 0
        self._retry_at = 0.0
        self._why = ""

    def instance(self) -> Any:
        """The loaded model. One thread loads it, however many want it. Raises NotLoaded."""
        if not self._loaded:
            with self._loading:
                if not self._loaded:
                    self._load()
        return self._model

    def _load(self) -> None:
        name, began = self._declared.info.function, time.monotonic()
        if began < self._retry_at:
            raise NotLoaded(f"{self._why} (the next try is in {self._retry_at - began:.0f} s)")
        self._loads.loading(name)
        log.info("loading model %s on %s", name, self._device)
        try:
            made = self._declared.kind()
            if hasattr(made, "load"):
                made.load(self._device)
        except (Exception, SystemExit) as error:  # user code
            self._failures += 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
            self._retry_at = time.monotonic() + pause
            self._why = f"model {name} can't be loaded: {_words_of(error)}"
            self._loads.broken(name, _words_of(error))
            log.error("%s; the next try is in %.0f s at the earliest", self._why, pause)  # noqa: TRY400 - the job has the traceback
            raise NotLoaded(self._why) from error
        except BaseException:  # the attempt was given up
            self._loads.interrupted(name)
            raise
        took = time.monotonic() - began
        self._model, self._failures, self._loaded = made, 0, True
        self._loads.ready(name, took)
        log.info("model %s is ready; loading took %.1f s", name, took)

    def warm_up(self, samples: list[Any]) -> None:
        """Load it before the first job, and have it predict `samples`. A failure is logged, and jobs meet it again."""
        try:
            self.instance()
            for sample in samples:
                self.now(self._declared.convert(sample))
        except NotLoaded:
            pass
        except Exception:  # user code
            log.exception("model %s can't predict a sample of warm_inputs", self._declared.info.function)

    def now(self, inputs: Any) -> Any:
        """The prediction for one input, without a worker: of a model that streams, the last value or all chunks."""
        found = self.listener(batches=False)(inputs)
        if inspect.iscoroutine(found):
            return asyncio.run(found)
        return drained(found) if inspect.isgenerator(found) else found

    def one(self, inputs: Any) -> Any:
        """The prediction for one input."""
        model = self.instance()
        if not self._declared.predicts:
            return self._only(self._batch(model.predict_batch([inputs]), 1))
        found = model.predict(inputs)
        return self._streamed(found) if inspect.isgenerator(found) else self._declared.output(found)

    async def one_async(self, inputs: Any) -> Any:
        """The same for a coroutine."""
        model = await asyncio.to_thread(self.instance)
        if not self._declared.predicts:
            return self._only(self._batch(await model.predict_batch([inputs]), 1))
        return self._declared.output(await model.predict(inputs))

    def many(self, inputs: list[Any]) -> list[Any]:
        """The predictions for many inputs, or in the place of one an exception."""
        return self._batch(self.instance().predict_batch(inputs), len(inputs))

    async def many_async(self, inputs: list[Any]) -> list[Any]:
        """The same for a coroutine."""
        model = await asyncio.to_thread(self.instance)
        return self._batch(await model.predict_batch(inputs), len(inputs))

    def listener(self, *, batches: bool) -> Callable[..., Any]:
        """The method to call for a job, or for a batch of them."""
        method = "predict_batch" if batches or not self._declared.predicts else "predict"
        is_async = inspect.iscoroutinefunction(getattr(self._declared.kind, method))
        if batches:
            return self.many_async if is_async else self.many
        return self.one_async if is_async else self.one

    def _streamed(self, chunks: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Yields what the model does; what it returns is the output, if it is not None."""
        with contextlib.closing(chunks):
            last = yield from chunks
        return None if last is None else self._declared.output(last)

    def _batch(self, given: Any, count: int) -> list[Any]:
        return [
            self._output_or_error(one) for one in answers_of(given, count, f"{self._declared.info.name}.predict_batch")
        ]

    def _output_or_error(self, given: Any) -> Any:
        if isinstance(given, BaseException):
            return given
        try:
            return self._declared.output(given)
        except WrongOutput as error:
            return error

    @staticmethod
    def _only(found: list[Any]) -> Any:
        if isinstance(found[0], BaseException):
            raise found[0]
        return found[0]


def drained(chunks: Generator[Any, Any, Any]) -> Any:
    """What a generator returns, or if that is None, a list of what it yields."""
    yielded: list[Any] = []
    while True:
        try:
            yielded.append(next(chunks))
        except StopIteration as end:
            return yielded if end.value is None else end.value


def _words_of(error: BaseException) -> str:
    """The error in one line, even if its own methods raise."""
    kind = type(error).__name__
    try:
        words = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - user code
        return kind
    return f"{kind}: {words:.300}" if words else kind
