"""Writes values, jobs and tables for people, and JSON for scripts."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Self

from mlq.core import spans
from mlq.core.json_values import to_json
from mlq.core.progress import Progress
from mlq.system import terminal

STATE_COLOURS = {"succeeded": "green", "failed": "red", "running": "blue", "cancelled": "grey"}
NARROW = 6  # columns that a cell keeps, even on a narrow terminal
CUT = 300  # characters of one value in a description; --json shows all
MISSING = "-"


def emit(value: Any, *, as_json: bool) -> None:
    """Write one result: bytes as they are, text with a newline, everything else (or all, if asked) as JSON."""
    if isinstance(value, bytes) and not as_json:
        terminal.write_bytes(value)
    else:
        terminal.write(value if isinstance(value, str) and not as_json else to_json(value), exact=True)


def emit_json(value: Any) -> None:
    """Write JSON for scripts."""
    terminal.write(to_json(value, indent=2), exact=True)


class Coloured(str):
    """A cell with the name of a colour."""

    __slots__ = ("colour",)
    colour: str | None

    def __new__(cls, text: object, colour: str | None) -> Self:
        """`text` is shown as other cells are."""
        made = super().__new__(cls, text)
        made.colour = colour
        return made


def state(name: str, note: str = "") -> Coloured:
    """A state in its colour; one that has none of its own, but a note, needs attention."""
    return Coloured(f"{name}{note}", STATE_COLOURS.get(name, "yellow" if note else None))


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    whole: Sequence[str] = (),
    less: Sequence[str] = (),
) -> None:
    """Write columns, each as wide as its longest cell. A table that is too wide for the terminal is made narrower.

    Columns named in `less` are left out, from the first one on, until the rest fits; then the widest ones are cut, but
    not those named in `whole`.
    """
    cells = [[Coloured(head, None) for head in heads], *([_cell(value) for value in row] for row in rows)]
    widths = {head: max(len(row[i]) for row in cells) for i, head in enumerate(heads)}
    shown = _fitted(widths, terminal.width(), whole, less)
    for row in cells:
        chosen = [(cell, shown[head]) for head, cell in zip(heads, row, strict=True) if head in shown]
        terminal.write_cells([(one_line(cell, width).ljust(width), cell.colour) for cell, width in chosen])


def _fitted(widths: dict[str, int], columns: int | None, whole: Sequence[str], less: Sequence[str]) -> dict[str, int]:
    """The widths of the columns that are shown, by their heads."""
    shown, can_go = dict(widths), [head for head in dict.fromkeys(less) if head in widths]
    while columns is not None and sum(shown.values()) + 2 * (len(shown) - 1) > columns:
        if can_go:
            del shown[can_go.pop(0)]
            continue
        cut = [head for head in shown if head not in whole and shown[head] > NARROW]
        if not cut:
            break
        shown[max(cut, key=lambda head: shown[head])] -= 1
    return shown


def described(pairs: Iterable[tuple[str, object]]) -> None:
    """Write names and values, without those that are None. Further lines of a value are indented: no name is there."""
    present = [(name, value) for name, value in pairs if value is not None]
    width = max(len(name) for name, _ in present)
    for name, value in present:
        terminal.write(f"{name.ljust(width)}  {value}".replace("\n", "\n" + " " * (width + 2)))


def _cell(value: object) -> Coloured:
    text = MISSING if value is None or value == "" else str(value)
    return Coloured(one_line(text, CUT), getattr(value, "colour", None))


def one_line(text: str, most: int = 60) -> str:
    """The beginning of a text, without characters that move the cursor."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= most else line[: most - 3] + "..."


def error_line(kind: str, text: str) -> str:
    """An error like the last line of a traceback."""
    return one_line(f"{kind.removeprefix('builtins.').removeprefix('mlq.errors.')}: {text}", CUT)


def brief(value: Any) -> str | None:
    """A message or result in a description: JSON, cut if it is long."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    text = to_json(value)
    return text if len(text) <= CUT else f"{text[:CUT]}... ({len(text):,} characters; --json shows all)"


def rounded(value: Any) -> Any:
    """A value with four digits of each number in it, to fit more of them into a line."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Progress):
        return value
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def runs(attempts: int, errors: int, losses: int) -> str:
    """How often a job was run, and how many retries and losses were among that: `4 (1 retry, 2 losses)`."""
    retries = max(0, min(errors, attempts - 1))  # the last of them may not have begun yet
    words = ((retries, "retry", "retries"), (losses, "loss", "losses"))
    ends = [f"{count} {one if count == 1 else many}" for count, one, many in words if count]
    return f"{attempts} ({', '.join(ends)})" if ends else str(attempts)


def moment(seconds: float | None) -> str | None:
    """A time of the server's clock in the local zone."""
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def short_moment(seconds: float | None) -> str | None:
    """The same for a narrow table: today's times without the date."""
    if seconds is None:
        return None
    at, now = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if at[:3] == now[:3] else "%Y-%m-%d %H:%M", at)


def span(seconds: float | None) -> str | None:
    """A duration with a suitable unit and precision."""
    return None if seconds is None else spans.span(seconds)
