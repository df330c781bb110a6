"""The one place through which MLQ prints, so that no job, name or error can control the terminal that shows it.

Control characters can make a terminal hide lines, change its title, reply as if the user had typed, or show words in
another order. So all such characters are shown as Python escapes instead.
"""

import os
import re
import shutil
import sys
from collections.abc import Sequence

# C0 (which has ESC, BEL and CR) without tab and newline, DEL, C1, bidirectional controls, the line and paragraph
# separators, and lone surrogates, which can't be encoded.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


def escaped(text: str) -> str:
    """The text with control characters as Python escapes. Those above U+007E are also valid escapes in JSON."""
    return _CONTROL.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x7F else f"\\u{number:04x}"


def write(text: str = "", *, err: bool = False, end: str = "\n", exact: bool = False) -> None:
    """Write a text and `end` to stdout, or with `err` to stderr.

    `exact`: for a job's own output, which a file or pipe must get unchanged; it is escaped only on a terminal.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # the process has no such stream
        return
    stream.write((text if exact and not stream.isatty() else escaped(text)) + end)
    stream.flush()


_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "grey": 90}


def write_cells(cells: Sequence[tuple[str, str | None]]) -> None:
    """Write a row of texts, each with the name of a colour, to stdout; colours only where `has_colours`."""
    painted = [
        f"\x1b[{_COLOURS[colour]}m{escaped(text)}\x1b[0m" if colour and has_colours() else escaped(text)
        for text, colour in cells
    ]
    if sys.stdout is not None:
        sys.stdout.write("  ".join(painted).rstrip() + "\n")
        sys.stdout.flush()


def has_colours() -> bool:
    """Whether stdout is a terminal whose user wants colours (https://no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout is not None and sys.stdout.isatty()


def width() -> int | None:
    """Columns of the terminal on stdout; None if stdout is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def rewrite_line(text: str) -> None:
    """Write `text` in place of the current line of the terminal on stderr; an empty text clears it."""
    if sys.stderr is not None:
        sys.stderr.write(f"\r\x1b[K{escaped(text)[: shutil.get_terminal_size().columns - 1]}")
        sys.stderr.flush()


def clear_screen() -> None:
    """Start again at the top of the terminal on stdout; does nothing if it is a file or a pipe."""
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout.write("\x1b[H\x1b[J")


def is_watched() -> bool:
    """Whether stderr is a terminal, so that somebody may be watching."""
    return sys.stderr is not None and sys.stderr.isatty()


def write_bytes(data: bytes) -> None:
    """Write a binary result to stdout. On a terminal, write its size to stderr instead."""
    if sys.stdout is None:
        return
    if sys.stdout.isatty():
        write(f"mlq: {len(data):,} bytes, not shown on a terminal: redirect them, or use --json", err=True)
        return
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
