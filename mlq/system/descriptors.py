"""Keeps the file descriptors of stdin, stdout and stderr occupied.

A process that was started without them (`2>&-`, some init scripts, daemons) assigns their numbers to whatever it opens
next. If that is a socket, C code that writes a warning to descriptor 2 sends it to the server.
"""

import os
from contextlib import suppress


def keep_standard_open() -> None:
    """Open /dev/null under those of the numbers 0, 1 and 2 that are closed. Takes 2 us if none is."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):  # no /dev/null: nothing can be done
                _open_nothing(number)


def _open_nothing(number: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened == number:
        os.set_inheritable(opened, True)  # noqa: FBT003 - programs that this process starts need one, too
    else:  # another thread was faster and got the number
        os.close(opened)
