"""Gives memory back to the system after large values.

glibc keeps what was freed in an arena of each thread: pieces amid it until somebody asks (`malloc_trim`), and the end
of all arenas but the first, for which nobody can ask, while it is smaller than a limit. Both that limit and the size
above which a value gets memory of its own, which goes back at once, grow with what is freed: to 64 and 32 MB. Three
values of 60 MB left up to 100 MB behind.
"""

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

LARGE = 8 * 1024 * 1024  # bytes of a message or result after which it is worth some milliseconds

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)


@functools.cache
def _library() -> "ctypes.CDLL | None":
    """The C library where it is glibc."""
    try:
        import ctypes  # 1 MB, for those that need it

        library = ctypes.CDLL(None)
        return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
    except (ImportError, OSError, TypeError):  # none that can be found: Windows, static programs
        return None


@functools.cache
def expect_large() -> None:
    """From the first large value on, those limits stay where they are.

    Not before: numerical programs that never see one gain from arrays of some MB that are not given back each time.
    """
    if (library := _library()) is not None:
        library.mallopt(_MMAP_THRESHOLD, LARGE)
        library.mallopt(_TRIM_THRESHOLD, LARGE)


def give_back() -> None:
    """Give back what lies amid the arenas."""
    expect_large()
    if (library := _library()) is not None:
        library.malloc_trim(0)
