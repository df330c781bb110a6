"""A hosted model as a listener: has it predict, and checks what it returns."""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlq.errors import NotLoaded, WrongOutput
from mlq.models.declaration import Declaration
from mlq.models.instance import Instance
from mlq.running.answers import answers_of, only_answer
from mlq.running.execution import drained
from mlq.running.loads import Loads

log = logging.getLogger("mlq.models")


class Hosted:
    """One model. Its methods are what its listener calls."""

    def __init__(self, declared: Declaration, device: str, loads: Loads, *, per_thread: bool = False) -> None:
        """Loads nothing yet. `device`: what the model's `load` gets; `per_thread`: no two threads share one."""
        self._declared = declared
        self._device = device
        self._loads = loads
        self._shared = None if per_thread else self._new()
        self._unused: list[Instance] = []  # if they are not shared: as many as were ever used at a time
        self._loader: ThreadPoolExecutor | None = None

    @contextlib.contextmanager
    def _model(self) -> Iterator[Any]:
        """The loaded model, for one call. Raises NotLoaded."""
        if self._shared is not None:
            yield self._shared.get()
            return
        try:
            own = self._unused.pop()
        except IndexError:
            own = self._new()
        try:
            yield own.get()
        finally:
            self._unused.append(own)

    async def _loaded(self) -> Any:
        """The loaded model, for coroutines: while one loads it, others of the event loop go on. Raises NotLoaded."""
        assert self._shared is not None  # noqa: S101 - `hosting` refuses the option
        if not self._shared.is_loaded:
            if self._loader is None:
                self._loader = ThreadPoolExecutor(1, "mlq-load")  # not asyncio's own threads, which others wait for
            await asyncio.get_running_loop().run_in_executor(self._loader, self._shared.get)
        return self._shared.get()

    def _new(self) -> Instance:
        return Instance(self._declared.kind, self._declared.info.function, self._device, self._loads)

    def warm_up(self, samples: list[Any]) -> None:
        """Load it before the first job, and have it predict `samples`. A failure is logged, and jobs meet it again."""
        try:
            with self._model():
                pass
            for sample in samples:
                self.predict_here(self._declared.convert(sample))
        except NotLoaded:
            pass
        except Exception:  # user code
            log.exception("model %s can't predict a sample of warm_inputs", self._declared.info.function)

    def predict_here(self, inputs: Any) -> Any:
        """The prediction for one input, without a worker: of a model that streams, the last value or all chunks."""
        found = self.listener(batches=False)(inputs)
        if inspect.iscoroutine(found):
            return asyncio.run(found)
        return drained(found, lambda _: None) if inspect.isgenerator(found) else found

    def one(self, inputs: Any) -> Any:
        """The prediction for one input."""
        with contextlib.ExitStack() as use:
            model = use.enter_context(self._model())
            if not self._declared.predicts:
                return self._declared.output(only_answer(model.predict_batch([inputs]), self._batch_name))
            found = model.predict(inputs)
            return self._streamed(found, use.pop_all()) if inspect.isgenerator(found) else self._declared.output(found)

    async def one_async(self, inputs: Any) -> Any:
        """The same for a coroutine."""
        model = await self._loaded()
        if not self._declared.predicts:
            return self._declared.output(only_answer(await model.predict_batch([inputs]), self._batch_name))
        return self._declared.output(await model.predict(inputs))

    def cost(self, inputs: Any) -> float:
        """What one input costs, as the model says."""
        with self._model() as model:
            return float(model.cost(inputs))

    def group(self, inputs: Any) -> Any:
        """With which inputs one may share a call, as the model says."""
        with self._model() as model:
            return model.group(inputs)

    def many(self, inputs: list[Any]) -> list[Any]:
        """The predictions for many inputs, or in the place of one an exception."""
        with self._model() as model:
            return self._outputs(model.predict_batch(inputs), len(inputs))

    async def many_async(self, inputs: list[Any]) -> list[Any]:
        """The same for a coroutine."""
        model = await self._loaded()
        return self._outputs(await model.predict_batch(inputs), len(inputs))

    def listener(self, *, batches: bool) -> Callable[..., Any]:
        """The method to call for a job, or for a batch of them."""
        method = "predict_batch" if batches or not self._declared.predicts else "predict"
        is_async = inspect.iscoroutinefunction(getattr(self._declared.kind, method))
        if batches:
            return self.many_async if is_async else self.many
        return self.one_async if is_async else self.one

    def _streamed(self, chunks: Generator[Any, Any, Any], use: contextlib.ExitStack) -> Generator[Any, Any, Any]:
        """Yields what the model does; what it returns is the output, if it is not None."""
        with use, contextlib.closing(chunks):
            last = yield from chunks
        return None if last is None else self._declared.output(last)

    @property
    def _batch_name(self) -> str:
        return f"{self._declared.info.name}.predict_batch"

    def _outputs(self, given: Any, count: int) -> list[Any]:
        answers = answers_of(given, count, self._batch_name)
        if self._declared.output_many is not None:
            with contextlib.suppress(Exception):  # one is wrong, or an exception, so each is looked at
                return self._declared.output_many(answers)
        return [self._output_or_error(one) for one in answers]

    def _output_or_error(self, given: Any) -> Any:
        if isinstance(given, BaseException):
            return given
        try:
            return self._declared.output(given)
        except WrongOutput as error:
            return error
