"""The command `why`: the reason why a job does not run, or has not ended."""

import click

from mlq.cli import show
from mlq.cli.base import Settings, json_option, with_settings
from mlq.system import terminal


@click.command
@click.argument("job_id", metavar="ID")
@json_option
@with_settings
def why(settings: Settings, job_id: str, *, as_json: bool) -> None:
    """Say why a job does not run, or has not ended.

    It writes the first reason that holds: what the job waits for, and what to do about it.
    """
    found = settings.queue().why(job_id)
    if as_json:
        show.emit_json(found.data())
    else:
        terminal.write(str(found))
