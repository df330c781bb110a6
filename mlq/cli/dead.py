"""Commands on dead letters: dead list, dead requeue, dead discard."""

import re
from collections.abc import Callable

import click

from mlq import MLQ
from mlq.cli import show
from mlq.cli.base import Settings, json_option, report, with_settings
from mlq.cli.jobs import each
from mlq.client.arguments import PAGE
from mlq.core.checks import functions_of, group_of, queue_of, share_of
from mlq.ops.lists import DeadLetter
from mlq.system import terminal

SHOWN = 1  # ids of a group of dead letters that are listed; --each lists all

ids_argument = click.argument("job_ids", metavar="[ID...]", nargs=-1)
all_option = click.option("--all", "every", is_flag=True, help="All dead letters that exist now.")
function_option = click.option("--function", metavar="NAME", help="All dead letters that name this listener.")


@click.group
def dead() -> None:
    """List, requeue or discard dead letters: jobs that failed."""


@dead.command("list")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most N dead letters."
)
@click.option("--each", "one_by_one", is_flag=True, help="One line for each, not for each error.")
@json_option
@with_settings
def list_letters(settings: Settings, limit: int, *, one_by_one: bool, as_json: bool) -> None:
    """List dead letters by their errors, latest first.

    Errors that differ only in their numbers are counted as the same.
    """
    mlq = settings.queue()
    letters = mlq.dead_letters(-limit, -1)[::-1]
    if as_json:
        show.emit_json([_listed(letter) for letter in letters])
        return
    if not letters:
        report(f"no dead letters in namespace {mlq.namespace!r}")
        return
    if one_by_one:
        heads = ("ID", "DIED", "FUNCTIONS", "REASON", "RUNS", "ERROR")
        show.table(heads, map(_row, letters), whole=("ID", "DIED"), less=("RUNS",))
    else:
        heads = ("COUNT", "LAST", "FUNCTIONS", "REASON", "ERROR", "IDS")
        show.table(heads, map(_group_row, _groups(letters)), whole=("COUNT", "LAST", "IDS"), less=("REASON",))
    if len(letters) == limit:
        report(f"these are the latest {limit}; --limit shows more")
    report("mlq job ID shows the traceback; mlq dead requeue ID puts a job back into its queue")


def _listed(letter: DeadLetter) -> dict[str, object]:
    fields = {name: value for name, value in letter._asdict().items() if name != "lane"}
    return fields | {
        "queue": queue_of(letter.lane),
        "functions": sorted(functions_of(letter.lane)),
        "share": share_of(letter.lane),
    }


def _groups(letters: list[DeadLetter]) -> list[list[DeadLetter]]:
    """Dead letters with the same functions, reason and error, numbers aside."""
    groups: dict[tuple[str, ...], list[DeadLetter]] = {}
    for letter in letters:
        error = re.sub(r"[0-9]+", "#", letter.error)
        groups.setdefault((group_of(letter.lane), letter.reason, letter.error_type, error), []).append(letter)
    return list(groups.values())


def _group_row(group: list[DeadLetter]) -> tuple[object, ...]:
    last, ids = group[0], [letter.id for letter in group]
    shown = ", ".join(ids[:SHOWN]) + (f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "")
    return (len(group), show.short_moment(last.died), _functions(last), last.reason, _error(last), shown)


def _row(letter: DeadLetter) -> tuple[object, ...]:
    runs = show.runs(letter.attempts, letter.errors, letter.losses)
    return letter.id, show.short_moment(letter.died), _functions(letter), letter.reason, runs, _error(letter)


def _functions(letter: DeadLetter) -> str:
    return ", ".join(sorted(functions_of(letter.lane)))


def _error(letter: DeadLetter) -> str:
    return show.error_line(letter.error_type, letter.error)


@dead.command
@ids_argument
@all_option
@function_option
@with_settings
def requeue(settings: Settings, job_ids: tuple[str, ...], function: str | None, *, every: bool) -> None:
    """Put dead letters back into their queues."""
    mlq = settings.queue()
    _change(mlq, job_ids, function, mlq.requeue, mlq.requeue_all if every else None, "requeued")


@dead.command
@ids_argument
@all_option
@function_option
@with_settings
def discard(settings: Settings, job_ids: tuple[str, ...], function: str | None, *, every: bool) -> None:
    """Remove dead letters for good."""
    mlq = settings.queue()
    _change(mlq, job_ids, function, mlq.discard, mlq.discard_all if every else None, "discarded")


def _change(
    mlq: MLQ,
    job_ids: tuple[str, ...],
    function: str | None,
    one: Callable[[str], None],
    every: Callable[[], int] | None,
    done: str,
) -> None:
    if (bool(job_ids), function is not None, every is not None).count(True) != 1:
        raise click.UsageError("give the ids of the dead letters, or --function, or --all")
    if every is not None:
        terminal.write(f"{done} {every()} in namespace {mlq.namespace!r}")
    elif function is not None:
        found = [letter.id for letter in _naming(mlq, function)]
        if not found:
            report(f"no dead letter names the listener {function!r}")
        each(found, one, done)
    else:
        each(job_ids, one, done)


def _naming(mlq: MLQ, function: str) -> list[DeadLetter]:
    """The dead letters that name a listener. All are read before any is changed."""
    found: list[DeadLetter] = []
    first = 0
    while page := mlq.dead_letters(first, first + PAGE - 1):
        found += [letter for letter in page if function in functions_of(letter.lane)]
        first += PAGE
    return found
