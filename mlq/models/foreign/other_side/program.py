"""Runs one model in another Python interpreter: answers the process of MLQ that started it there, over a socket.

It needs Python 3.7 or newer and its standard library; nothing of MLQ can be imported here. It ends when the socket
does.

A frame is the length of its body, in 8 bytes, and the body: a JSON array of a word and a value.

    asked    describe  [target]: the description of the model
             load      [target, device]: load it
             one       [input]: the prediction
             many      [inputs]: a list of [word, value] for the inputs, in which the words are `done` and `failed`
             cost      [input], group [input]: what the model says about the input
             next      []: the next chunk of the prediction that streams
             close     []: no more chunks are wanted
    answers  said      [1 or 2, text]: the model has written to stdout or stderr; the answer is still to come
             done      the value
             chunk     a value, of a prediction that streams
             streams   null: the prediction streams; ask for its chunks
             failed    an error: its kind and what belongs to that kind, see `failed` in values.py
"""

import asyncio
import importlib
import importlib.util
import inspect
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Tuple

OLDEST = (3, 7)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _beside(name: str) -> Any:
    """A module beside this file. The folder is not on the path, where it would hide modules of the model."""
    spec: Any = importlib.util.spec_from_file_location(f"mlq_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from mlq.models.foreign.other_side import values, wire
else:
    values, wire = _beside("values"), _beside("wire")


class Streams:
    """The answer of a prediction that streams."""


class Chunk:
    """A part of such a prediction."""

    def __init__(self, value: Any) -> None:
        """`value`: what the model has yielded."""
        self.value = value


class Served:
    """The model. Its public methods are what it can be asked."""

    def __init__(self) -> None:
        """Loads nothing yet."""
        self._model: Any = None
        self._input: Any = None
        self._output: Any = None
        self._chunks: Optional[Iterator[Any]] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    def describe(self, target: Dict[str, Any]) -> Dict[str, Any]:
        """What the class says of itself."""
        kind = _class_of(target)
        lacking = [name for name in ("name", "version", "Input", "Output") if not hasattr(kind, name)]
        if lacking:
            raise values.Refused(f"it has no {' and no '.join(lacking)}")
        methods = [one for one in ("predict", "predict_batch", "cost", "group") if callable(getattr(kind, one, None))]
        if not {"predict", "predict_batch"}.intersection(methods):
            raise values.Refused("it has neither a method predict(self, x) nor predict_batch(self, xs)")
        predict = getattr(kind, "predict", None)
        if inspect.isasyncgenfunction(predict):
            raise values.Refused(
                "its predict is an async generator; to stream, write a generator: def predict(self, x): yield ..."
            )
        about = (inspect.getdoc(kind) or "").partition("\n\n")[0] if kind.__doc__ else ""
        self._read_types(kind)
        return {
            "name": kind.name, "version": kind.version, "about": " ".join(about.split()), "methods": methods,
            "input": self._input.schema(), "output": self._output.schema(), "checked": self._output.checked,
            "streams": inspect.isgeneratorfunction(predict), "chat": getattr(kind, "chat", False),
        }  # fmt: skip

    def load(self, target: Dict[str, Any], device: str) -> None:
        """Load it."""
        kind = _class_of(target)
        self._read_types(kind)
        self._model = kind()
        if hasattr(self._model, "load"):
            self._model.load(device)

    def _read_types(self, kind: Any) -> None:
        self._input, self._output = values.type_of(kind.Input, "Input"), values.type_of(kind.Output, "Output")

    def one(self, value: Any) -> Any:
        """The prediction for one input."""
        found = self._awaited(self._model.predict(self._input.read(value)))
        if inspect.isgenerator(found):
            self._chunks = found
            return Streams
        return self._output.plain(found)

    def next(self) -> Any:
        """The next chunk of a prediction, or its output."""
        chunks: Any = self._chunks
        try:
            return Chunk(next(chunks))
        except StopIteration as end:
            return None if end.value is None else self._output.plain(end.value)

    def close(self) -> None:
        """No more chunks are wanted."""
        chunks: Any = self._chunks
        chunks.close()

    def many(self, inputs: List[Any]) -> List[Any]:
        """The predictions for many inputs, in one call of the model; each may fail by itself."""
        answers: List[Any] = [None] * len(inputs)
        good: List[Tuple[int, Any]] = []
        for place, value in enumerate(inputs):
            try:
                good.append((place, self._input.read(value)))
            except Exception as error:  # noqa: PERF203 - an input may be refused alone
                answers[place] = ["failed", values.failed(error)]
        returned = self._awaited(self._model.predict_batch([value for _, value in good])) if good else []
        for (place, _), answer in zip(good, values.listed(returned, len(good))):
            answers[place] = self._answer(answer)
        return answers

    def _answer(self, answer: Any) -> List[Any]:
        try:
            if isinstance(answer, BaseException):
                raise answer
            return ["done", self._output.plain(answer)]
        except BaseException as error:
            return ["failed", values.failed(error)]

    def cost(self, value: Any) -> float:
        """What an input costs."""
        return float(self._model.cost(self._input.read(value)))

    def group(self, value: Any) -> str:
        """With which inputs one may share a call: equal texts."""
        found = self._model.group(self._input.read(value))
        hash(found)
        return repr(found)

    def _awaited(self, value: Any) -> Any:
        if not inspect.isawaitable(value):
            return value
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)

        async def awaited() -> Any:
            return await value

        return self._loop.run_until_complete(awaited())


