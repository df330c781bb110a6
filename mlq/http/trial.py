"""Tries an upload in a throwaway process, so that no pickle is ever loaded in the server's own process.

The process has its own folder, only the part of the server's environment that is needed to find modules, limits on
memory and time, no network and no access to other processes if the kernel allows that, and nothing that it starts
outlives it (`isolation.py`). This protects the server from accidents. It is not a sandbox: the code can read what this
user can, and clients that may upload can run code on the workers anyway.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any

from mlq.http.problems import Refused
from mlq.http.trial_program import LATE
from mlq.system.exits import exit_text

# Not with `launch.command`, which only finds the library: the code may import anything on this process's path.
# -P leaves out the current folder.
PROGRAM = ("-P", "-m", "mlq.http.trial_program")
TIME = 10.0  # seconds
MARGIN = 5.0  # more seconds after which it is killed from here; normally it limits its own time and cleans up
AT_ONCE = 2  # trials at a time; others wait
ANSWER = 64 * 1024  # bytes of its answer that are read
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # of the environment
_room = threading.BoundedSemaphore(AT_ONCE)


def name_in(code: bytes) -> str:
    """The name of the function in `code`, as reported by the process that loaded it. Raises Refused (422)."""
    # Files, not pipes: a process that the code leaves behind could hold a pipe open forever.
    with _room, tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        given.write(code)
        given.seek(0)
        ending = _run(given, answer)
        answer.seek(0)
        found = _read(answer.read(ANSWER))
    if "name" in found:
        return str(found["name"])
    raise Refused(422, str(found.get("refused") or ending)[:2000])


def _run(given: IO[bytes], answer: IO[bytes]) -> str:
    """How the process ended, in words."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, *PROGRAM, str(TIME)],
            stdin=given, stdout=answer, stderr=subprocess.DEVNULL, cwd=folder,
            env=_environment(folder), start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(TIME + MARGIN)
        except subprocess.TimeoutExpired:
            code = LATE
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return (
        f"it took longer than {TIME:g} s to load" if code == LATE else f"the process that loaded it {exit_text(code)}"
    )


def _environment(folder: str) -> dict[str, str]:
    """An environment without secrets, but with the same modules as here."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join(filter(None, sys.path))
    return kept | {"HOME": folder, "TMPDIR": folder, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1",
                   "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip


def _read(answer: bytes) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
