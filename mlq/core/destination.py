"""Where the jobs of a listener go: its queue and its functions, as whoever declared it knows them."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Destination(NamedTuple):
    """A queue, None for the usual one, and the names of functions."""

    queue: str | None
    functions: list[str]


def declared_with(function: object) -> Any:
    """What the methods of a declared listener post with (`running/declared.py`); None for any other object."""
    return getattr(getattr(function, "submit", None), "keywords", {}).get("_to")


def destination_of(function: Callable[..., Any]) -> Destination:
    """Of a declared listener, what its `submit` posts to; of any other function, its name."""
    declared = declared_with(function)
    if declared is not None:
        return Destination(declared.queue, list(declared.functions))
    return Destination(None, [getattr(function, "__name__", None) or type(function).__name__])
