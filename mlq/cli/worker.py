"""The command that runs a worker: mlq worker."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import click

from mlq import InputError, ServerError
from mlq.cli.base import Settings, report, with_settings_alone
from mlq.cli.options import Names, Size
from mlq.cli.shared_options import (
    affinity_wait_option,
    concurrency_option,
    file_places_option,
    files_option,
    gpus_option,
    grace_option,
    log_format_option,
    memory_budget_option,
    note_files,
    pool_option,
)
from mlq.core.policy import LOSSES
from mlq.core.queue_order import QueueOrder


@click.command
@click.argument("target", metavar="MODULE_OR_FILE[:OBJECT]", required=False)
@click.option(
    "--models",
    type=click.Path(),
    metavar="FILE",
    help="Host the models that this file names (models.toml), instead of a module's listeners.",
)
@pool_option
@concurrency_option
@gpus_option
@memory_budget_option
@affinity_wait_option
@click.option(
    "--queues",
    type=Names(),
    metavar="A,B",
    help="Queues to serve; gpu:3,cpu:1 takes three jobs of gpu for each one of cpu, while both have some. Default: the "
    "one named default, and those that the listeners declare.",
)
@click.option(
    "--strict-order",
    is_flag=True,
    help="Take jobs of a queue only while the queues before it in --queues have none.",
)
@click.option("--functions", type=Names(), metavar="F,G", help="Listeners to run. Default: all.")
@click.option(
    "--accept-uploads",
    is_flag=True,
    help="Also run functions uploaded to the namespace (POST /consumer), if they are signed with MLQ_UPLOAD_SECRET.",
)
@click.option("--max-jobs", type=click.IntRange(min=1), metavar="N", help="Replace a child after N jobs.")
@click.option(
    "--max-memory",
    type=Size(),
    metavar="SIZE",
    help="Replace a child that uses more memory than this after a job (500M, 8G).",
)
@click.option(
    "--max-losses",
    type=click.IntRange(min=1),
    default=LOSSES,
    show_default=True,
    metavar="N",
    help="Make a job a dead letter once it was lost alone N times because its worker or child died.",
)
@files_option
@file_places_option
@grace_option
@click.option("--burst", is_flag=True, help="Stop when no jobs are left.")
@click.option("--watch", is_flag=True, help="Restart when a Python file below the listeners' folder changes.")
@click.option(
    "--check", is_flag=True, help="Run nothing: exit with 0 if a worker of this host is alive and claims, else with 1."
)
@click.option("--name", metavar="NAME", help="The beginning of the worker's name. Default: host and process id.")
@log_format_option
@with_settings_alone
def worker(settings: Settings, /, target: str | None, **options: Any) -> None:  # fmt: skip
    """Run the listeners of a module.

    It runs the functions declared with @mlq.listener, until SIGTERM or Ctrl-C. After the first signal, running jobs
    may finish within --grace, and the others are handed back; a second signal ends the worker at once, with exit code
    1. SIGHUP replaces child processes one by one. While the server can't be reached, the worker keeps trying.
    --namespace selects one of the module's queues.
    """
    settings.log_format = options["log_format"]
    settings.log_level = settings.log_level or "info"
    if options["check"] or options["watch"]:
        settings.start_logging()
    if options["check"]:
        click.get_current_context().exit(0 if _is_alive(settings, options["name"]) else 1)
    note_files(options.pop("files"), options.pop("file_places"))
    options["order"] = QueueOrder.parse(options.pop("queues") or (), strict=options.pop("strict_order"))
    if (models := options.pop("models")) is not None:
        if target is not None:
            raise click.UsageError("Give a module or --models, not both.")
        target = check_models(models)
    if target is None:
        raise click.UsageError("Missing argument 'MODULE_OR_FILE[:OBJECT]'.")
    if settings.url is not None:
        os.environ["MLQ_URL"] = settings.url  # the module's own MLQ objects read it
    if options["watch"]:
        click.get_current_context().exit(_watch(target))
    from mlq.cli import run  # only this command needs the worker

    run.work(settings, target, options)


def check_models(path: str) -> str:
    """The path of a file that names models. Raises UsageError: a module has another ending."""
    if not path.endswith(".toml"):
        raise click.UsageError(f"--models takes a .toml file, not {path}")
    return path


def _is_alive(settings: Settings, name: str | None) -> bool:
    """Whether a worker of this host sends heartbeats, which it does only while it can claim."""
    mlq = settings.queue()
    try:
        living = mlq.workers()
    except ServerError as error:
        report(str(error))
        return False
    mine = [one for one in living if one.get("host") == socket.gethostname() and one["name"].startswith(name or "")]
    if not mine:
        report(f"no worker{f' {name}' if name else ''} of this host in namespace {mlq.namespace!r} is alive")
    return bool(mine)


def _watch(target: str) -> int:
    """Run this command without --watch, and restart it when a file changes. Returns the last run's exit code."""
    try:
        from mlq.cli.watch import watch
    except ImportError:  # an extra
        raise InputError("--watch needs another package: pip install watchfiles") from None
    place = Path(target.partition(":")[0])
    return watch(place.parent if place.suffix in (".py", ".toml") else Path.cwd(), sys.argv[1:])
