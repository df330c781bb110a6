"""Commands on schedules: schedule list, show, add, run, pause, resume, remove."""

from typing import Any

import click

from mlq import MLQ, ScheduleState
from mlq.cli import show
from mlq.cli.base import Settings, json_option, report, with_settings
from mlq.cli.posting import names_in
from mlq.core.json_values import read_message

name_argument = click.argument("name")


@click.group
def schedule() -> None:
    """List and change schedules.

    A schedule posts a job again and again.
    """


@schedule.command("list")
@json_option
@with_settings
def list_all(settings: Settings, *, as_json: bool) -> None:
    """List schedules: when each is due, and what became of its last job."""
    mlq = settings.queue()
    found = mlq.schedules.all()
    if as_json:
        show.emit_json([_told(one) for one in found])
    elif found:
        heads = ("NAME", "WHEN", "NEXT", "LAST", "OUTCOME", "LEFT OUT", "OWNER", "DECLARED", "FUNCTIONS")
        show.table(heads, map(_row, found), whole=("NAME", "NEXT"), less=("DECLARED", "FUNCTIONS", "LEFT OUT"))
    else:
        report(f"no schedules in namespace {mlq.namespace!r}: mlq schedule add, or @mlq.schedule in code")


def _row(one: ScheduleState) -> tuple[object, ...]:
    due = show.Coloured("paused", "yellow") if one.paused else show.short_moment(one.next)
    left_out = one.missed_ticks + one.skipped_ticks
    return (one.name, one.words, due, show.short_moment(one.last), one.outcome and show.state(one.outcome), left_out,
            one.owner, show.short_moment(one.declared), ", ".join(one.functions or ()))  # fmt: skip


def _told(one: ScheduleState) -> dict[str, object]:
    return {name: value for name, value in one._asdict().items() if name not in ("msg", "options")}


@schedule.command("show")
@name_argument
@json_option
@with_settings
def show_one(settings: Settings, name: str, *, as_json: bool) -> None:
    """Show everything about a schedule."""
    _show(settings.queue(), name, as_json=as_json)


def _show(mlq: MLQ, name: str, *, as_json: bool = False) -> None:
    one = mlq.schedules.get(name)
    if as_json:
        show.emit_json(one._asdict())
        return
    show.described((
        ("name", one.name),
        ("due", one.words),
        ("cron line", one.cron),
        ("next", show.moment(one.next)),
        ("paused", one.paused and f"since {show.moment(one.paused)}"),
        ("last", show.moment(one.last)),
        ("last job", one.job and f"{one.job} ({one.outcome or 'gone'})"),
        ("jobs so far", one.posted),
        ("missed ticks", f"{one.missed_ticks} ({_MISSED[one.missed]})"),
        ("skipped ticks", f"{one.skipped_ticks} (the last job had not ended)" if one.overlap == "skip" else None),
        ("queue", one.queue),
        ("functions", one.functions and ", ".join(one.functions)),
        ("message", show.brief(one.msg)),
        ("options", show.brief(one.options) if one.options else None),
        ("owner", f"{one.owner}, declared {show.moment(one.declared)}"),
    ))  # fmt: skip


_MISSED = {"once": "one job for all that were missed together", "skip": "no job for those", "all": "a job for each"}


@schedule.command
@name_argument
@click.option("--cron", metavar="LINE", help="Minute, hour, day of the month, month, day of the week: '0 8 * * 1-5'.")
@click.option("--tz", metavar="ZONE", help="The time zone of --cron, as Europe/Berlin. Default: UTC.")
@click.option("--every", type=float, metavar="S", help="Every S seconds, instead of --cron.")
@click.option("--functions", metavar="NAME", multiple=True,
              help="The listener to run. Repeat it, or use commas, for several. Default: all listeners.")  # fmt: skip
@click.option("--msg", metavar="MSG", help="The message of each job: JSON, or a text.")
@click.option("--missed", type=click.Choice(("once", "skip", "all")), default="once", show_default=True,
              help="When no worker was there: post one job for all missed ticks, none, or one for each.")  # fmt: skip
@click.option("--overlap", type=click.Choice(("skip", "queue")), default="skip", show_default=True,
              help="While the last job has not ended: skip the tick, or post its job, too.")  # fmt: skip
@click.option("--queue", metavar="NAME", help="The queue to wait in, instead of the one named default.")
@click.option("--ttl", type=float, metavar="S", help="Keep each job for S seconds after it succeeds. Default: forever.")
@click.option("--job-timeout", type=float, metavar="S", help="End an attempt after S seconds.")
@click.option("--retries", type=int, metavar="N", help="How often to retry after an error or timeout.")
@click.option("--expires", type=float, metavar="S", help="Cancel a job that no worker has begun after S seconds.")
@click.option("--priority", type=int, metavar="N", help="-100 to 100; jobs with a larger one run sooner. Default: 0.")
@with_settings
def add(
    settings: Settings,
    /,
    name: str,
    cron: str | None,
    functions: tuple[str, ...],
    msg: str | None,
    job_timeout: float | None,
    **options: Any,
) -> None:
    """Add a schedule, or change the one of this name."""
    mlq = settings.queue()
    message = None if msg is None else read_message(msg)
    mlq.schedules.add(name, cron, msg=message, functions=names_in(functions), timeout=job_timeout, **options)
    _show(mlq, name)


@schedule.command
@name_argument
@json_option
@with_settings
def run(settings: Settings, name: str, *, as_json: bool) -> None:
    """Post the job of a schedule now, and write its id. The next tick stays as it is."""
    job = settings.queue().schedules.run(name)
    show.emit({"id": job.id} if as_json else job.id, as_json=as_json)


@schedule.command
@name_argument
@with_settings
def pause(settings: Settings, name: str) -> None:
    """Pause a schedule until it is resumed, even across deploys."""
    settings.queue().schedules.pause(name)
    report(f"paused {name}")


@schedule.command
@name_argument
@with_settings
def resume(settings: Settings, name: str) -> None:
    """Resume a schedule that was paused. The ticks of its pause are left out."""
    mlq = settings.queue()
    mlq.schedules.resume(name)
    report(f"resumed {name}, which is due {show.moment(mlq.schedules.get(name).next)}")


@schedule.command
@name_argument
@with_settings
def remove(settings: Settings, name: str) -> None:
    """Remove a schedule. Its jobs stay. One that is still in the code comes back when a worker starts."""
    settings.queue().schedules.remove(name)
    report(f"removed {name}")
