"""How a listener's function is called: with the context or without it, and whether it is async."""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from mlq.errors import InputError


def takes_two(function: Callable[..., Any], name: str) -> bool:
    """Whether to call it with the context, too. Raises InputError if its signature shows that it can't be called.

    If a decorator wraps it, the wrapper's signature says what can be passed, and the inner function's, what is wanted.
    """
    try:
        inner = outer = inspect.signature(function)
    except (TypeError, ValueError):  # builtins without a signature
        return False
    with contextlib.suppress(ValueError):  # wrappers in C, such as that of functools.cache, have no signature
        outer = inspect.signature(function, follow_wrapped=False)
    one, two = _takes(outer, 1), _takes(outer, 2)
    if not (one or two):
        raise InputError(
            f"{name}() can't be called as a listener: write {name}(msg), {name}(msg, ctx) or {name}(msg, *args)"
        )
    if one != two or _is_opaque(function, outer):
        return two and one != two
    positional = [p for p in inner.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) >= 2 or any(p.kind == p.VAR_POSITIONAL for p in inner.parameters.values())


def _is_opaque(function: object, signature: inspect.Signature) -> bool:
    """Whether it is a C object such as an itemgetter: its signature claims any arguments, which is mostly wrong."""
    while isinstance(function, functools.partial):
        function = function.func
    in_c = isinstance(type(function).__call__, types.WrapperDescriptorType)
    known = hasattr(function, "__code__") or hasattr(function, "__wrapped__")
    return in_c and not known and str(signature) == "(*args, **kwargs)"


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine or an async generator."""
    call = getattr(function, "__call__", None)  # noqa: B004 - an object's own __call__ may be `async def`
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    return any(kind(candidate) for kind in kinds for candidate in (function, call))
