"""Which columns of a file become which fields of a model's input: checked before anything is predicted. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlq.core.checks import nearest
from mlq.errors import InputError
from mlq.files.csv_rows import PLAIN
from mlq.files.object_fields import Fields, fields_in

SHOWN = 10  # names in an error


class Columns(NamedTuple):
    """What of a row is used; the names are those of `Chunk`."""

    fields: tuple[tuple[str, str], ...] = ()
    keep: tuple[str, ...] = ()


def chosen_columns(
    source: str,
    there: Sequence[str],
    fields: Fields | None,
    given: Mapping[str, str],
    keep: Sequence[str],
    *,
    whole: bool = True,
) -> Columns:
    """Which columns become which fields. `source`: what the file is called; `given`: columns by field.

    `whole`: a file has these columns and no others, and each once; else, they are those of its first lines. Without
    `fields`, the input is a dict of whatever there is. Raises InputError, naming all that is wrong of one sort.
    """
    _check_named(source, there, [*given.values(), *keep])
    _check_once(keep)
    if fields is None:
        pairs = _all_of(there, given) if given else ()
        used = there
    else:
        _check_fields(given, fields)
        pairs = _pairs(source, there, fields, given, whole=whole)
        used = [*(column for _, column in pairs), *keep]
    if whole:
        _check_unique(source, there, used)
    return Columns(pairs, tuple(keep))


def _all_of(there: Sequence[str], given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Those that were named, and all other columns under their own names."""
    others = [name for name in there if name not in set(given.values()) and name not in given]
    return (*given.items(), *((name, name) for name in others))


def _pairs(
    source: str, there: Sequence[str], fields: Fields, given: Mapping[str, str], *, whole: bool
) -> tuple[tuple[str, str], ...]:
    present = set(there)
    wanted = [(name, given.get(name, name)) for name in fields.schemas]
    lacking = [column for name, column in wanted if name in fields.required and column not in present]
    if lacking:
        named = _list([f"{name!r}{_near(name, there)}" for name in lacking])
        has = _list([repr(name) for name in there]) or "none"
        raise InputError(f"{source} lacks {named}, which the model needs; it has {has}. Name others with FIELD=COLUMN")
    if whole:
        return tuple((name, column) for name, column in wanted if column in present)
    return tuple(wanted) if given else ()


def _near(name: str, there: Sequence[str]) -> str:
    """A hint at the column that was probably meant: also one that differs in case, spaces and underscores alone."""
    plain = {_plain(one): one for one in there}
    found = plain.get(_plain(name))
    return f" (did you mean {found!r}?)" if found is not None else nearest(name, there)


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def _check_fields(given: Mapping[str, str], fields: Fields) -> None:
    unknown = [name for name in given if name not in fields.schemas]
    if unknown:
        raise InputError(f"the model has no field {unknown[0]!r}{nearest(unknown[0], fields.schemas)}")


def _check_named(source: str, there: Sequence[str], named: Sequence[str]) -> None:
    for name in named:
        if name not in there:
            raise InputError(f"{source} has no column {name!r}{_near(name, there)}")


def _check_once(keep: Sequence[str]) -> None:
    for name, count in Counter(keep).items():
        if count > 1:
            raise InputError(f"keep names the column {name!r} twice")


def _check_unique(source: str, there: Sequence[str], used: Sequence[str]) -> None:
    twice = [name for name, count in Counter(there).items() if count > 1 and name in used]
    if twice:
        raise InputError(f"{source} has the column {_list([repr(name) for name in twice])} twice")


def check_outputs(keep: Sequence[str], outputs: Sequence[str]) -> None:
    """Check that no column of the output would be there twice. Raises InputError."""
    if both := [name for name in keep if name in outputs]:
        raise InputError(f"the column {both[0]!r} can't be kept: the prediction has one of this name")


def outputs_in(schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The columns of the predictions, by the schema of a model's output; () if that does not tell them."""
    found = fields_in(schema)
    if found is not None:
        return tuple(found.schemas)
    return PLAIN if schema and schema.get("type") in ("number", "integer", "string", "boolean", "array") else ()


def outputs_or_usual(outputs: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of predictions, also if no row has told them."""
    return outputs or PLAIN


def schemas_in(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schemas of the columns of the predictions, as far as they are known."""
    found = fields_in(schema)
    if found is not None:
        return {name: one for name, one in found.schemas.items() if isinstance(one, dict)}
    return {PLAIN[0]: dict(schema)} if schema else {}


def _list(words: Sequence[str]) -> str:
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
