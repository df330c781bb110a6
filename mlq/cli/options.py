"""Kinds of option values that click has not: lists of names, and sizes in bytes."""

import re
from typing import Any

import click

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


class Names(click.ParamType[Any]):
    """Names with commas between them, as a tuple."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """`a, b` as ("a", "b")."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        if not all(names):
            self.fail(f"{value!r} is no list of names with commas between them", param, ctx)
        return names


class Size(click.ParamType[Any]):
    """Bytes, as a number with or without a unit: 500M is 500 * 1024 * 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", value.strip().lower())
        if found is None:
            self.fail(f"{value!r} is no size: write 500M or 8G", param, ctx)
        return int(float(found[1]) * _UNITS[found[2]])
