"""The command that runs a worker: mlq worker."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import click

from mlq import InputError, ServerError
from mlq.cli.base import Settings, report, with_settings_alone
from mlq.cli.options import Count, Names, Size
from mlq.core.policy import LOSSES
from mlq.queue import GRACE

POOLS = ("process", "thread", "asyncio", "gevent", "solo")


@click.command
@click.argument("target", metavar="MODULE_OR_FILE[:OBJECT]", required=False)
@click.option(
    "--models",
    type=click.Path(),
    metavar="FILE",
    help="Host the models that this file names (models.toml), instead of a module's listeners.",
)
@click.option(
    "--pool",
    type=click.Choice(POOLS),
    default="process",
    show_default=True,
    help="Where listeners run: child processes, threads, an event loop, greenlets, or the main thread.",
)
@click.option(
    "--concurrency",
    type=Count(),
    metavar="N|auto",
    help="Jobs at a time; in the process pool, child processes. auto: one per CPU core that this process may use. "
    "Default: 1, or one per GPU of --gpus; 100 for asyncio and gevent.",
)
@click.option(
    "--gpus",
    type=Names(),
    metavar="auto|0,1",
    help="Give each child one of these GPUs, in turn, as its CUDA_VISIBLE_DEVICES. auto: all that this process may "
    "use. Default: leave CUDA_VISIBLE_DEVICES as it is.",
)
@click.option(
    "--queues",
    type=Names(),
    metavar="A,B",
    help="Queues to serve. Default: the one named default, and those that the listeners declare.",
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
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=GRACE,
    show_default=True,
    metavar="S",
    help="Seconds that running jobs may continue when the worker is told to stop.",
)
@click.option("--burst", is_flag=True, help="Stop when no jobs are left.")
@click.option("--watch", is_flag=True, help="Restart when a Python file below the listeners' folder changes.")
@click.option(
    "--check", is_flag=True, help="Run nothing: exit with 0 if a worker of this host is alive and claims, else with 1."
)
@click.option("--name", metavar="NAME", help="The beginning of the worker's name. Default: host and process id.")
@click.option(
    "--log-format", type=click.Choice(["plain", "json"]), default="plain", show_default=True, help="How to log."
)
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
