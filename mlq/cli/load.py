"""Finds the queues of a worker: imports what the user named, and looks for `MLQ` objects with listeners."""

import contextlib
import importlib
import importlib.util
import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mlq import MLQ, InputError, MLQError
from mlq.batches.hosting import host_files
from mlq.running.listeners import Listener
from mlq.system.importing import importing
from mlq.worker.leaving import Stopped

if TYPE_CHECKING:
    from mlq.models.config import Entry

log = logging.getLogger("mlq.cli")

_NOT_THE_USERS = (f"{Path(__file__).parents[1]}{os.sep}", f"{Path(importlib.__file__).parent}{os.sep}",
                  "<frozen importlib")  # fmt: skip
SLOW = 10.0  # seconds of importing after which the log says where it is
_LIBRARIES = f"{Path(os.__file__).parent}{os.sep}"  # of Python, and those that are installed


def queues_of(target: str, namespace: str | None) -> list[MLQ]:
    """The queues of `module`, `module:object`, `path/file.py` or `path/file.py:object` that have listeners.

    Or the queue of the models that `models.toml` names. With `namespace`, only those of that namespace. Raises
    InputError with the reason if there are none.
    """
    found = [_queue_of_models(Path(target), namespace)] if target.endswith(".toml") else _of_module(target, namespace)
    for queue in found:
        host_files(queue, queue.listeners)
    return found


def _of_module(target: str, namespace: str | None) -> list[MLQ]:
    place, _, wanted = target.partition(":")
    module = _imported(place)
    found = [_named(module, place, wanted)] if wanted else _all_queues(module)
    if not found:
        raise InputError(f"{place} has no queue: write  mlq = MLQ('name')  in it, and @mlq.listener before functions")
    queues = [queue for queue in found if queue.listeners.names()]
    if not queues:
        raise InputError(f"the queue in {place} has no listeners: write  @mlq.listener  before the functions to run")
    matching = [queue for queue in queues if namespace in (None, queue.namespace)]
    if not matching:
        there = ", ".join(repr(queue.namespace) for queue in queues)
        instead = "unset MLQ_NAMESPACE" if os.environ.get("MLQ_NAMESPACE") == namespace else "leave out --namespace"
        raise InputError(f"{place} uses namespace {there}, not {namespace!r}: {instead}, or change one of them")
    return matching


def _queue_of_models(path: Path, namespace: str | None) -> MLQ:
    from mlq.models import config
    from mlq.models.foreign import description

    queue = MLQ() if namespace is None else MLQ(namespace)
    entries = config.read(path, os.environ)
    sys.path.insert(0, str(path.resolve().parent))
    description.learn(one.source for one in entries if one.source is not None)
    for entry in entries:
        if (listener := _listener_of(entry, queue)) is None:
            continue
        if listener.name in queue.listeners.names():
            raise InputError(f"{entry.place}: {path} has another model of this name and version ({listener.name})")
        queue.listeners.add(listener)
    if not queue.listeners.names():
        raise InputError(f"no model of {path} is available")
    return queue


def descriptions_for(target: str) -> list[int]:
    """The file descriptor from which children read what models of other interpreters are, if `target` has some.

    Each interpreter is asked once and not by each child. Raises InputError.
    """
    if not target.endswith(".toml"):
        return []
    from mlq.models import config
    from mlq.models.foreign import description

    sources = [one.source for one in config.read(Path(target), os.environ) if one.source is not None]
    description.learn(sources)
    return [description.handed_on()] if sources else []


def _listener_of(entry: "Entry", queue: MLQ) -> Listener | None:
    """The listener of a model in models.toml; None if it is not available."""
    from mlq.models import hosting
    from mlq.models.foreign.hosting import hosting_of_foreign

    if entry.source is not None:
        found = hosting_of_foreign(entry.source, entry.place, entry.options, queue.listeners.loads)
        return found and found.listener
    kind: object = _imported(entry.module, entry.place)
    for name in entry.qualified_name.split("."):
        if not hasattr(kind, name):
            raise InputError(f"{entry.place}: there is no {entry.qualified_name!r} in module {entry.module}")
        kind = getattr(kind, name)
    return hosting.hosting_of(kind, entry.place, entry.options, queue.listeners.loads).listener


def _all_queues(module: ModuleType) -> list[MLQ]:
    return list({id(value): value for value in vars(module).values() if isinstance(value, MLQ)}.values())


def _named(module: ModuleType, place: str, wanted: str) -> MLQ:
    value: object = module
    for name in wanted.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise InputError(f"there is no {wanted!r} in {place}") from None
    if not isinstance(value, MLQ):
        raise InputError(f"{wanted!r} in {place} is not an MLQ object, but {value!r:.80}")
    return value


def _imported(place: str, asked_by: str = "") -> ModuleType:
    """The module named. If importing it fails, raises InputError with the error and the line that caused it.

    `asked_by`: what names it, for errors; itself if left out.
    """
    try:
        with importing(), _tells_if_slow(place):
            if place.endswith(".py") or "/" in place:
                return _from_file(Path(place))
            sys.path.insert(0, str(Path.cwd()))  # a console script's path begins with its own folder
            return importlib.import_module(place)
    except InputError as error:
        if (line := _line(error)) is None:  # about the name itself, not about code in the module
            raise
        log.debug("importing %s failed", place, exc_info=True)
        raise InputError(f"{error} ({line})") from None
    except (MLQError, Stopped):
        raise
    except (Exception, SystemExit) as error:  # the module is user code
        log.debug("importing %s failed", place, exc_info=True)
        raise InputError(f"can't import {asked_by or place}: {_reason(error)}; --log-level debug shows all") from None


@contextlib.contextmanager
def _tells_if_slow(place: str) -> Iterator[None]:
    """Log where the import of a module is if it takes long: it may load a model, or wait for what never comes."""
    thread = threading.get_ident()

    def tell() -> None:
        stack = traceback.extract_stack(sys._current_frames().get(thread))[::-1]  # noqa: SLF001 - Python has no other way
        own = _own(stack)
        log.info("importing %s has taken %g s so far%s", place, SLOW, f": it is at {own}" if own else "")

    timer = threading.Timer(SLOW, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    name = path.stem
    if name in sys.modules or name in sys.stdlib_module_names:
        raise InputError(f"{path} has the name of a module that Python itself needs ({name}): rename the file")
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file")
    sys.path.insert(0, str(path.resolve().parent))  # as if it were run, so that it can import its neighbours
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _reason(error: BaseException) -> str:
    """The error, and the line of the user's code that raised it."""
    summary = " ".join(traceback.format_exception_only(error)[-1].split())
    line = _line(error)
    return f"{summary} ({line})" if line else summary


def _line(error: BaseException) -> str | None:
    """File and line of the user's code that caused the error; None if no such code was involved."""
    if isinstance(error, SyntaxError) and Path(error.filename or "").is_file():  # unparsable code has no frame
        return f"{error.filename}, line {error.lineno}"
    return _own(traceback.extract_tb(error.__traceback__)[::-1])


def _own(frames: Sequence[traceback.FrameSummary]) -> str | None:
    """File and line of the innermost frame of the user's code."""
    outside = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_USERS)]
    own = next((frame for frame in outside if not frame.filename.startswith(_LIBRARIES)), None) or next(
        iter(outside), None
    )
    return f"{own.filename}, line {own.lineno}" if own else None