def _class_of(target: Dict[str, Any]) -> Any:
    """The class that is meant: one of a module, or one that is made for a file by the module of its kind."""
    if "source" in target:
        return _beside(f"source_{target['source']}").class_of(target)
    folder = target["folder"]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module, _, names = target["class"].partition(":")
    kind: Any = importlib.import_module(module)
    for name in names.split("."):
        if not hasattr(kind, name):
            raise values.Refused(f"there is no {names!r} in module {module}")
        kind = getattr(kind, name)
    if not isinstance(kind, type):
        raise values.Refused(f"it is not a class, but {kind!r:.80}")
    return kind


def _leave_to_other_side(*_: Any) -> None:
    """Ignore a signal: it decides what to do."""


def _forked(line: "wire.Wire") -> None:
    """In a process that the model forked: it answers nothing, and ends at a signal."""
    line.forked()
    for number in SIGNALS:
        if signal.getsignal(number) is _leave_to_other_side:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _tie_to_parent(line: "wire.Wire") -> None:
    """Leave signals to the other side, as its own children do, and don't outlive it, not even while in C code."""
    for number in SIGNALS:
        signal.signal(number, _leave_to_other_side)  # not SIG_IGN: programs that the model starts would inherit it
    os.register_at_fork(after_in_child=lambda: _forked(line))
    if sys.platform.startswith("linux"):
        try:
            import ctypes

            # PR_SET_PDEATHSIG. If the parent has died before, the socket has ended.
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        except (ImportError, OSError, AttributeError):  # a Python without ctypes
            pass


def _answer(served: Served, word: str, arguments: List[Any]) -> Tuple[str, Any]:
    try:
        value = getattr(served, word)(*arguments)
    except BaseException as error:  # the model's code; SystemExit, too, is the error of a call
        return "failed", values.failed(error)
    if value is Streams:
        return "streams", None
    return ("chunk", value.value) if isinstance(value, Chunk) else ("done", value)


def main() -> None:
    """Answer until nobody asks any more."""
    line = wire.Wire(int(sys.argv[1]), values.plain)
    if sys.version_info < OLDEST:
        version, oldest = sys.version.split()[0], ".".join(map(str, OLDEST))
        line.send("failed", {"kind": "refused", "why": f"it is Python {version}, and {oldest} or newer is needed"})
        return
    _tie_to_parent(line)
    del sys.argv[1:]
    served = Served()
    sys.stdout, sys.stderr = wire.Said(1, sys.stdout, line), wire.Said(2, sys.stderr, line)
    while True:
        frame = line.receive()
        if frame is None:
            os._exit(0)  # threads of the model, and what it has registered for the exit, would only delay it
        line.calling = threading.get_ident()
        word, value = _answer(served, frame[0], frame[1])
        line.calling = 0
        try:
            line.send(word, value)
        except (TypeError, ValueError, RecursionError) as error:  # a chunk that JSON can't hold
            line.send("failed", values.failed(error))


if __name__ == "__main__":
    main()
