"""The command mlq predict: runs the rows of a file through a model or a listener."""

import os
import signal
import time
from collections.abc import Iterable
from types import FrameType
from typing import Self

import click

from mlq import InputError, RunStopped
from mlq.cli import show
from mlq.cli.base import ROWS, Settings, json_option, report, with_settings
from mlq.cli.posting import without_warnings
from mlq.files.prediction import Wanted, predict_file
from mlq.files.report import Report
from mlq.system import terminal

EVERY_LINE = 10.0  # seconds between two lines in a log
EVERY_JSON = 1.0
EVERY_DRAWING = 0.2
BAR = 20  # columns
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command
@click.argument("name")
@click.argument("input_file", metavar="INPUT")
@click.option("-o", "--output", metavar="PATH", required=True, help="The file or URL to write; it must not be there.")
@click.option("--errors", metavar="PATH", help="Where rows that fail are told. Default: beside the output.")
@click.option("--map", "pairs", metavar="FIELD=COLUMN", multiple=True, help="A field that comes from another column.")
@click.option("--keep", metavar="COLUMN", multiple=True, help="A column that the output has, too.")
@click.option("--restart", is_flag=True, help="Begin again, instead of going on with what an earlier run has.")
@json_option
@with_settings
def predict(
    settings: Settings,
    /,
    name: str,
    input_file: str,
    output: str,
    errors: str | None,
    pairs: tuple[str, ...],
    keep: tuple[str, ...],
    *,
    restart: bool,
    as_json: bool,
) -> None:
    """Predict each row of a file with a model (iris, or iris@2) or a listener.

    INPUT is CSV, JSON Lines or Parquet, as a path or a URL that fsspec knows. The output is of the same kind, in the
    same order. If it is stopped, the same command goes on where it was.
    """
    wanted = Wanted(name, input_file, output, errors, dict(map(_pair, pairs)), keep, restart)
    progress, began = _Progress(name, as_json=as_json), time.monotonic()
    with settings.queue() as mlq, _Stop() as stop, without_warnings():
        try:
            ended = predict_file(mlq, wanted, progress.show, stop.is_set)
        except RunStopped as error:
            if not stop.number:
                raise
            report(str(error))
            click.get_current_context().exit(128 + stop.number)
        finally:
            progress.end()
    if as_json:
        show.emit(_told(ended), as_json=True)
    else:
        report(f"predicted {ended.rows - ended.failed:,} rows in {show.span(time.monotonic() - began)}: {ended.output}")
    if ended.failed:
        report(f"{ended.failed:,} rows failed: {ended.errors} has their lines and reasons")
        click.get_current_context().exit(ROWS)


def _pair(text: str) -> tuple[str, str]:
    """A field and its column. Raises InputError."""
    field, equals, column = text.partition("=")
    if not field or not equals or not column:
        raise InputError(f"--map must be a field and a column, such as width=sepal_width, not {text!r:.80}")
    return field, column


class _Stop:
    """The first signal stops the run in order, and the second one at once."""

    number = 0  # of the first signal

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in self._before.items():
            if handler is not signal.SIG_IGN:  # nohup and & in a script have signals ignored
                signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            os._exit(128 + number)
        self.number = number

    def is_set(self) -> bool:
        return self.number > 0


class _Progress:
    """Shows how far the run is: a line that is rewritten on a terminal, lines elsewhere, or JSON."""

    def __init__(self, name: str, *, as_json: bool) -> None:
        self._name = name
        self._as_json = as_json
        self._draws = terminal.is_watched() and not as_json
        self._every = EVERY_JSON if as_json else EVERY_DRAWING if self._draws else EVERY_LINE
        self._at = time.monotonic()
        self._waits: str | None = None

    def show(self, now: Report) -> None:
        """Called far more often than it shows anything."""
        if now.waits and now.waits != self._waits and not self._as_json:
            self.end()
            report(f"waiting: {now.waits}")
        self._waits = now.waits
        if time.monotonic() - self._at < self._every:
            return
        self._at = time.monotonic()
        if self._as_json:
            show.emit(_told(now), as_json=True)
        elif self._draws:
            terminal.rewrite_line(f"{self._name}  {_bar(now)} " + "  ".join(_words(now)))
        else:
            report(f"{self._name}: {', '.join(_words(now))}")

    def end(self) -> None:
        """Leave no half line on the terminal."""
        if self._draws:
            terminal.rewrite_line("")


def _bar(now: Report) -> str:
    full = round(now.done / max(now.size, 1) * BAR)
    return f"[{'#' * full}{'.' * (BAR - full)}]"


def _words(now: Report) -> Iterable[str]:
    yield f"{100 * now.done / max(now.size, 1):.0f} %"
    yield f"{now.rows:,} rows"
    if now.rate:
        yield f"{now.rate:,.0f} rows/s"
    if now.left is not None:
        yield f"{show.span(now.left)} left"
    if now.failed:
        yield f"{now.failed:,} failed"


def _told(now: Report) -> dict[str, object]:
    return now._asdict()
