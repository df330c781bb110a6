"""Asks other interpreters what their models are: name, version, schemas and methods, or why that can't be said."""

import contextlib
import json
import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import IO, Any, NamedTuple

from mlq.models.foreign import here
from mlq.models.foreign.interpreter import Interpreter, frame_of
from mlq.system.exits import exit_text

log = logging.getLogger("mlq.models")

PATIENCE = 60.0  # seconds that an interpreter has to import a model's module, and to describe the model
AT_ONCE = 4  # interpreters that are asked at a time
OLDEST = "3.7"  # as in other_side/program.py
TAIL = 2000  # bytes read of what an interpreter wrote to stderr


class Source(NamedTuple):
    """Where a model is."""

    python: str  # the interpreter
    target: dict[str, str]  # what it is to load; see `other_side/program.py`
    why: str = ""  # it can't be hosted, if that is known before it is asked

    @property
    def key(self) -> str:
        """Under which its description is known."""
        return json.dumps([self.python, self.target])

    @property
    def name(self) -> str:
        """What is to be loaded, for errors."""
        target = self.target
        return target["class"] if "class" in target else f"{target['source']}:{target['uri']}"


class Description(NamedTuple):
    """What an interpreter said about a model."""

    name: Any
    version: Any
    about: str
    input: dict[str, Any]
    output: dict[str, Any]
    methods: list[str]  # those of predict, predict_batch, cost and group that it has
    streams: bool  # its `predict` is a generator
    checked: bool  # its outputs are checked where they are made
    chat: Any  # whether it takes requests of OpenAI's chat completions


class Unavailable(Exception):
    """A model can't be hosted."""


def described(source: Source) -> Description:
    """The description of one model, asked for if it is not known. Raises Unavailable with the reason."""
    learn([source])
    told = here.KNOWN[source.key]
    if "why" in told:
        raise Unavailable(told["why"])
    return Description(**told)


def learn(sources: Iterable[Source]) -> None:
    """Ask for the descriptions that this process does not know yet, some at a time."""
    new = [source for source in sources if source.key not in here.KNOWN]
    for source in new:
        if source.why:
            _note(source, {"why": source.why})
    left = iter([source for source in new if not source.why])
    while some := list(islice(left, AT_ONCE)):
        _ask(some)


def handed_on() -> int:
    """A file descriptor from which children read all that is known here; it stays open as long as this process."""
    with tempfile.TemporaryFile() as file:
        file.write(json.dumps(here.KNOWN).encode())
        file.flush()
        return os.dup(file.fileno())


def _ask(sources: Sequence[Source]) -> None:
    give_up = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as open_ones:
        asked = [(source, open_ones.enter_context(contextlib.closing(_Asked(source)))) for source in sources]
        for source, one in asked:
            _note(source, one.answer(give_up))


def _note(source: Source, told: dict[str, Any]) -> None:
    here.KNOWN[source.key] = told
    if "why" in told:
        log.error("the model %s is not available: %s", source.name, told["why"])


class _Asked:
    """One interpreter that is to describe a model."""

    def __init__(self, source: Source) -> None:
        self._path = source.python
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - until `close`
        self._interpreter: Interpreter | None = None
        try:
            self._interpreter = Interpreter(source.python, subprocess.DEVNULL, self._said)
        except OSError as error:
            self._why = f"{source.python} can't be started: {error.strerror}"
            return
        with contextlib.suppress(OSError):  # it has ended, and will not answer
            self._interpreter.send(frame_of("describe", source.target))

    def answer(self, give_up: float) -> dict[str, Any]:
        """The description; or `why` there is none."""
        if self._interpreter is None:
            return {"why": self._why}
        try:
            word, value = self._frame(self._interpreter, give_up)
            if word == "failed":
                return {"why": f"{self._path}: {_words_of(value)}"}
            return Description(**value)._asdict()
        except TimeoutError:
            return {"why": f"{self._path} has not described it within {PATIENCE:g} s"}
        except (EOFError, OSError, ValueError, TypeError, LookupError):
            return {"why": self._end(self._interpreter)}

    def _frame(self, interpreter: Interpreter, give_up: float) -> tuple[str, Any]:
        word = "said"
        while word == "said":
            interpreter.socket.settimeout(max(0.01, give_up - time.monotonic()))
            word, value = interpreter.receive()
        return word, value

    def _end(self, interpreter: Interpreter) -> str:
        """Why there is no answer: how the process has ended, and the last line of what it wrote to stderr."""
        interpreter.hang_up()
        with contextlib.suppress(subprocess.TimeoutExpired):
            interpreter.process.wait(1)
        interpreter.process.kill()
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - TAIL))
        lines = self._said.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = exit_text(interpreter.process.wait())
        return f"{self._path} does not answer as Python {OLDEST} or newer does: it {how}{last and f' ({last:.200})'}"

    def close(self) -> None:
        """End the interpreter."""
        if self._interpreter is not None:
            self._interpreter.end()
            self._interpreter.process.wait()
        self._said.close()


def _words_of(told: dict[str, Any]) -> str:
    """An error of the other side in one line."""
    if told["kind"] != "raised":
        return str(told["why"])
    kind = str(told["type"]).removeprefix("builtins.")
    return " ".join(f"{kind}: {told['text']}".split())[:300]
