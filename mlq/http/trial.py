"""Tries an upload in a throwaway process, so that no pickle is ever loaded in the server's own.

The process has a folder of its own, none of the server's environment but what finds its modules, limits on memory and
time, no network and no look at other processes where the kernel allows that, and nothing that it starts outlives it
(`apart.py`). That keeps accidents out of the server. It is no jail: it can read what this user can, and whoever may
upload may run code on the workers anyway.
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
from mlq.pools.child_process import exit_text

# Not by `launch.command`, which finds the library alone: it is given the whole path of this process, for what the code
# imports. -P: without the folder that it stands in.
PROGRAM = ("-P", "-m", "mlq.http.trial_program")
TIME = 10.0  # seconds
MARGIN = 5.0  # seconds after which it is killed from here: it starts, counts its time, and cleans up itself
AT_ONCE = 2  # trials; more wait
SAID = 64 * 1024  # bytes of an answer that are read
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # of the environment
_room = threading.BoundedSemaphore(AT_ONCE)


def name_in(code: bytes) -> str:
    """The name of the function that `code` is, by what the process says that loaded it. Raises Refused (422)."""
    # Files, not pipes: what the code leaves behind may hold a pipe open for ever.
    with _room, tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        given.write(code)
        given.seek(0)
        ending = _run(given, answer)
        answer.seek(0)
        said = _read(answer.read(SAID))
    if "name" in said:
        return str(said["name"])
    raise Refused(422, str(said.get("refused") or ending)[:2000])


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
    """No secrets, and the same modules as here."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join(filter(None, sys.path))
    return kept | {"HOME": folder, "TMPDIR": folder, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1",
                   "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip


def _read(said: bytes) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
