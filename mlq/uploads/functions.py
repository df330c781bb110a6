"""A function as code that travels, and code as a function."""

import types
from collections.abc import Callable
from typing import Any

from mlq.core.checks import DEFAULT_QUEUE, check_functions, lane_of
from mlq.errors import InputError


def pickled(function: Callable[..., Any]) -> tuple[str, bytes]:
    """Name and code of a function. Raises InputError for what can't be uploaded."""
    import cloudpickle  # type: ignore[import-untyped]  # 30 ms that only uploads need

    name = name_of(function)
    try:
        return name, cloudpickle.dumps(function)
    except Exception as error:  # what the function refers to may raise anything
        raise InputError(f"{name} can't be uploaded: {type(error).__name__}: {error}") from error


def name_of(function: object) -> str:
    """The listener's name. Raises InputError for what is no function with a name of its own."""
    if not isinstance(function, types.FunctionType):
        kind = "a class" if isinstance(function, type) else f"of type {type(function).__name__}"
        raise InputError(f"an upload is a function (def or async def); this is {kind}")
    if function.__name__ == "<lambda>":
        raise InputError("a lambda has no name that jobs could ask for: write it with def")
    return check_name(function.__name__)


def check_name(name: str) -> str:
    """The name, if jobs can ask for a listener by it. Raises InputError."""
    check_functions([name])
    lane_of(DEFAULT_QUEUE, [name])  # refuses one that is too long
    return name


def load(code: bytes) -> tuple[str, Callable[..., Any]]:
    """Name and function. Runs what the code says: it raises anything, and InputError for what is no named function."""
    import cloudpickle

    function = cloudpickle.loads(code)
    return name_of(function), function
