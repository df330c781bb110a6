"""Why a value can't be packed: which part of it, and what to send instead. Runs only after packing has failed."""

import itertools
import reprlib
from collections.abc import Callable, Iterator
from time import sleep
from types import FunctionType
from typing import Any

from msgpack import Packer  # type: ignore[import-untyped]

from mlq.core.plain import fields_of

UNPACKABLE = (TypeError, ValueError, OverflowError, BufferError, RecursionError)

TURN = 5_000  # parts after which to yield to other greenlets of the process: some milliseconds
_KEY = object()  # marks a step from a dict to one of its keys; a step to a value is the key, or the index in a list


def explain(root: object, name: str, error: Exception, extend: Callable[[object], object]) -> str:
    """Which part of `root` can't be packed, its type, and what to do; `error` is what packing raised.

    `extend` packs what MessagePack lacks.
    """
    # An explicit stack, and each container visited once: the value may be nested too deeply for recursion, contain
    # itself, or contain the same list a million times.
    levels: list[Iterator[tuple[object, object]]] = [iter([(None, root)])]
    steps: list[object] = [None]  # the last step of each level
    parents: list[int] = []  # ids of the containers from the root to here
    seen: dict[int, object] = {}  # by id, and held: a container made for an object would else leave its id to the next
    for looked_at in itertools.count(1):
        if not levels:
            break
        if not looked_at % TURN:
            sleep(0)
        steps[-1], item = next(levels[-1], (None, levels))
        if item is levels:  # this level is done
            levels.pop()
            steps.pop()
            del parents[-1:]
            continue
        container = _container(item)
        if container is None:
            if fault := _fault(item, extend):
                kind = f"{type(item).__module__}.{type(item).__qualname__}".removeprefix("builtins.")
                return f"{_place(name, steps)} ({kind}): {fault}"
        elif id(item) not in seen:
            seen[id(item)] = item
            parents.append(id(item))
            levels.append(_children(container))
            steps.append(None)
        elif id(item) in parents:
            whole = _place(name, steps[: parents.index(id(item)) + 1])
            return f"{_place(name, steps)}: this is {whole} itself, and a value must not contain itself"
    return f"{name}: {reason(error)} (at most 1,024 levels)"


def _container(item: object) -> Any:
    """The dict, list or tuple that this is, or that is packed for it; None if it is something else."""
    try:
        item = fields_of(item)
    except UNPACKABLE:
        return None
    return item if isinstance(item, (dict, list, tuple)) else None


def _children(container: Any) -> Iterator[tuple[object, object]]:
    if isinstance(container, dict):
        for key, item in container.items():
            yield _KEY, key
            yield key, item
    else:
        yield from enumerate(container)


def _place(name: str, steps: list[object]) -> str:
    """`msg['a'][3]`, or `a key of msg['a']`."""
    for step in steps[1:]:
        if step is _KEY:
            return f"a key of {name}"
        name += f"[{reprlib.repr(step)}]"
    return name if len(name) <= 200 else f"{name[:100]} ... {name[-100:]}"


def _fault(leaf: object, extend: Callable[[object], object]) -> str | None:
    """Why `leaf`, which is not a container, can't be packed, and what to do; None if it can be packed."""
    try:
        Packer(default=extend).pack(leaf)
    except UNPACKABLE as error:
        return reason(error) if type(error) in (TypeError, ValueError, BufferError) else advice(leaf)
    return None


def advice(value: object) -> str:
    """What to send instead of a value that can't be packed."""
    if isinstance(value, (set, frozenset)):
        return "send a list"
    if isinstance(value, int):
        return "it needs more than 64 bits; send a str or a Decimal"
    if isinstance(value, str):
        return "UTF-8 has no lone surrogates; send .encode('utf-8', 'surrogatepass')"
    if ways := [f".{name}()" for name in ("to_dict", "to_numpy", "model_dump", "numpy") if hasattr(type(value), name)]:
        return f"send its {' or '.join(ways)}"
    if isinstance(value, FunctionType):
        return f"to have it run for a message, name it: functions=[{value.__name__!r}]"
    return "send its content as dict, list, str, bytes, int, float or numpy arrays"


def reason(error: Exception) -> str:
    """The error's message, or its type's name."""
    return str(error)[:200] or type(error).__name__  # cut: some messages quote all of the bytes
