"""What the demonstration looks like: steps, a progress bar, pictures. As readable in a file as in a terminal."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click
import numpy as np

INDENT = " " * 4
BAR_WIDTH = 44


def _shown(fine: str, plain: str) -> str:
    """`fine`, where the output can show it."""
    try:
        fine.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return plain
    return fine


@contextmanager
def step(title: str) -> Iterator[None]:
    """A step of the story: its title, and how long it took when it is through."""
    click.echo(f"  {title} ", nl=False)
    sys.stdout.flush()
    began = time.monotonic()
    try:
        yield
    except BaseException:
        click.echo()
        raise
    dots = "." * max(3, 66 - len(title))
    click.secho(f"{dots} {time.monotonic() - began:4.1f} s", dim=True)


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """A table of two columns."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"  {click.style(name.ljust(width), bold=True)}   {value}")


class Bar:
    """A progress bar that lines of text may interrupt. Where the output is no terminal: a line for each quarter."""

    def __init__(self, total: int, unit: str) -> None:
        """Shows nothing before the first `show`."""
        self._total = total
        self._unit = unit
        self._live = sys.stdout.isatty()
        self._done = 0
        self._quarter = 0

    def show(self, done: int) -> None:
        """`done` of all are through."""
        self._done = done
        quarter = 4 * done // self._total
        if self._live:
            click.echo("\r" + self._line(), nl=False)
        elif quarter > self._quarter:
            self._quarter = quarter
            click.echo(f"{INDENT}{100 * done // self._total:3d} %  {self._count()}")

    def say(self, text: str) -> None:
        """A line of text, above the bar."""
        if self._live:
            click.echo("\r" + " " * len(click.unstyle(self._line())) + "\r", nl=False)
        click.echo(INDENT + text)
        if self._live:
            click.echo(self._line(), nl=False)

    def close(self) -> None:
        """The bar stays as it is; text goes on below it."""
        if self._live:
            click.echo()

    def _line(self) -> str:
        full = BAR_WIDTH * self._done // self._total
        done = click.style(_shown("━", "#") * full, fg="green")
        left = click.style(_shown("━", ".") * (BAR_WIDTH - full), dim=True)
        return f"{INDENT}{done}{left} {100 * self._done // self._total:3d} %  {self._count()}"

    def _count(self) -> str:
        return f"{self._done:{len(str(self._total))}d} of {self._total} {self._unit}"


def pictures(images: Sequence[np.ndarray], captions: Sequence[str]) -> None:
    """Images of 17 shades side by side, each with its caption; four fit on a line."""
    shades = _shown(" ░▒▓█", " .+x#")
    for row in range(8):
        lines = ["".join(shades[(int(pixel) + 3) // 4] * 2 for pixel in image[row]) for image in images]
        click.echo((INDENT + "   ".join(lines)).rstrip())
    click.echo((INDENT + "   ".join(caption.center(16) for caption in captions)).rstrip())
