"""Errors of a model in another interpreter, as errors of this one: with type, text, arguments and traceback."""

import builtins
import functools
from typing import Any

from mlq.core.exceptions import text_of
from mlq.errors import InputError, MLQError, RemoteTraceback, ValidationError, WrongOutput
from mlq.running.answers import WrongNumber
from mlq.running.validation import path_of

REASON = 200  # characters shown of a reason, which may quote the value


class ForeignError(Exception):
    """An exception whose class is not there in this process; a subclass with its name stands for each class."""

    __slots__ = ("_text", "is_whole")

    def __init__(self, text: str, args: list[Any] | None) -> None:
        """`args`: those of the exception; None if there is more to it than these."""
        super().__init__(*(args or ()))
        self._text = text
        self.is_whole = args is not None

    def __str__(self) -> str:
        """The exception's own text."""
        return self._text

    def __reduce__(self) -> tuple[Any, ...]:
        """As the exception itself; of another class if it can't be made from its arguments."""
        return (type(self) if self.is_whole else ForeignError, self.args)


def error_of(told: Any, function: str) -> Exception:
    """What the other side tells as an exception. `function`: the name of the model's listener."""
    try:
        return _error_of(told, function)
    except (LookupError, TypeError, ValueError):  # other code has written to its socket
        return MLQError(f"the process of model {function} told an error that can't be read: {told!r:.200}")


def _error_of(told: Any, function: str) -> Exception:
    kind, name = told["kind"], function.partition("@")[0]
    if kind == "raised":
        return _raised(str(told["type"]), str(told["text"]), told["args"], str(told["trace"]))
    if kind == "invalid":
        faults = [(path_of(steps), str(reason)[:REASON]) for steps, reason in told["faults"]]
        words = "; ".join(f"{path}: {reason}" if path else reason for path, reason in faults)
        return ValidationError(f"the input of {name} does not fit {told['wanted']}: {words}", faults)
    if kind == "output":
        return WrongOutput(f"{name} returned a value that {told['why']}")
    if kind == "number":
        return WrongNumber(f"{name}.predict_batch {told['why']}")
    return InputError(str(told["why"]))


def _raised(kind: str, text: str, args: list[Any] | None, trace: str) -> Exception:
    error = _builtin(kind, text, args) or _class_of(kind)(text or kind.rpartition(".")[2], args)
    error.__cause__ = RemoteTraceback(trace)
    return error


def _builtin(kind: str, text: str, args: list[Any] | None) -> Exception | None:
    """The exception itself if it is one of Python's own and says the same."""
    module, _, name = kind.rpartition(".")
    found: Any = getattr(builtins, name, None) if module == "builtins" and args is not None else None
    if (
        not isinstance(found, type)
        or not issubclass(found, Exception)
        or issubclass(found, (StopIteration, StopAsyncIteration))
    ):
        return None
    try:
        made = found(*(args or ()))
    except Exception:  # noqa: BLE001 - the arguments are those that a model gave it
        return None
    return made if text_of(made) == (text or name) else None


@functools.lru_cache(256)
def _class_of(kind: str) -> type[ForeignError]:
    """The class that stands for the one of this name."""
    module, _, name = kind.rpartition(".")
    return type(name, (ForeignError,), {"__module__": module, "__qualname__": name, "__slots__": ()})
