"""The command `purge`: removes jobs that ended, or cancels those that wait."""

from typing import Any

import click

from mlq import MLQ, State
from mlq.cli.base import Settings, report, with_settings
from mlq.core.states import FINISHED
from mlq.ops.purging import lanes_of
from mlq.system import terminal

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Age(click.ParamType[float]):
    """A number with a unit, in seconds: `90s`, `30m`, `12h`, `7d`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        number, unit = str(value)[:-1], str(value)[-1:]
        if unit not in UNITS or not number.isdigit() or len(number) > 9:
            self.fail(f"{value!r} is not an age: write a number and a unit, such as 90s, 30m, 12h or 7d", param, ctx)
        return float(int(number) * UNITS[unit])


@click.command
@click.argument("queue", required=False)
@click.option("--function", metavar="NAME", help="Cancel the waiting jobs that name this listener.")
@click.option("--older", type=Age(), metavar="AGE", help="Remove jobs that ended before: 90s, 30m, 12h or 7d ago.")
@click.option("--state", type=click.Choice(sorted(state.value for state in FINISHED)), help="Only jobs that ended so.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
def purge(
    settings: Settings, /, queue: str | None, function: str | None, older: float | None, state: str | None, *, yes: bool
) -> None:
    """Cancel jobs that wait, or remove jobs that ended.

    All jobs that wait in QUEUE are cancelled. Jobs that run, are scheduled, or wait for others stay, and so does what
    is posted meanwhile. With --older, jobs that ended are removed instead, with dead letters; --state succeeded
    leaves those.
    """
    mlq, ended_as = settings.queue(), State(state) if state else None
    if queue is None and function is None:
        if older is None:
            raise click.UsageError("give a queue, --function, or --older")
        terminal.write(f"removed {mlq.purge(older, ended_as)} jobs of namespace {mlq.namespace!r}")
        return
    if not yes and older is None:
        _confirm(mlq, queue, function)
    cancelled = mlq.purge(older, ended_as, queue=queue, function=function)
    terminal.write(f"cancelled {cancelled} waiting job{'s'[: cancelled != 1]} of namespace {mlq.namespace!r}")
    if scheduled := mlq.counts().scheduled:
        report(f"{scheduled} jobs of this namespace are scheduled for later: mlq jobs --state scheduled lists them")


def _confirm(mlq: MLQ, queue: str | None, function: str | None) -> None:
    """Ask, with the number of jobs that wait there."""
    lanes = mlq.counts().lanes
    waiting = sum(lanes[lane] for lane in lanes_of(lanes, queue, function))
    where = "" if queue is None else f" in the queue {queue!r}"
    which = "" if function is None else f" and name {function!r}"
    what = f"Cancel the {waiting:,} jobs that wait{where}{which} (namespace {mlq.namespace!r} at {mlq.server})?"
    click.confirm(terminal.escaped(what), abort=True, err=True)
