"""How a process has ended, in words."""

import contextlib
import signal


def exit_text(code: int) -> str:
    """Describe how a process ended, from its exit code."""
    if code >= 0:
        return f"exited with code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
