"""Hosts a model of another interpreter, or says why that can't be done: then the others go on without it."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlq.core.model import check_model_name
from mlq.errors import InputError
from mlq.models.foreign import mlflow
from mlq.models.foreign.declaring import declaration_of_foreign, declaration_of_missing
from mlq.models.foreign.description import Source, Unavailable
from mlq.models.hosting import OF_OTHERS, Hosting, check_options, hosting_with
from mlq.running.loads import Loads
from mlq.system.extras import require

KINDS = ("onnx", "mlflow")  # of sources: each has a module in other_side
REMOTE = re.compile(r"[A-Za-z][\w+.-]*:")  # the beginning of a URL


def source_of(model: str, python: object, folder: Path) -> Source:
    """Where the class `module:Class` is. Both the interpreter and the module are looked for from the folder.

    Raises InputError.
    """
    module, _, kind = model.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *kind.split("."))):
        raise InputError(f"a model is named as module:Class, not {model!r:.80}")
    folder = folder.absolute()
    return Source(_python_of(python, folder), {"folder": str(folder), "class": model})


def source_of_uri(source: object, options: Mapping[str, Any], folder: Path) -> Source:
    """Where the model `onnx:model.onnx` or `mlflow:model` is: a file or folder, which is looked for from `folder`.

    Its name and version must be among the options. Raises InputError.
    """
    kind, _, place = source.partition(":") if isinstance(source, str) else ("", "", "")
    if kind not in KINDS or not place:
        raise InputError(f"a source is written as 'onnx:model.onnx' or 'mlflow:folder', not {source!r:.80}")
    is_remote = _is_remote(kind, place, options.get("remote", False))
    folder, named = folder.absolute(), {name: options.get(name) for name in ("name", "version")}
    checked = {name: check_model_name(name, value) for name, value in named.items()}
    found = folder / Path(place).expanduser()
    target = {"source": kind, "uri": place if is_remote else str(found), **checked}
    python = _python_of(options.get("python", sys.executable), folder)
    if kind != "mlflow" or is_remote:
        return Source(python, target)
    try:
        target |= mlflow.signature_of(found)
        return Source(python if "python" in options else mlflow.python_for(found), target)
    except mlflow.Unusable as error:
        return Source(python, target, str(error))


def _is_remote(kind: str, place: str, remote: object) -> bool:
    """Whether a source is an address, and not a path. Raises InputError if it may not be."""
    if not isinstance(remote, bool):
        raise InputError(f"remote must be true or false, not {remote!r:.80}")
    if not REMOTE.match(place):
        return False
    if kind != "mlflow":
        raise InputError(f"'{kind}:{place:.80}' is not a path: copy the model to this machine, and name its path")
    if not remote:
        raise InputError(
            f"'{kind}:{place:.80}' is not a path: copy the model to this machine, or allow to download it, and to run "
            "what is found there, with remote = true"
        )
    return True


def _python_of(python: object, folder: Path) -> str:
    if not isinstance(python, str) or not python:
        raise InputError(
            f"python must be the path of an interpreter, such as '../envs/old/bin/python', not {python!r:.80}"
        )
    return str(folder / Path(python).expanduser())


def source_of_file(model: str, options: Mapping[str, Any]) -> Source:
    """Where the class `folder/file.py:Class` is, or `onnx:model.onnx`; paths are from the working folder.

    Raises InputError.
    """
    if model.partition(":")[0] in KINDS:
        return source_of_uri(model, options, Path.cwd())
    place, _, kind = model.rpartition(":")
    file = Path(place)
    if file.suffix != ".py":
        raise InputError(f"a model in another interpreter is named as 'folder/file.py:Class', not {model!r:.80}")
    if "python" not in options:
        raise InputError(f"{model} needs python = the path of the interpreter in which it runs")
    source = source_of(f"{file.stem}:{kind}", options["python"], file.parent)
    return source._replace(python=_python_of(options["python"], Path.cwd()))


def hosting_of_foreign(source: Source, place: str, options: Mapping[str, Any], loads: Loads) -> Hosting | None:
    """How the model is hosted; `place` says where it was named, for errors; `loads` hears what became of it.

    If it is not available, it is hosted as one that is broken, where its options tell its name and version; else None
    is returned. Raises InputError if the options are wrong.
    """
    require("models", "a hosted model")
    check_options(options, place)
    names = {name: options[name] for name in ("name", "version") if name in options}
    own = {name: value for name, value in options.items() if name not in OF_OTHERS}
    try:
        declared, why = declaration_of_foreign(source, names), ""
    except Unavailable as error:
        why = str(error)
        if len(names) < 2:
            return None
        declared = declaration_of_missing(names, why)
    hosting = hosting_with(declared, place, own, loads)
    if why:
        loads.broken(hosting.listener.name, why)
    return hosting
