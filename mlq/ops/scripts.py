"""Loads the scripts of `mlq/lua/` and addresses them by the hash of their content.

By content and not by name, so that two versions of MLQ can use one server during a rolling upgrade. A line
`--- include NAME` is replaced by `mlq/lua/shared/NAME.lua`, once per script; each file includes all that it uses. The
includes `ended` and `transitions` are generated from the table of states. A whole script may be included, too, as the
body of a function. `--- block NAME` does the same within a block of Lua, beyond which what it includes is not seen:
later lines of the script include it again.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mlq.core.states import ended_in_lua, transitions_in_lua

_FOLDER = Path(__file__).parents[1] / "lua"
_INCLUDE = re.compile(r"^--- (include|block) (\w+)$", re.MULTILINE)
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
        kind, name = found.groups()
        if name in included:
            return ""
        seen = included if kind == "include" else set(included)
        seen.add(name)
        if (make := _GENERATED.get(name)) is not None:
            return make()
        shared = _FOLDER / "shared" / f"{name}.lua"
        return _whole(shared if shared.exists() else _FOLDER / f"{name}.lua", seen)

    return _INCLUDE.sub(include, path.read_text("utf-8"))
