"""The command that works: mlq worker."""

import logging
import os

import click

from mlq import MLQ, InputError
from mlq.cli.base import Settings, with_settings
from mlq.cli.load import queues_of
from mlq.queue import GRACE

log = logging.getLogger("mlq.cli")


@click.command
@click.argument("target", metavar="MODULE_OR_FILE[:OBJECT]")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Jobs at a time."
)
@click.option("--grace", type=click.FloatRange(min=0), default=GRACE, show_default=True, metavar="S",
              help="Seconds that running jobs get when the worker is told to stop.")  # fmt: skip
@with_settings
def worker(settings: Settings, target: str, concurrency: int, grace: float) -> None:
    """Run the listeners of a module.

    Those that it declares with @mlq.listener are run until SIGTERM or Ctrl-C. The first signal lets running jobs end,
    within the time of --grace, and hands the rest back; a second one ends the worker at once, with exit code 1.
    While the server can't be reached it keeps trying. --namespace chooses among the module's queues.
    """
    if settings.log_level is None:
        settings.log_level = "info"
        settings.start_logging()
    if settings.url is not None:
        os.environ["MLQ_URL"] = settings.url  # where the module's own MLQ objects look
    queues = queues_of(target, settings.namespace)
    for queue in queues:
        _check_url(queue, settings.url)
    for queue in queues:
        log.info("namespace %r: listeners %s", queue.namespace, ", ".join(queue.listeners.names()))
        queue.create_listener(concurrency=concurrency, grace=grace)


def _check_url(queue: MLQ, url: str | None) -> None:
    if url is not None and not queue.server.endswith("(from MLQ_URL)"):
        raise InputError(f"--url has no effect: the module's own queue names the server {queue.server}")
