"""A worker process that kills itself when it fires a schedule: `ticking.py URL NAMESPACE WHEN`.

WHEN is "before" the call is sent, "after" it was carried out and before its reply is used, or "never".
"""

import os
import signal
import sys
from typing import Any

from mlq import MLQ
from mlq.shell.sync import Shell

URL, NAMESPACE, WHEN = sys.argv[1:]
mlq = MLQ(NAMESPACE, url=URL)


def exchange(self: Any, connection: Any, op: Any, original: Any = Shell._exchange) -> Any:
    fires = op.script is not None and op.script.name == "fire"
    if fires and WHEN == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    reply = original(self, connection, op)
    if fires and WHEN == "after" and reply[0] == b"posted":
        os.kill(os.getpid(), signal.SIGKILL)
    return reply


@mlq.schedule(every=1, overlap="queue", missed="all")
@mlq.listener
def ticking(msg: Any) -> None:
    """Does nothing; the jobs are looked at."""


if __name__ == "__main__":
    Shell._exchange = exchange  # type: ignore[method-assign]
    mlq.create_listener()
