"""Messages and results as the types that a listener declares: which annotations count, and how values are converted.

Only structured types are converted: dataclasses, pydantic models, msgspec structs, and containers of them. All other
annotations are left to type checkers (docs/adr/0026).
"""

import functools
import inspect
import logging
from collections import abc
from collections.abc import Callable
from types import NoneType, SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

from mlq.running.pipeline import Forward, Split
from mlq.running.validation import engine_for, libraries_of

log = logging.getLogger("mlq.worker")

_YIELDING = (abc.Iterator, abc.Iterable, abc.AsyncIterator, abc.AsyncIterable, abc.AsyncGenerator)
_AWAITED = (abc.Awaitable, abc.Coroutine)


class Converter:
    """Converts values to a declared type, which is looked up when the first one comes: it may be declared later."""

    __slots__ = ("_convert", "_find", "_what")

    def __init__(self, what: str, find: Callable[[], Any]) -> None:
        """`what` the values are, for errors; `find` returns the type, and may raise anything."""
        self._what = what
        self._find = find
        self._convert: Callable[[Any], Any] | None = None

    def __call__(self, value: Any) -> Any:
        """The value as the declared type. Raises ValidationError, and what the type's own code raises."""
        convert = self._convert
        if convert is None:
            convert = self._convert = self._made()
        return convert(value)

    def _made(self) -> Callable[[Any], Any]:
        try:
            return engine_for(self._find(), self._what)
        except Exception as error:  # noqa: BLE001 - user code: annotations, and what builds types from them
            kind = type(error).__name__
            log.warning("%s is not converted to the type that is declared: %s: %s", self._what, kind, error)
            return _unchanged


def for_message(function: Callable[..., Any], name: str, *, in_list: bool = False) -> Converter | None:
    """What converts the messages of a listener; None if its first parameter declares no structured type.

    `in_list`: it takes lists of messages.
    """
    annotation = _of_first_parameter(function)
    return _converter(f"the message to {name}", function, annotation, _item_of if in_list else _same)


def for_result(function: Callable[..., Any], name: str, *, in_list: bool = False) -> Converter | None:
    """What converts a listener's results back; None if it declares to return no structured type.

    `in_list`: it returns lists of results.
    """
    annotation = _signature(function, "return_annotation")
    return _converter(f"the result of {name}", function, annotation, _one_result_of if in_list else _result_of)


def _converter(what: str, function: Callable[..., Any], annotation: Any, of: Callable[[Any], Any]) -> Converter | None:
    if annotation is inspect.Signature.empty:
        return None

    def find() -> Any:
        return of(_resolved(annotation, _names_around(function)))

    try:
        if not libraries_of(find()):
            return None
    except Exception:  # noqa: BLE001, S110 - user code: its names may be declared later
        pass
    return Converter(what, find)


def _of_first_parameter(function: Callable[..., Any]) -> Any:
    """The annotation of the parameter that takes the message; of the function within if a decorator passes all on."""
    for follow in (False, True):
        parameters = _signature(function, "parameters", follow_wrapped=follow)
        first = next(iter(parameters.values())) if isinstance(parameters, abc.Mapping) and parameters else None
        if first is not None and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
            return first.annotation
    return inspect.Signature.empty


def _signature(function: Callable[..., Any], part: str, *, follow_wrapped: bool = True) -> Any:
    try:
        return getattr(inspect.signature(function, follow_wrapped=follow_wrapped), part)
    except (TypeError, ValueError):  # builtins without a signature
        return inspect.Signature.empty


def _names_around(function: Any) -> dict[str, Any]:
    """The globals of the module that the function was written in."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, type):
            function = vars(function).get("__init__")
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__globals__") or not hasattr(type(function).__call__, "__globals__"):
            return getattr(function, "__globals__", {})
        else:
            function = type(function).__call__


def _resolved(annotation: Any, names: dict[str, Any]) -> Any:
    """The type; alone, since other parameters may name what only type checkers import (`if TYPE_CHECKING`)."""
    alone: Any = SimpleNamespace(__annotations__={"it": annotation})
    return get_type_hints(alone, names, include_extras=True)["it"]


def _result_of(hint: Any) -> Any:
    """The type of the result of a function that declares to return `hint`: see `execution._finished`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in _AWAITED and args:
        return _result_of(args[-1])
    if origin is abc.Generator and len(args) == 3 and args[2] not in (None, NoneType):
        return _result_of(args[2])
    if origin in (*_YIELDING, abc.Generator) and args:
        return list.__class_getitem__(args[0])
    if not {hint, *args}.isdisjoint((Forward, Split)):  # then it is what another listener returns
        return Any
    return args[1] if origin is tuple and len(args) == 2 and args[1] is not Ellipsis else hint


def _one_result_of(hint: Any) -> Any:
    """The type of one result of a function that declares to return a list of them."""
    origin, args = get_origin(hint), get_args(hint)
    return _one_result_of(args[-1]) if origin in _AWAITED and args else _result_of(_item_of(hint))


def _item_of(hint: Any) -> Any:
    """The type of the items of a list or sequence; of anything else, nothing is known."""
    origin, args = get_origin(hint), get_args(hint)
    return args[0] if origin in (list, abc.Sequence, abc.Iterable, abc.Collection) and args else Any


def _same(hint: Any) -> Any:
    return hint


def _unchanged(value: Any) -> Any:
    return value
