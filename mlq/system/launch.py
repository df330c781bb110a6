"""How processes of our own are started: a Python that finds this same library, and nothing in the working directory.

Python puts the working directory (`-m`, `-c`) or a program's folder in front of the standard library. There a
`queue.py` or `types.py` that has nothing to do with us would break the process, and run as a part of it. `-P` leaves
both out; then this file, run as a program, sees to it that the library is found where its starter found it.
"""

import importlib
import sys
from pathlib import Path

_PLAIN, _GREEN = "plain", "green"


def command(module: str, *, green: bool = False) -> list[str]:
    """The command line that calls `main` of a module; its arguments may be added. `green`: under gevent's patches."""
    return [sys.executable, "-P", __file__, _GREEN if green else _PLAIN, module]


def _find_library() -> None:
    """Put the library's folder on the path where it is not there, before those of installed packages."""
    folder = str(Path(__file__).resolve().parents[2])
    if folder not in sys.path:
        installed = (i for i, entry in enumerate(sys.path) if entry.endswith("-packages"))
        sys.path.insert(next(installed, len(sys.path)), folder)


def _main() -> None:
    kind, module = sys.argv[1:3]
    del sys.argv[1:3]
    if kind == _GREEN:  # before anything else is imported
        from gevent import monkey  # type: ignore[import-untyped]

        monkey.patch_all()
    _find_library()
    importlib.import_module(module).main()


if __name__ == "__main__":
    _main()
