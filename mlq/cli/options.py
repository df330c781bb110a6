"""Option types that click lacks: lists of names, sizes in bytes, and ports that ignore Kubernetes' variables."""

import logging
import re
from typing import Any

import click

log = logging.getLogger("mlq.cli")

_SERVICE = re.compile(r"(tcp|udp|sctp)://\S*")
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


class Port(click.Option):
    """A port. Its variable may hold an address that Kubernetes sets for a service (`tcp://10.0.0.7:5001`): ignored."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The variable's value, unless it is such an address."""
        value = super().resolve_envvar_value(ctx)
        if value is None or _SERVICE.fullmatch(value) is None:
            return value
        log.warning("%s_PORT=%s is the address of a service, not a port: ignored", ctx.auto_envvar_prefix, value)
        return None


class Names(click.ParamType[Any]):
    """Names separated by commas, as a tuple."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """`a, b` as ("a", "b")."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        if not all(names):
            self.fail(f"{value!r} is not a list of names separated by commas", param, ctx)
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
            self.fail(f"{value!r} is not a size: write 500M or 8G", param, ctx)
        return int(float(found[1]) * _UNITS[found[2]])
