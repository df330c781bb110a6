"""Runs a model in a test's own process: without server, worker or network, but with the checks that a job meets."""

import asyncio
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from mlq.client.json_schema import Checker
from mlq.core import codec
from mlq.errors import InputError
from mlq.models.declaration import Declaration, declaration_of
from mlq.models.foreign.declaring import declaration_of_foreign
from mlq.models.foreign.description import Unavailable
from mlq.models.foreign.hosting import source_of_file
from mlq.models.hosted import Hosted
from mlq.running.loads import Loads


class TestClient:
    """A model in this process. It is loaded with the first prediction."""

    __test__ = False  # pytest takes what is called Test... for tests

    def __init__(self, model: type | str, device: str = "cpu", python: str | None = None) -> None:
        """`device`: what `load` gets. Raises InputError if the class is no model.

        `python`: the path of another interpreter, in which the model runs; then it is named "folder/file.py:Class".
        """
        self._declared = _declared(model, python)
        self._hosted = Hosted(self._declared, device, Loads())
        self._checker = Checker(self._declared.info.input, f"the input of {self._declared.info.name}")

    def predict(self, inputs: Any) -> Any:
        """The output for one input, as a client gets it; of a model that streams, the last value or all chunks.

        Raises ValidationError, NotLoaded, WrongOutput, and what the model raises.
        """
        return self._hosted.predict_here(self._read(inputs))

    def predict_batch(self, many: Iterable[Any]) -> list[Any]:
        """The outputs for many inputs in one call of the model's `predict_batch`; an exception fails only its input.

        Raises as `predict`, before the model is asked if an input is wrong.
        """
        given = self._hosted.listener(batches=True)([self._read(inputs) for inputs in many])
        found: list[Any] = asyncio.run(given) if inspect.iscoroutine(given) else given
        return found

    def stream(self, inputs: Any) -> Iterator[Any]:
        """What a model whose `predict` is a generator yields. Raises as `predict`."""
        given = self._hosted.listener(batches=False)(self._read(inputs))
        if not inspect.isgenerator(given):
            raise TypeError(f"{self._declared.info.name}.predict is not a generator, so there is nothing to stream")
        yield from given

    def _read(self, inputs: Any) -> Any:
        """An input as a worker reads it: checked against the schema, sent, received and converted."""
        sent = codec.pack(self._checker.check(inputs))
        return self._declared.convert(codec.unpack(sent))


def _declared(model: type | str, python: str | None) -> Declaration:
    if python is None:
        return declaration_of(model, getattr(model, "__qualname__", str(model)))
    source = source_of_file(str(model), {"python": python})
    try:
        return declaration_of_foreign(source, {})
    except Unavailable as error:
        raise InputError(f"{model} is not available: {error}") from None
