"""Commands on dead letters: dead list, dead requeue, dead discard."""

from collections.abc import Callable

import click

from mlq import MLQ
from mlq.cli import show
from mlq.cli.base import Settings, report, with_settings
from mlq.cli.jobs import each, json_option
from mlq.system import terminal

ids_argument = click.argument("job_ids", metavar="[ID...]", nargs=-1)
all_option = click.option("--all", "every", is_flag=True, help="All dead letters that exist now.")


@click.group
def dead() -> None:
    """List, requeue or discard dead letters: jobs that failed."""


@dead.command("list")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="At most N dead letters."
)
@json_option
@with_settings
def list_letters(settings: Settings, limit: int, *, as_json: bool) -> None:
    """List dead letters, latest first."""
    mlq = settings.queue()
    letters = mlq.dead_letters(-limit, -1)[::-1]
    if as_json:
        show.emit_json([letter._asdict() for letter in letters])
    elif letters:
        rows = (
            (
                letter.id,
                show.moment(letter.died),
                letter.reason,
                letter.attempts,
                show.error_line(letter.error_type, letter.error),
            )
            for letter in letters
        )
        show.table(("ID", "DIED", "REASON", "RUNS", "ERROR"), rows)
    else:
        report(f"no dead letters in namespace {mlq.namespace!r}")


@dead.command
@ids_argument
@all_option
@with_settings
def requeue(settings: Settings, job_ids: tuple[str, ...], *, every: bool) -> None:
    """Put dead letters back into their queues."""
    mlq = settings.queue()
    _change(mlq, job_ids, mlq.requeue, mlq.requeue_all if every else None, "requeued")


@dead.command
@ids_argument
@all_option
@with_settings
def discard(settings: Settings, job_ids: tuple[str, ...], *, every: bool) -> None:
    """Remove dead letters for good."""
    mlq = settings.queue()
    _change(mlq, job_ids, mlq.discard, mlq.discard_all if every else None, "discarded")


def _change(
    mlq: MLQ, job_ids: tuple[str, ...], one: Callable[[str], None], every: Callable[[], int] | None, done: str
) -> None:
    if bool(job_ids) == (every is not None):
        raise click.UsageError("give the ids of the dead letters, or --all")
    if every is None:
        each(job_ids, one, done)
    else:
        terminal.write(f"{done} {every()} in namespace {mlq.namespace!r}")
