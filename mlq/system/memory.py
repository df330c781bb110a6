"""Returns memory to the operating system after large values; tells how much a process holds.

glibc keeps freed memory in arenas, one per thread. Free pieces inside an arena stay until `malloc_trim` is called. The
free top of an arena stays while it is smaller than the trim threshold, and for all arenas but the first, no call can
return it. Values above the mmap threshold get memory of their own, which is returned at once. But glibc raises both
thresholds as large values are freed, up to 64 and 32 MB: three values of 60 MB left up to 100 MB behind.
"""

import functools
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

LARGE = 8 * 1024 * 1024  # bytes of a message or result after which `give_back` is worth some milliseconds

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)


@functools.cache
def _library() -> "ctypes.CDLL | None":
    """The C library if it is glibc, else None."""
    try:
        import ctypes  # 1 MB, so only if it is needed

        library = ctypes.CDLL(None)
        return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
    except (ImportError, OSError, TypeError):  # no C library can be loaded: Windows, statically linked Pythons
        return None


@functools.cache
def expect_large() -> None:
    """Fix both thresholds. Call this when a large value is seen.

    Not before: numerical programs without large values are faster if arrays of some MB are not returned each time.
    """
    if (library := _library()) is not None:
        library.mallopt(_MMAP_THRESHOLD, LARGE)
        library.mallopt(_TRIM_THRESHOLD, LARGE)


def give_back() -> None:
    """Return the free memory inside the arenas."""
    expect_large()
    if (library := _library()) is not None:
        library.malloc_trim(0)


_others: set[int] = set()  # processes that count as parts of this one


def add(pid: int) -> None:
    """Count what a process holds that this one has started; on Linux alone."""
    _others.add(pid)


def remove(pid: int) -> None:
    """It has ended."""
    _others.discard(pid)


def resident() -> int:
    """Resident memory of this process and those that were added, in bytes; its peak if the system reports only that."""
    try:
        return _resident("self") + sum(map(_resident_if_there, tuple(_others)))
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _resident(process: int | str) -> int:
    with open(f"/proc/{process}/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE


def _resident_if_there(process: int) -> int:
    try:
        return _resident(process)
    except (OSError, IndexError):  # it has just ended
        return 0
