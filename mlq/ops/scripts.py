"""Loads the scripts of `mlq/lua/` and addresses them by the hash of their content.

By content and not by name, so that two versions of MLQ can use one server during a rolling upgrade. A line
`--- include NAME` is replaced by `mlq/lua/shared/NAME.lua`, once per script; each file includes all that it uses. The
includes `ended` and `transitions` are generated from the table of states.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mlq.core.states import ended_in_lua, transitions_in_lua

_FOLDER = Path(__file__).parents[1] / "lua"
_INCLUDE = re.compile(r"^--- include (\w+)$", re.MULTILINE)
_GENERATED = {"ended": ended_in_lua, "transitions": transitions_in_lua}


class Script(NamedTuple):
    """A script with its includes, ready to be sent."""

    name: str
    source: str
    sha: str  # SHA-1 in hex, as Redis computes it


@cache
def script(name: str) -> Script:
    """The script `mlq/lua/<name>.lua`."""
    source = _whole(_FOLDER / f"{name}.lua", set())
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _whole(path: Path, included: set[str]) -> str:
    """The text of a file with its includes, except those that were `included` before."""

    def include(found: re.Match[str]) -> str:
        if found[1] in included:
            return ""
        included.add(found[1])
        if (make := _GENERATED.get(found[1])) is not None:
            return make()
        return _whole(_FOLDER / "shared" / f"{found[1]}.lua", included)

    return _INCLUDE.sub(include, path.read_text("utf-8"))
