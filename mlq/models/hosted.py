"""A hosted model as a listener: has it predict, and checks what it gives."""

import asyncio
import contextlib
import inspect
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any

from mlq.errors import NotLoaded, WrongOutput
from mlq.models.declaration import Declaration
from mlq.models.instance import Instance
from mlq.running.answers import answers_of
from mlq.running.loads import Loads

log = logging.getLogger("mlq.models")


class Hosted:
    """One model. Its methods are what its listener calls."""

    def __init__(self, declared: Declaration, device: str, loads: Loads, *, per_thread: bool = False) -> None:
        """Loads nothing yet. `device`: what the model's `load` gets; `per_thread`: each thread has its own instance."""
        self._declared = declared
        self._device = device
        self._loads = loads
        self._shared = None if per_thread else self._new()
        self._own = threading.local()

    def instance(self) -> Any:
        """The loaded model. One thread loads it, however many want it. Raises NotLoaded."""
        if self._shared is not None:
            return self._shared.get()
        if not hasattr(self._own, "instance"):
            self._own.instance = self._new()
        return self._own.instance.get()

    def _new(self) -> Instance:
        return Instance(self._declared.kind, self._declared.info.function, self._device, self._loads)

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

    def cost(self, inputs: Any) -> float:
        """What one input costs, as the model says."""
        return float(self.instance().cost(inputs))

    def group(self, inputs: Any) -> Any:
        """With which inputs one may share a call, as the model says."""
        return self.instance().group(inputs)

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
