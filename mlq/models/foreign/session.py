"""A model that is loaded in another interpreter: started, asked one thing at a time, and watched until it ends.

If the process crashes, a child process of a pool ends in the same way, so that its worker treats the jobs as those of
any crash: they are lost and run again, apart if need be. Elsewhere the call that needs it fails.
"""

import logging
import os
import resource
import sys
import threading
import time
import weakref
from collections.abc import Generator
from typing import Any, NoReturn

from mlq.models.foreign import here
from mlq.models.foreign.errors import error_of
from mlq.models.foreign.interpreter import Interpreter, frame_of
from mlq.system import memory
from mlq.system.exits import exit_text

log = logging.getLogger("mlq.models")

_BROKEN = (EOFError, OSError, ValueError, TypeError)  # what reading raises if the process is gone, or not in order


class Gone(Exception):
    """The process had ended before it was asked."""


class Session:
    """One process and its model."""

    def __init__(self, python: str, function: str) -> None:
        """Start it. `function`: the name of the model's listener. Raises OSError."""
        self._name = f"the process of model {function} ({python})"
        self._function = function
        self._watch = _Watch(python, self._name)
        self._interpreter = self._watch.start()
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _end, self._watch, self._interpreter)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, or is another process's: a listener may have forked this one."""
        return self._watch.is_over or not self._end.alive or self._watch.owner != os.getpid()

    def end(self) -> None:
        """End it, whatever it does."""
        self._end()

    def ask(self, word: str, *arguments: Any) -> Any:
        """The answer to one request; a generator of chunks if the prediction streams. Raises what the model raised.

        Raises ChildProcessError if the process ends before it answers, and Gone if it has ended before it was asked.
        """
        frame, is_held = frame_of(word, *arguments), True
        self._lock.acquire()
        try:
            if self.is_gone:
                raise Gone
            kind, value = self._exchange(frame)
            if kind == "streams":
                is_held = False
                return self._chunks()
            return self._value_of(kind, value)
        finally:
            if is_held:
                self._lock.release()

    def _chunks(self) -> Generator[Any, Any, Any]:
        """Asks for each chunk when it is wanted. Nothing else is asked until the last one, or until it is closed."""
        is_open = False
        try:
            while True:
                kind, value = self._exchange(frame_of("next"))
                if kind != "chunk":
                    return self._value_of(kind, value)
                is_open = True
                yield value
                is_open = False
        finally:
            try:
                if is_open:
                    self._value_of(*self._exchange(frame_of("close")))
            finally:
                self._lock.release()

    def _exchange(self, frame: bytes) -> tuple[str, Any]:
        """The answer to a frame. Whatever interrupts it ends the process, which would go on with what nobody wants."""
        try:
            word, value = self._heard(frame)
            while word == "said":
                (sys.stdout if value[0] == 1 else sys.stderr).write(value[1])  # so it is captured as the job's own
                word, value = self._heard()
        except BaseException:
            self.end()
            raise
        return word, value

    def _heard(self, frame: bytes = b"") -> tuple[str, Any]:
        try:
            self._interpreter.send(frame)
            return self._interpreter.receive()
        except _BROKEN as error:
            if not isinstance(error, (EOFError, OSError)):
                log.error("%s sent an invalid frame (%s) and is ended", self._name, error)  # noqa: TRY400
            self._interpreter.process.kill()  # if it has only closed its socket
            how = self._watch.ended()
        raise ChildProcessError(f"{self._name} {how}")

    def _value_of(self, kind: str, value: Any) -> Any:
        if kind == "failed":
            raise error_of(value, self._function)
        return value


class _Watch:
    """The thread that starts the process and waits for its end: the system ends the process with that thread."""

    def __init__(self, python: str, name: str) -> None:
        self._python = python
        self._name = name
        self._started, self._over = threading.Event(), threading.Event()
        self._found: Interpreter | OSError | None = None
        self._how = ""
        self.owner = os.getpid()
        self.is_over = False
        self.is_wanted = True  # an end is a crash as long as this is true

    def start(self) -> Interpreter:
        """Start it. Raises OSError."""
        threading.Thread(target=self._run, name="mlq-interpreter", daemon=True).start()
        self._started.wait()
        if not isinstance(self._found, Interpreter):
            raise self._found or OSError("it was not started")
        return self._found

    def ended(self) -> str:
        """How it ended; waits for that."""
        self._over.wait()
        return self._how

    def _run(self) -> None:
        try:
            made = self._found = Interpreter(self._python)
        except OSError as error:
            self._found = error
            return
        finally:
            self._started.set()
        memory.add(made.process.pid)
        code = made.process.wait()
        memory.remove(made.process.pid)
        self._how, self.is_over = exit_text(code), True
        if self.is_wanted:
            log.error("%s %s", self._name, self._how)
            if here.is_child():
                _end_alike(code)
        made.hang_up()
        self._over.set()


def _end(watch: _Watch, interpreter: Interpreter) -> None:
    watch.is_wanted = False
    if watch.owner == os.getpid():
        interpreter.end()
    else:
        interpreter.socket.close()


def _end_alike(code: int) -> NoReturn:
    """End this process as another one has ended."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        os.kill(os.getpid(), -code)
        time.sleep(1)  # a signal that this process leaves to its worker does not end it
    os._exit(max(code, 1))
