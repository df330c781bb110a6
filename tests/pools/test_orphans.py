"""A process that adopts orphans collects those, and no process for which one of its pools waits."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, os, subprocess
from mlq.pools.orphans import Orphans

ctypes.CDLL(None).prctl(36, 1)  # from now on, it adopts orphans
one, other = Orphans(), Orphans()
child = subprocess.Popen(["/bin/sh", "-c", "exit 3"])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
one.collect({child.pid})
other.collect(())
assert child.wait() == 3, "it was collected by the other pool"

stranger = os.posix_spawn("/bin/true", ["true"], {})
os.waitid(os.P_PID, stranger, os.WEXITED | os.WNOWAIT)
other.collect(())
try:
    os.waitpid(stranger, 0)
except ChildProcessError:
    print("collected")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_a_child_of_one_pool_is_not_collected_by_another():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "collected\n"), ended.stderr
