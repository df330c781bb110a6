"""Where an operator says that files are kept: the root of all namespaces, a directory or a URL."""

import hashlib
import re
from pathlib import Path
from urllib.parse import quote, unquote

from mlq.batches.disks import Disk, LocalDisk
from mlq.core.file_job import KEPT_IN
from mlq.errors import InputError
from mlq.system.extras import require

LONGEST_NAME = 200  # characters of a folder's name; a namespace with a longer one is known by its hash
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^?#\\\s]+")


def check_form(root: str) -> None:
    """Check that this is an absolute path, or a URL below which files can be kept. Raises InputError."""
    if "://" not in root:
        if not Path(root).is_absolute():
            raise InputError(f"{KEPT_IN} takes the absolute path of a directory, or a URL, not {root!r:.200}")
        return
    steps = set(unquote(root.partition("://")[2]).split("/"))
    if _URL.fullmatch(root) is None or "::" in root or {".", ".."} & steps:
        raise InputError(f"{KEPT_IN} takes URLs such as s3://bucket/folder, not {root!r:.200}")


def check_root(root: str) -> None:
    """Check this, and that the packages are there that a URL needs. Raises InputError."""
    check_form(root)
    if "://" not in root:
        return
    require("files", f"keeping files at {root}")
    from fsspec import get_filesystem_class  # type: ignore[import-untyped]

    try:
        get_filesystem_class(root.partition("://")[0])
    except (ImportError, ValueError) as error:
        raise InputError(f"files can't be kept at {root:.200}: {error}") from None


def folder_of(root: str, namespace: str) -> str:
    """The folder of a namespace below the root: a path or a URL."""
    name = quote(namespace, safe="")
    name = name if len(name) <= LONGEST_NAME else hashlib.sha256(namespace.encode()).hexdigest()
    return f"{root.rstrip('/')}/of-{name}"


def disk_at(folder: str) -> Disk:
    """The folder at a path or a URL; nothing is made or reached yet."""
    if "://" not in folder:
        return LocalDisk(Path(folder))
    from mlq.batches.url_disk import UrlDisk

    return UrlDisk(folder)
