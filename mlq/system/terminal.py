"""The one place through which MLQ prints, so that no job, name or error can steer the terminal that shows it.

A terminal obeys what it is sent: it can be made to hide lines, to change its title, to answer as if the user had typed,
or to show words in another order. So all characters that do such things are shown as Python's escapes instead.
"""

import re
import sys

# C0 (which holds ESC, BEL and CR) without tab and newline, DEL, C1, what changes the direction of writing, the line and
# paragraph separators, and halves of characters, which can't be encoded.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")


def escaped(text: str) -> str:
    """The text with what steers a terminal shown as Python's escapes; within JSON those above U+007E are JSON's own."""
    return _STEERING.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x7F else f"\\u{number:04x}"


def write(text: str = "", *, err: bool = False, end: str = "\n", exact: bool = False) -> None:
    """Write a text and `end` to stdout, or with `err` to stderr.

    `exact`: a job's own words, which a file or a program at the other end of a pipe must get unchanged; only what goes
    to a terminal is escaped then.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # a program without one
        return
    stream.write((text if exact and not stream.isatty() else escaped(text)) + end)
    stream.flush()


def is_watched() -> bool:
    """Whether stderr is a terminal: somebody looks, or may."""
    return sys.stderr is not None and sys.stderr.isatty()


def write_bytes(data: bytes) -> None:
    """Write a binary result to stdout. On a terminal its size is told instead, on stderr."""
    if sys.stdout is None:
        return
    if sys.stdout.isatty():
        write(f"mlq: {len(data):,} bytes, not shown on a terminal: redirect them, or use --json", err=True)
        return
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
