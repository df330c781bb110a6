"""Reads models.toml: which models are hosted, in which environment, with which options.

[[models]]
class = "iris_model:Iris"       module and class; the module may lie beside the file
python = "../old/bin/python"    the interpreter in which it runs, if that is another one; from the folder of the file
batch = 32                      see `hosting.ModelOptions`
source = "onnx:./model.onnx"    instead of `class`, with `name` and `version`: a file; or "mlflow:./folder"
environments = ["prod"]         hosted only there; without it, everywhere
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlq.core.checks import nearest
from mlq.errors import InputError
from mlq.models.foreign.description import Source
from mlq.models.foreign.hosting import source_of, source_of_uri
from mlq.models.hosting import OPTIONS

ENVIRONMENT, OLD_ENVIRONMENT = "MLQ_ENV", "APP_SETTINGS"  # the old way: a class such as ProdConfig
SUFFIX = ".toml"
OWN = ("class", "source", "environments")  # of the file, and not of how the model is hosted


class Entry(NamedTuple):
    """A model in the file."""

    module: str
    qualified_name: str  # of the class, within the module
    options: dict[str, Any]
    place: str  # for errors
    source: Source | None  # of a model in another interpreter


def read(path: Path, variables: Mapping[str, str]) -> list[Entry]:
    """The models that the file names for the environment in `variables`. Imports none of them. Raises InputError."""
    found = _parsed(path)
    models = found.pop("models", None)
    if found:
        raise InputError(f"{path}: {min(found)!r} is not known here; models are listed as [[models]]")
    if not isinstance(models, list) or not models or not all(isinstance(one, dict) for one in models):
        raise InputError(f'{path} names no models: write [[models]], and below it  class = "module:Class"')
    chosen = environment(variables)
    known = sorted({name for one in models for name in _environments(path, one)})
    if chosen is not None and known and chosen not in known:
        raise InputError(f"{path} knows no environment {chosen!r}{nearest(chosen, known)}; it knows {', '.join(known)}")
    wanted = [one for one in models if "environments" not in one or chosen in one["environments"]]
    if not wanted:
        raise InputError(f"{path} has no models for the environment {chosen!r} ({ENVIRONMENT})")
    return [_entry(path, one) for one in wanted]


def environment(variables: Mapping[str, str]) -> str | None:
    """The environment that is chosen; None if none is."""
    if name := variables.get(ENVIRONMENT):
        return name
    return variables.get(OLD_ENVIRONMENT, "").removesuffix("Config").lower() or None


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}") from None


def _environments(path: Path, one: dict[str, Any]) -> list[str]:
    names = one.get("environments", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{path}: environments must be a list of names, not {names!r:.80}")
    return names


def _entry(path: Path, one: dict[str, Any]) -> Entry:
    if "source" in one:
        return _entry_of_source(path, one)
    named = one.get("class")
    module, _, kind = named.partition(":") if isinstance(named, str) else ("", "", "")
    if not all(part.isidentifier() for part in (*module.split("."), *kind.split("."))):
        raise InputError(f'{path}: each of [[models]] needs  class = "module:Class", not {named!r:.80}')
    options = _options(path, one, named)
    source = source_of(str(named), options["python"], path.parent) if "python" in options else None
    return Entry(module, kind, options, f"{named} (in {path})", source)


def _entry_of_source(path: Path, one: dict[str, Any]) -> Entry:
    options, named = _options(path, one, one["source"]), str(one["source"])
    if "class" in one:
        raise InputError(f"{path}: one of [[models]] has class and source: it has one or the other")
    try:
        source = source_of_uri(one["source"], options, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {named:.80}: {error}") from None
    return Entry("", "", options, f"{named} (in {path})", source)


def _options(path: Path, one: dict[str, Any], named: object) -> dict[str, Any]:
    options = {name: value for name, value in one.items() if name not in OWN}
    if unknown := sorted(set(options) - set(OPTIONS)):
        hint = nearest(unknown[0], [*OPTIONS, *OWN])
        raise InputError(f"{path}: {named} has an option {unknown[0]!r}, which does not exist{hint}")
    return options
