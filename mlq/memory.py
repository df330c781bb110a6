"""Gives memory back to the system after large values.

glibc keeps pieces below 32 MB that were freed, in an arena of each thread. Buffers that grow step by step leave many of
them behind.
"""

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LARGE = 8 * 1024 * 1024  # bytes of a message or result after which it is worth some milliseconds


@functools.cache
def _trim() -> "Callable[[int], Any] | None":
    try:
        import ctypes  # 1 MB, for those that need it

        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (ImportError, OSError, TypeError):  # no C library that can be found: Windows, static programs
        return None


def give_back() -> None:
    """Do so, where the C library is glibc."""
    trim = _trim()
    if trim is not None:
        trim(0)
