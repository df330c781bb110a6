"""Converts a function to code that can be sent, and code to a function."""

import types
from collections.abc import Callable
from typing import Any

from mlq.core.checks import DEFAULT_QUEUE, check_functions, lane_of
from mlq.errors import InputError


def pickled(function: Callable[..., Any]) -> tuple[str, bytes]:
    """Name and code of a function. Raises InputError if it can't be uploaded."""
    import cloudpickle  # type: ignore[import-untyped]  # takes 30 ms, and only uploads need it

    name = name_of(function)
    try:
        return name, cloudpickle.dumps(function)
    except Exception as error:  # objects that the function refers to may raise anything
        raise InputError(f"{name} can't be uploaded: {type(error).__name__}: {error}") from error


def name_of(function: object) -> str:
    """The listener's name. Raises InputError if `function` is not a function with a name of its own."""
    if not isinstance(function, types.FunctionType):
        kind = "a class" if isinstance(function, type) else f"of type {type(function).__name__}"
        raise InputError(f"only a function (def or async def) can be uploaded; this is {kind}")
    if function.__name__ == "<lambda>":
        raise InputError("a lambda has no name that jobs could refer to: define it with def")
    return check_name(function.__name__)


def check_name(name: str) -> str:
    """Return `name` if it is valid for a listener. Raises InputError."""
    check_functions([name])
    lane_of(DEFAULT_QUEUE, [name])  # raises if it is too long
    return name


def load(code: bytes) -> tuple[str, Callable[..., Any]]:
    """Name and function. Runs the code, which may raise anything. Raises InputError if it is not a named function."""
    import cloudpickle

    function = cloudpickle.loads(code)
    return name_of(function), function
