"""Which files the jobs of a worker may read and write: those below the directories and URLs that its operator names.

Whoever can post may name any address, and a worker has rights that they may not have. So nothing is allowed that was
not named, and what is opened afterwards is the very path that was checked: with no links in it.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from mlq.core.checks import printable
from mlq.core.file_job import LONGEST, PLACES
from mlq.errors import InputError
from mlq.files.places import SUFFIX

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/]+(/.*)?")
_OWN = ("file://", "local://")  # other ways to write a path


class Allowed:
    """The places that an operator names."""

    def __init__(self, places: Iterable[str]) -> None:
        """Raises InputError for what is neither an absolute path nor a URL."""
        given = [place for place in places if place]
        self._urls = [f"{place.rstrip('/')}/" for place in given if "://" in place]
        self._folders = [place for place in given if "://" not in place]
        for place in self._urls:
            if _URL.fullmatch(place) is None or place.startswith(_OWN) or not _is_plain(place):
                raise InputError(f"{PLACES} takes URLs such as s3://bucket/folder, not {place!r:.200}")
        for place in self._folders:
            if not Path(place).is_absolute():
                raise InputError(f"{PLACES} takes absolute paths of directories, not {place!r:.200}")

    def __bool__(self) -> bool:
        """Whether anything is allowed."""
        return bool(self._urls or self._folders)

    def checked(self, what: str, address: object) -> str:
        """The address to use for this one, free of links and of `..`. Raises InputError, which names `what` it is."""
        if not isinstance(address, str) or not printable(address, LONGEST):
            raise InputError(f"{what} must be a path or a URL of up to {LONGEST:,} characters, not {address!r:.80}")
        found = self._url(address) if "://" in address or "::" in address else self._path(address)
        if found is None:
            raise InputError(f"{what} {address:.200} is not below a place that {PLACES} names")
        if any(step.endswith(SUFFIX) for step in found.split("/")):
            raise InputError(f"{what} {address:.200} is in the folder of a run (*{SUFFIX})")
        return found

    def _url(self, address: str) -> str | None:
        is_below = any(address.startswith(place) and len(address) > len(place) for place in self._urls)
        return address if is_below and _is_plain(address) else None

    def _path(self, address: str) -> str | None:
        real = os.path.realpath(address)
        is_below = any(Path(os.path.realpath(place)) in Path(real).parents for place in self._folders)
        return real if is_below and Path(address).is_absolute() else None


def _is_plain(url: str) -> bool:
    """Whether no part of a URL can lead elsewhere: a step upward, another URL that it is chained with, a query."""
    steps = unquote(url.partition("://")[2]).split("/")
    return not ({".", ".."} & set(steps) or "::" in url or any(char in url for char in "\\?#"))
