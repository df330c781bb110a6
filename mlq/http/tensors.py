"""Maps tensors of the Open Inference Protocol to the inputs of a model, and its outputs to tensors. Pure."""

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

from mlq.core.checks import nearest
from mlq.errors import InputError
from mlq.http.tensor_forms import SHOWN, Column, Form

MOST_ROWS = 10_000
MOST_VALUES = 500_000  # of one tensor, as in any JSON body

Value = Any  # a number, a text, a truth value, or lists of them


class Datatype(NamedTuple):
    """What a datatype of the protocol holds."""

    fits: frozenset[str]  # types of JSON Schema
    holds: frozenset[type]
    bits: tuple[int, int] = (0, 0)  # of the smallest value (0 for none) and of the largest


def _integer(low: int, high: int) -> Datatype:
    return Datatype(frozenset({"integer", "number"}), frozenset({int}), (low, high))


_FLOAT = Datatype(frozenset({"number"}), frozenset({int, float}))
DATATYPES = {
    "BOOL": Datatype(frozenset({"boolean"}), frozenset({bool})),
    **{f"INT{bits}": _integer(bits - 1, bits - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": _integer(0, bits) for bits in (8, 16, 32, 64)},
    "FP32": _FLOAT,
    "FP64": _FLOAT,
    "BYTES": Datatype(frozenset({"string"}), frozenset({str})),
}


class Given(Protocol):
    """A tensor that was sent."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


def rows_of(form: Form, tensors: Iterable[Given]) -> list[Any]:
    """The inputs of the model, one for each row. Raises InputError, which names the tensor to blame."""
    columns: dict[str, list[Value]] = {}
    for tensor in tensors:
        column = form.columns.get(tensor.name)
        if column is None:
            hint = nearest(tensor.name[:SHOWN], form.columns) or f"; there is {', '.join(form.columns):.200}"
            raise InputError(f"there is no input {tensor.name!r:.{SHOWN}}{hint}")
        if tensor.name in columns:
            raise InputError(f"there are two inputs {tensor.name!r:.{SHOWN}}")
        columns[tensor.name] = _values(column, tensor)
        if len(columns[tensor.name]) != len(next(iter(columns.values()))):
            rows = ", ".join(f"{name!r:.{SHOWN}} {len(values):,}" for name, values in columns.items())
            raise InputError(f"the inputs have different numbers of rows: {rows}")
    if lacking := [name for name, one in form.columns.items() if one.required and name not in columns]:
        raise InputError(f"the input {lacking[0]!r:.{SHOWN}} is missing")
    if not columns:
        raise InputError("there are no inputs")
    if form.is_whole:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _values(column: Column, tensor: Given) -> list[Value]:
    """The value of each row. Raises InputError."""
    shape, name = tensor.shape, f"input {column.name!r:.{SHOWN}}"
    wanted = [column.shape] if column.sizes else [[-1], [-1, 1]]
    if not any(_agrees(shape, one) for one in wanted):
        shown = " or ".join(_words(one) for one in wanted)
        raise InputError(f"{name}: its shape must be {shown}, not {shape!s:.{SHOWN}}")
    if not 1 <= shape[0] <= MOST_ROWS:
        raise InputError(f"{name}: there may be 1 to {MOST_ROWS:,} rows, not {shape[0]:,}")
    if math.prod(size for size in shape if size) > MOST_VALUES:  # a size of 0 would allow any others
        raise InputError(f"{name}: there may be {MOST_VALUES:,} values in one tensor")
    flat = _flat(tensor.data, shape, name)
    _check_values(column, tensor.datatype, flat, name)
    return _nested(flat, shape) if column.sizes else flat


def _agrees(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    return len(shape) == len(wanted) and all(size in (-1, one) for one, size in zip(shape, wanted, strict=True))


def _words(shape: Sequence[int]) -> str:
    return f"[{', '.join(['n', *('any' if size == -1 else str(size) for size in shape[1:])])}]"


def _flat(data: list[Any], shape: Sequence[int], name: str) -> list[Any]:
    """The values, row by row. Raises InputError if they are not as many as the shape says."""
    if not data or type(data[0]) is not list:
        if len(data) != math.prod(shape):
            raise InputError(f"{name}: shape {shape} has {math.prod(shape):,} values, and data {len(data):,}")
        return data
    level: list[Any] = [data]
    for size in shape:
        if any(type(one) is not list or len(one) != size for one in level):
            raise InputError(f"{name}: data is not nested as shape {shape} says")
        level = list(chain.from_iterable(level))
    return level


def _nested(flat: list[Any], shape: Sequence[int]) -> list[Value]:
    """Lists within lists, one for each row."""
    for place in range(len(shape) - 1, 0, -1):
        size, count = shape[place], math.prod(shape[:place])
        flat = [flat[start * size : (start + 1) * size] for start in range(count)]
    return flat


def _check_values(column: Column, datatype: str, values: list[Any], name: str) -> None:
    """Raises InputError if the datatype is not one for this field, or the values are not of that datatype."""
    known = DATATYPES.get(datatype)
    if known is None or column.kind not in known.fits:
        possible = [one for one, found in DATATYPES.items() if column.kind in found.fits]
        raise InputError(f"{name}: its datatype must be {' or '.join(possible)}, not {datatype:.{SHOWN}}")
    if not known.holds.issuperset(map(type, values)):
        wrong = next(one for one in values if type(one) not in known.holds)
        raise InputError(f"{name}: {wrong!r:.{SHOWN}} is not of datatype {datatype}")
    low, high = known.bits
    if high and values and not (min(values) >= (-(1 << low) if low else 0) and max(values) < 1 << high):
        raise InputError(f"{name}: a value is out of the range of {datatype}")
    if known is _FLOAT and not all(map(_is_finite, values)):
        raise InputError(f"{name}: a value is out of the range of {datatype}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number with hundreds of digits
        return False


class Outputs:
    """Collects the outputs of a model, row by row, as tensors."""

    def __init__(self, form: Form, wanted: Sequence[str] = ()) -> None:
        """`wanted`: only these tensors, in this order; all if there are none. Raises InputError."""
        unknown = next((name for name in wanted if name not in form.columns), None)
        if unknown is not None:
            hint = nearest(unknown[:SHOWN], form.columns) or f"; there is {', '.join(form.columns):.200}"
            raise InputError(f"there is no output {unknown!r:.{SHOWN}}{hint}")
        self._form = form
        self._data: dict[str, list[Any]] = {name: [] for name in wanted or form.columns}
        self._sizes: dict[str, list[int]] = {}
        self._rows = 0

    def add(self, output: Any) -> None:
        """Add the output of the next row. Raises InputError if it can't be in one tensor with those before."""
        for name, values in self._data.items():
            value = output if self._form.is_whole else output.get(name) if isinstance(output, dict) else None
            level, sizes = _unpacked(value, len(self._form.columns[name].sizes))
            if sizes is None or sizes != self._sizes.setdefault(name, sizes):
                raise InputError(
                    f"the output {name!r:.{SHOWN}} of row {self._rows} is not of the same shape as those of other rows"
                )
            values.extend(level)
        self._rows += 1

    def tensors(self) -> list[dict[str, Any]]:
        """The tensors of all rows, in the form in which they are sent."""
        return [
            {
                "name": name,
                "datatype": self._form.columns[name].datatype,
                "shape": [self._rows, *self._sizes.get(name, ())],
                "data": data,
            }
            for name, data in self._data.items()
        ]


def _unpacked(value: Any, rank: int) -> tuple[list[Any], list[int] | None]:
    """The values of a row, and the sizes of its dimensions; None if it has none, because its parts differ."""
    level, sizes = [value], []
    for _ in range(rank):
        found = {len(one) if isinstance(one, list) else -1 for one in level} or {0}
        if len(found) > 1 or -1 in found:
            return [], None
        sizes.append(found.pop())
        level = list(chain.from_iterable(level))
    return level, sizes
