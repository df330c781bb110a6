"""Option types that click lacks: counts, lists of names, sizes, and ports that ignore Kubernetes' variables."""

import logging
import re
from pathlib import Path
from typing import Any

import click

from mlq.batches.allowed import Allowed
from mlq.batches.roots import check_root
from mlq.core.checks import size_in
from mlq.errors import InputError

log = logging.getLogger("mlq.cli")

_SERVICE = re.compile(r"(tcp|udp|sctp)://\S*")
AUTO = "auto"


class Port(click.Option):
    """A port. Its variable may hold an address that Kubernetes sets for a service (`tcp://10.0.0.7:5001`): ignored."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """The variable's value, unless it is such an address."""
        value = super().resolve_envvar_value(ctx)
        if value is None or _SERVICE.fullmatch(value) is None:
            return value
        log.warning("%s_PORT=%s is the address of a service, not a port: ignored", ctx.auto_envvar_prefix, value)
        return None


class Count(click.ParamType[Any]):
    """A whole number from 1, or the word `auto`."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """`4` as 4; `auto` stays, since what it means depends on other options."""
        if value == AUTO or isinstance(value, int):
            return AUTO if value == AUTO else int(value)
        if re.fullmatch(r"\s*\+?0*[1-9]\d{0,17}\s*", value, re.ASCII) is None:
            self.fail(f"{value!r} is neither a whole number from 1 nor auto", param, ctx)
        return int(value)


class Unique(click.ParamType[Any]):
    """A number of seconds, or a word that `core/unique.py` checks."""

    name = "unique"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:  # noqa: ARG002 - click's own
        """`60` as 60.0; `waiting` stays."""
        try:
            return float(value)
        except ValueError:
            return str(value)


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


class FilePlaces(Names):
    """Directories and URLs, as absolute ones."""

    name = "places"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """`data,s3://b/c` as ("/home/me/data", "s3://b/c")."""
        found = tuple(
            place if "://" in place else str(Path(place).absolute()) for place in super().convert(value, param, ctx)
        )
        try:
            Allowed(found)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return found


class FilesRoot(click.ParamType[Any]):
    """Where files are kept: a directory of this machine, as an absolute path, or a URL."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`files` as /home/me/files; s3://bucket/files stays. Nothing is made or reached yet."""
        root = value if "://" in value else str(Path(value).absolute())
        if Path(value).exists() and not Path(value).is_dir():
            self.fail(f"{value!r} is no directory", param, ctx)
        try:
            check_root(root)
        except InputError as error:
            self.fail(str(error), param, ctx)
        return root


class Size(click.ParamType[Any]):
    """Bytes, as a number with or without a unit: 500M is 500 * 1024 * 1024."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        if isinstance(value, int):
            return value
        if (size := size_in(value)) is None:
            self.fail(f"{value!r} is not a size: write 500M or 8G", param, ctx)
        return size
