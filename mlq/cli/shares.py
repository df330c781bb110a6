"""The command mlq shares: lists the shares of jobs, and sets their weights."""

import click

from mlq.cli import show
from mlq.cli.base import Settings, json_option, report, with_settings


@click.group(invoke_without_command=True)
@json_option
@with_settings
def shares(settings: Settings, *, as_json: bool) -> None:
    """List the shares whose jobs wait, and those with a weight."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    found = settings.queue().shares()
    if as_json:
        show.emit_json([one._asdict() for one in found])
    elif found:
        heads = ("SHARE", "WAITING", "WEIGHT")
        show.table(heads, [(one.name, one.waiting, f"{one.weight:g}") for one in found], whole=heads)
    else:
        report("no share has jobs that wait: mlq post MSG --share NAME posts one")


@shares.command
@click.argument("share")
@click.argument("weight", type=float)
@with_settings
def weight(settings: Settings, share: str, weight: float) -> None:
    """Set the weight of a share.

    From now on, it gets WEIGHT times the time of workers that another one gets. 1 is the usual weight.
    """
    settings.queue().share_weight(share, weight)
    report(f"share {share} has weight {weight:g} now")
