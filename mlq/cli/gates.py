"""Commands on limits and pauses: limit, limits, pause, resume."""

from collections.abc import Callable
from typing import Any

import click

from mlq.cli import show
from mlq.cli.base import Settings, json_option, report, with_settings
from mlq.core.limit import KINDS, GateState
from mlq.system import terminal


def gate_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name what is limited or paused, exactly one of which must be given."""
    about = {"queue": "A queue.", "function": "A listener.", "resource": "Something that listeners use (uses=...).",
             "share": "A share of jobs."}  # fmt: skip
    for kind in reversed(KINDS):
        command = click.option(f"--{kind}", metavar="NAME", help=about[kind])(command)
    return command


@click.command
@gate_options
@click.option("--running", type=click.IntRange(min=1), metavar="N", help="Jobs that may run at a time, on all workers.")
@click.option("--rate", metavar="N/s|m|h", help="Jobs that may begin in any second, minute or hour: 10/s.")
@click.option("--length", type=click.IntRange(min=1), metavar="N", help="Jobs that may wait in a queue.")
@click.option("--remove", is_flag=True, help="Remove the limit.")
@with_settings
def limit(
    settings: Settings,
    /,
    running: int | None,
    rate: str | None,
    length: int | None,
    *,
    remove: bool,
    **gate: str | None,
) -> None:
    """Limit how many jobs run, begin or wait.

    The limit is of a queue, a function, a resource or a share, on all workers together. It replaces an earlier limit
    as a whole. Jobs that already run go on, and are counted.
    """
    mlq = settings.queue()
    if remove and (running or rate or length):
        raise click.UsageError("--remove removes a limit as a whole: leave out --running, --rate and --length")
    if remove:
        terminal.write("removed" if mlq.remove_limit(**gate) else "there was no limit")
    else:
        terminal.write("set" if mlq.limit(**gate, running=running, rate=rate, length=length) else "set already")


@click.command
@json_option
@with_settings
def limits(settings: Settings, *, as_json: bool) -> None:
    """List what is limited or paused.

    HOLDS BACK says whether jobs that wait may not begin because of it.
    """
    mlq = settings.queue()
    found = mlq.limits()
    if as_json:
        show.emit_json([one.as_dict() for one in found])
    elif found:
        heads = ("KIND", "NAME", "RUNNING", "RATE", "LENGTH", "HOLDS BACK", "PAUSED")
        show.table(heads, map(_row, found), whole=("KIND",), less=("LENGTH",))
    else:
        report(f"nothing is limited or paused in namespace {mlq.namespace!r}")


def _row(one: GateState) -> tuple[object, ...]:
    limit, waits = one.limit, "yes" if one.holds_back else "no"
    if one.opens_in is not None:
        waits += f", the next begins in {show.span(one.opens_in)}"
    return (
        one.gate.kind,
        one.gate.name,
        f"{one.running} of {limit.running}" if limit and limit.running else None,
        f"{one.started} of {limit.rate}" if limit and limit.rate else None,
        limit.length if limit else None,
        waits,
        f"by {one.paused.by}, {show.moment(one.paused.since)}" if one.paused else None,
    )


@click.command
@gate_options
@click.option("--by", metavar="NAME", help="Who pauses it, as it is shown. Default: this user and host.")
@with_settings
def pause(settings: Settings, /, by: str | None, **gate: str | None) -> None:
    """Pause a queue, function, resource or share.

    No more of its jobs begin. Jobs that run go on, and posts are taken as always.
    """
    terminal.write("paused" if settings.queue().pause(**gate, by=by) else "it was paused already")


@click.command
@gate_options
@with_settings
def resume(settings: Settings, /, **gate: str | None) -> None:
    """End the pause of a queue, function, resource or share."""
    terminal.write("resumed" if settings.queue().resume(**gate) else "it was not paused")
