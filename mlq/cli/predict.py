"""The command mlq predict: runs the rows of a file through a model or a listener."""

import os
import shutil
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import NoReturn, Self

import click

from mlq import MLQ, InputError, RunStopped, ServerError
from mlq.cli import show
from mlq.cli.base import ROWS, Settings, json_option, report, with_settings
from mlq.cli.posting import without_warnings
from mlq.files import finished
from mlq.files.prediction import Wanted, predict_file
from mlq.files.report import Report
from mlq.system import terminal

EVERY_LINE = 10.0  # seconds between two lines in a log
EVERY_JSON = 1.0
EVERY_DRAWING = 0.2
BAR, SHORTEST_BAR = 20, 5  # columns
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command
@click.argument("name")
@click.argument("input_file", metavar="INPUT")
@click.option("-o", "--output", metavar="PATH", required=True, help="The file or URL to write; it must not exist yet.")
@click.option("--errors", metavar="PATH", help="Where rows that fail are listed. Default: beside the output.")
@click.option("--map", "pairs", metavar="FIELD=COLUMN", multiple=True, help="A field that comes from another column.")
@click.option("--keep", metavar="COLUMN", multiple=True, help="A column of the input to copy to the output.")
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
    if "-" in (output, errors):
        raise InputError("-o and --errors take a file: parts of the output are kept beside it, so that a run can go on")
    wanted = Wanted(name, input_file, output, errors, _pairs(pairs), keep, restart)
    progress, began = _Progress(name, as_json=as_json), time.monotonic()
    with settings.queue() as mlq, _Stop() as stop, without_warnings():
        try:
            known, remember = finished.before(mlq, wanted), partial(_remember, mlq, wanted)
            ended = known or predict_file(mlq, wanted, progress.show, stop.is_set, named=remember)
        except RunStopped as error:
            _end_early(error, stop.number, progress)
        finally:
            progress.end()
    if as_json:
        show.emit(_told(ended), as_json=True)
    else:
        report(_end(ended, None if known else time.monotonic() - began))
    if ended.failed:
        report(f"{_rows(ended.failed)} failed: {ended.errors} has the line and the reason of each")
        click.get_current_context().exit(ROWS)


def _end_early(error: RunStopped, number: int, progress: "_Progress") -> NoReturn:
    """Tell that signal `number` stopped the run, below the line that shows the progress; raise any other reason."""
    if not number:
        raise error
    progress.end()
    report(str(error))
    click.get_current_context().exit(128 + number)


def _end(ended: Report, took: float | None) -> str:
    """`took`: seconds; None if an earlier command has done it."""
    rows = _rows(ended.rows - ended.failed)
    if took is None:
        return f"already done: {ended.output} has {rows}"
    return f"predicted {rows} in {show.span(took)}: {ended.output}"


def _remember(mlq: MLQ, wanted: Wanted, ended: Report) -> None:
    with suppress(ServerError):  # then the same command says that the output exists already
        finished.note(mlq, wanted, ended)


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    """Columns by field. Raises InputError."""
    found: dict[str, str] = {}
    for field, column in map(_pair, texts):
        if found.setdefault(field, column) != column:
            raise InputError(f"--map names the field {field!r:.80} twice, with {found[field]!r:.80} and {column!r:.80}")
    return found


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
            terminal.rewrite_line(_line(self._name, now, shutil.get_terminal_size().columns - 1))
        else:
            report(f"{self._name}: {', '.join(_words(now).values())}")

    def end(self) -> None:
        """Leave no half line on the terminal."""
        if self._draws:
            terminal.rewrite_line("")


def _line(name: str, now: Report, width: int) -> str:
    """What fits into a line: the bar gets shorter, and then what says least is left out."""
    words = {"name": name} | _words(now)
    for least in ("rate", "name", "rows", "left", "failed"):
        room = width - len("  ".join(words.values())) - len("[] ")
        if room >= SHORTEST_BAR:
            words["share"] = f"{_bar(now, min(BAR, room))} {words['share']}"
            break
        words.pop(least, None)
    return "  ".join(words.values())


def _bar(now: Report, width: int) -> str:
    full = round(now.done / max(now.size, 1) * width)
    return f"[{'#' * full}{'.' * (width - full)}]"


def _words(now: Report) -> dict[str, str]:
    """What is told, in this order."""
    found = {"share": f"{100 * now.done / max(now.size, 1):.0f} %", "rows": _rows(now.rows)}
    if now.rate:
        found["rate"] = f"{now.rate:,.0f} rows/s"
    if now.left is not None:
        found["left"] = f"{show.span(now.left)} left"
    if now.failed:
        found["failed"] = f"{now.failed:,} failed"
    return found


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def _told(now: Report) -> dict[str, object]:
    return now._asdict()
