"""The command that hosts models and serves them over HTTP, in one: mlq serve-models."""

import logging
import os
from pathlib import Path
from typing import Any

import click

from mlq.cli.base import Settings, with_settings
from mlq.cli.options import Count, Names, Port
from mlq.cli.worker import POOLS, check_models
from mlq.core.policy import LOSSES
from mlq.queue import GRACE
from mlq.system.extras import require

log = logging.getLogger("mlq.cli")

# What `mlq worker` can be told beyond this; who needs more starts the parts apart.
_USUAL = {"queues": None, "functions": None, "accept_uploads": False, "max_jobs": None, "max_memory": None,
          "max_losses": LOSSES, "burst": False, "name": None}  # fmt: skip


@click.command("serve-models")
@click.argument("file", metavar="MODELS.TOML")
@click.option("--pool", type=click.Choice(POOLS), default="process", show_default=True, help="Where models run.")
@click.option(
    "--concurrency",
    type=Count(),
    metavar="N|auto",
    help="Predictions, or batches of them, at a time; in the process pool, child processes. Default: as mlq worker.",
)
@click.option("--gpus", type=Names(), metavar="auto|0,1", help="Give each child one of these GPUs, in turn.")
@click.option("--address", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="The address to listen on.")
@click.option("--port", cls=Port, type=click.IntRange(0, 65535), default=5001, show_default=True, metavar="PORT")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Tokens, one per line after its role: read, post or admin. Also in MLQ_SERVE_TOKENS.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=GRACE,
    show_default=True,
    metavar="S",
    help="Seconds that running predictions may continue when it is told to stop.",
)
@click.option(
    "--log-format", type=click.Choice(["plain", "json"]), default="plain", show_default=True, help="How to log."
)
@with_settings
def serve_models(
    settings: Settings, /, file: str, address: str, port: int, token_file: str | None, **options: Any
) -> None:  # fmt: skip
    """Host the models that a file names, and serve them over HTTP, until SIGTERM or Ctrl-C.

    It is `mlq worker --models MODELS.TOML` and `mlq serve` in one. After a signal, no new requests are accepted, and
    running predictions may finish within --grace.
    """
    require("serve", "mlq serve-models")
    require("models", "mlq serve-models")
    from mlq.cli import run
    from mlq.http.process import Plan, ServerProcess
    from mlq.http.settings import read_tokens, settings_for
    from mlq.models import config

    config.read(Path(check_models(file)), os.environ)  # mistakes in it are told before anything starts
    settings.log_level, settings.log_format = settings.log_level or "info", options["log_format"]
    settings.start_logging()
    how = settings_for(address, read_tokens(token_file))
    mlq = settings.queue()
    plan = Plan(mlq.namespace, mlq.url, how, settings.log_level, settings.log_format)
    serving = ServerProcess(plan, address, port)
    serving.start()
    log.info("serving models at %s/models, documentation at %s/docs", serving.url, serving.url)
    try:
        run.work(settings, file, _USUAL | options, serving)
    finally:
        serving.stop(1.0)
