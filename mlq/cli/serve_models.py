"""The command that hosts models and serves them over HTTP, in one: mlq serve-models."""

import logging
import os
from pathlib import Path
from typing import Any

import click

from mlq.cli.base import Settings, with_settings
from mlq.cli.shared_options import (
    address_option,
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
    port_option,
    token_file_option,
)
from mlq.cli.worker import check_models
from mlq.core.policy import LOSSES
from mlq.core.queue_order import QueueOrder
from mlq.system.extras import require

log = logging.getLogger("mlq.cli")

# What `mlq worker` can be told beyond this; who needs more starts the parts apart.
_USUAL = {"order": QueueOrder(), "functions": None, "accept_uploads": False, "max_jobs": None, "max_memory": None,
          "max_losses": LOSSES, "burst": False, "name": None}  # fmt: skip


@click.command("serve-models")
@click.argument("file", metavar="MODELS.TOML")
@pool_option
@concurrency_option
@gpus_option
@memory_budget_option
@affinity_wait_option
@address_option
@port_option
@token_file_option
@files_option
@file_places_option
@grace_option
@log_format_option
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
    files, places = options.pop("files"), options.pop("file_places")
    note_files(files, places)
    how = settings_for(address, read_tokens(token_file), files=files, places=tuple(places or ()))
    mlq = settings.queue()
    plan = Plan(mlq.namespace, mlq.url, how, settings.log_level, settings.log_format)
    serving = ServerProcess(plan, address, port)
    serving.start()
    log.info("serving models at %s/models, documentation at %s/docs", serving.url, serving.url)
    try:
        run.work(settings, file, _USUAL | options, serving)
    finally:
        serving.stop(1.0)
