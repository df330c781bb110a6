"""How MLQ starts its own processes: with this same library on the path, and without the working directory.

Python puts the working directory (`-m`, `-c`) or a program's folder before the standard library. An unrelated
`queue.py` or `types.py` there would be imported into our process, and break it. `-P` leaves both out; then this file,
run as a program, makes sure that the library is found where the parent process found it.
"""

import importlib
import sys
from pathlib import Path

_PLAIN, _GREEN = "plain", "green"


def command(module: str, *, green: bool = False) -> list[str]:
    """The command line that calls `main` of a module; append its arguments. `green`: with gevent's monkey-patching."""
    return [sys.executable, "-P", __file__, _GREEN if green else _PLAIN, module]


def _find_library() -> None:
    """Put the library's folder on the path if it is missing there, before the folders of installed packages."""
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
