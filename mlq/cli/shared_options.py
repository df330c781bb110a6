"""The options that several commands have, so that they mean the same everywhere."""

import os
from collections.abc import Sequence

import click

from mlq.cli.options import Count, FilePlaces, FilesRoot, Names, Port, Size
from mlq.core.file_job import KEPT_IN, PLACES
from mlq.core.policy import AFFINITY_WAIT, LONGEST_AFFINITY_WAIT
from mlq.queue import GRACE

POOLS = ("process", "thread", "asyncio", "gevent", "solo")

pool_option = click.option(
    "--pool",
    type=click.Choice(POOLS),
    default="process",
    show_default=True,
    help="Where listeners run: child processes, threads, an event loop, greenlets, or the main thread.",
)
concurrency_option = click.option(
    "--concurrency",
    type=Count(),
    metavar="N|auto",
    help="Jobs at a time; in the process pool, child processes. auto: one per CPU core that this process may use. "
    "Default: 1, or one per GPU of --gpus; 100 for asyncio and gevent.",
)
gpus_option = click.option(
    "--gpus",
    type=Names(),
    metavar="auto|0,1",
    help="Give each child one of these GPUs, in turn, as its CUDA_VISIBLE_DEVICES. auto: all that this process may "
    "use. Default: leave CUDA_VISIBLE_DEVICES as it is.",
)
memory_budget_option = click.option(
    "--memory-budget",
    type=Size(),
    metavar="SIZE",
    help="Memory that the children may hold together (500M, 8G): models are unloaded to make place for others.",
)
affinity_wait_option = click.option(
    "--affinity-wait",
    type=click.FloatRange(0, LONGEST_AFFINITY_WAIT),
    default=AFFINITY_WAIT,
    show_default=True,
    metavar="S",
    help="Seconds for which a model's job is left to workers that have the model loaded. 0: take every job at once.",
)
grace_option = click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=GRACE,
    show_default=True,
    metavar="S",
    help="Seconds that running jobs may continue when the worker is told to stop.",
)
files_option = click.option(
    "--files",
    envvar=KEPT_IN,
    type=FilesRoot(),
    metavar="PLACE",
    help=f"The directory or URL that keeps uploaded files and those of batches: the same for services and workers. "
    f"Also in {KEPT_IN}.",
)
file_places_option = click.option(
    "--file-places",
    envvar=PLACES,
    type=FilePlaces(),
    metavar="PLACE,...",
    help=f"Directories and URLs below which jobs may read and write the files that they predict. Also in {PLACES}.",
)
log_format_option = click.option(
    "--log-format", type=click.Choice(["plain", "json"]), default="plain", show_default=True, help="How to log."
)
address_option = click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="The address to listen on. 0.0.0.0 means all networks of this machine, and requires tokens.",
)
port_option = click.option(
    "--port", cls=Port, type=click.IntRange(0, 65535), default=5001, show_default=True, metavar="PORT"
)
token_file_option = click.option(
    "--token-file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Tokens, one per line after its role: read, post or admin. Also in MLQ_SERVE_TOKENS.",
)


def note_files(files: str | None, places: Sequence[str] | None) -> None:
    """Have this process and its children, which run the listeners, know where files are."""
    os.environ.update({KEPT_IN: files or "", PLACES: ",".join(places or ())})
