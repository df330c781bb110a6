"""Plain values of dataclasses, pydantic models and msgspec structs, so that they can be messages and results.

pydantic and msgspec are looked for only among the modules already loaded: otherwise there can't be a value of theirs.
"""

import dataclasses
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import PurePath
from typing import Any

_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})


def fields_of(value: Any) -> Any:
    """The fields of a dataclass, model or struct as a dict (a list for `array_like`); any other value as it is.

    One level only: a value of a field that is such an object again is left as it is. `dataclasses.asdict` and
    `msgspec.to_builtins` would copy arrays or refuse them, and an object that contains itself would end in an error
    that does not say where. Within the fields, a set becomes a list, an Enum its value, a path or URL a string, and a
    number of numpy a Python number: the type that the fields declare says what they were.
    """
    kind, models = type(value), getattr(sys.modules.get("pydantic.main"), "BaseModel", ())
    if dataclasses.is_dataclass(kind):
        return dict(_of_dataclass(value))
    if hasattr(kind, "__struct_config__") and "msgspec" in sys.modules:
        return _of_struct(value)
    if isinstance(value, models):
        return _plain(value.model_dump(mode="python"))
    return value


def _of_dataclass(value: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(value):
        held = getattr(value, field.name, dataclasses.MISSING)  # one that `__init__` does not set may be missing
        if held is not dataclasses.MISSING:
            yield field.name, _plain(held)


def _of_struct(value: Any) -> Any:
    kind, config, unset = type(value), type(value).__struct_config__, sys.modules["msgspec"].UNSET
    held = [_plain(getattr(value, name)) for name in kind.__struct_fields__]
    if config.array_like:
        return held if config.tag is None else [config.tag, *held]
    head = {} if config.tag is None else {config.tag_field: config.tag}
    named = zip(kind.__struct_encode_fields__, held, strict=True)
    return head | {name: item for name, item in named if item is not unset}


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict:
        return {_plain(key): _plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:  # a long list of numbers is not copied: looking takes 20 ns for each
        return value if _SCALARS.issuperset(map(type, value)) else kind(map(_plain, value))
    if isinstance(value, (set, frozenset)):
        return list(map(_plain, value))
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, PurePath) or kind.__module__ == "pydantic.networks":
        return str(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.integer, numpy.floating, numpy.bool_)):
        return value.item()
    return value
