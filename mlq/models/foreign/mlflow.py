"""Reads what a folder of MLflow says of its model, without importing mlflow: its signature, and its Python."""

import shutil
import sys
from pathlib import Path
from typing import Any

from mlq.errors import InputError
from mlq.system.extras import require

LIMIT = 256 * 1024  # bytes of a file: as many take 2 s to read, and signatures of 2,000 columns have fewer
NOTHING = ("", "null", "~")  # as YAML writes it


class Unusable(Exception):
    """The folder's model can't be hosted."""


def signature_of(folder: Path) -> dict[str, str]:
    """Its inputs and outputs, as MLflow writes them: JSON. Raises Unusable."""
    signature = _mapping(_read(folder / "MLmodel").get("signature"))
    found = {name: signature.get(name) for name in ("inputs", "outputs")}
    if missing := [name for name, text in found.items() if not isinstance(text, str) or text in NOTHING]:
        words = " and ".join(missing)
        raise Unusable(f"{folder} has no signature of its {words}: log the model with signature=infer_signature(...)")
    return {name: str(text) for name, text in found.items()}


def python_for(folder: Path) -> str:
    """An interpreter of the version with which the model was saved: this one, or one on the path. Raises Unusable."""
    flavor = _mapping(_mapping(_read(folder / "MLmodel").get("flavors")).get("python_function"))
    environment = _mapping(flavor.get("env")).get("virtualenv")
    named = _read(_within(folder, environment)).get("python") if isinstance(environment, str) else None
    wanted = ".".join(str(named or flavor.get("python_version") or "").split(".")[:2])
    if wanted in ("", f"{sys.version_info.major}.{sys.version_info.minor}"):
        return sys.executable
    if (found := shutil.which(f"python{wanted}")) is None:
        raise Unusable(
            f"{folder} was saved by Python {wanted}, and there is no python{wanted} on the path: name an interpreter "
            "with python ="
        )
    return found


def _read(file: Path) -> dict[str, Any]:
    """What a file says, as a mapping. Raises Unusable."""
    try:
        require("mlflow", "a model of MLflow")
    except InputError as error:
        raise Unusable(str(error)) from None
    import yaml  # type: ignore[import-untyped]

    try:
        if not file.is_file():  # a pipe would never end
            raise Unusable(f"{file} can't be read: there is no such file")
        with file.open("rb") as opened:
            text = opened.read(LIMIT + 1)
        if len(text) > LIMIT:
            raise Unusable(f"{file} has more than {LIMIT:,} bytes")
        # All scalars stay texts: a number such as 1:1:1 takes minutes if it is long, and 3.10 is a version. The loaders
        # that are written in C crash if lists are nested deeply.
        return _mapping(yaml.load(text, yaml.BaseLoader))  # noqa: S506 - it makes no objects
    except OSError as error:
        raise Unusable(f"{file} can't be read: {error.strerror}") from None
    except (ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        raise Unusable(f"{file} can't be read: {' '.join(str(error).split()):.200}") from None


def _within(folder: Path, name: str) -> Path:
    """A file of the folder. Raises Unusable if it lies elsewhere."""
    file = folder / name
    if not file.resolve().is_relative_to(folder.resolve()):
        raise Unusable(f"{folder} names a file that is not in it: {name!r:.80}")
    return file


def _mapping(found: object) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
