"""What a process knows about models in other interpreters before it declares any, and what it does if one crashes."""

import json
import os
from typing import Any

KNOWN: dict[str, Any] = {}  # descriptions that the worker has asked for, by `Source.key`

_is_child = False


def is_child() -> bool:
    """Whether this process is a child, which ends as an interpreter of its has: its worker then handles a crash."""
    return _is_child


def in_child(described: int | None) -> None:
    """This process is a child. `described`: the file descriptor of what its worker has asked for, if there is any."""
    global _is_child  # noqa: PLW0603 - of the process
    _is_child = True
    if described is not None:
        KNOWN.update(json.loads(os.pread(described, os.fstat(described).st_size, 0)))
        os.close(described)
