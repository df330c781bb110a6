"""The command that serves HTTP: mlq serve."""

import logging
from collections.abc import Sequence

import click

from mlq.cli.base import Settings, with_settings
from mlq.cli.options import Names, Size
from mlq.cli.shared_options import (
    address_option,
    file_places_option,
    files_option,
    log_format_option,
    port_option,
    token_file_option,
)
from mlq.system.extras import require

log = logging.getLogger("mlq.http")


@click.command
@address_option
@port_option
@token_file_option
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Requests a second with one token, on average.",
)
@click.option(
    "--cors", type=Names(), metavar="ORIGIN,...", help="Origins whose web pages may use it: https://app.example.com."
)
@click.option(
    "--host-name",
    type=Names(),
    metavar="NAME,...",
    help="Names by which it may be called besides localhost, if there are no tokens.",
)
@click.option("--prefix", default="", metavar="PATH", help="The path below which a proxy serves it, such as /mlq.")
@click.option(
    "--proxies",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="The number of proxies in front of it, whose X-Forwarded headers are trusted.",
)
@click.option(
    "--body-limit", type=Size(), default="64M", show_default=True, metavar="SIZE", help="The largest request."
)
@click.option(
    "--request-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="S",
    help="Seconds that a client has to send its request.",
)
@click.option(
    "--connections", type=click.IntRange(min=1), default=4096, show_default=True, metavar="N",
    help="Connections at a time, including event streams.",
)  # fmt: skip
@files_option
@file_places_option
@click.option(
    "--file-limit", type=Size(), default="200M", show_default=True, metavar="SIZE", help="The largest file to keep."
)
@click.option(
    "--files-limit",
    type=Size(),
    default="10G",
    show_default=True,
    metavar="SIZE",
    help="Bytes of all files together, from which on no more are accepted.",
)
@click.option(
    "--local-uploads",
    is_flag=True,
    help="If there are no tokens, accept uploads from every user of this machine, not only from its own user.",
)
@click.option("--access-log", is_flag=True, help="Log each request.")
@log_format_option
@with_settings
def serve(
    settings: Settings, /, address: str, port: int, token_file: str | None, cors: list[str] | None,
    host_name: list[str] | None, file_places: Sequence[str] | None, prefix: str, log_format: str, **limits: object,
) -> None:  # fmt: skip
    """Accept jobs over HTTP, until SIGTERM or Ctrl-C.

    Its documentation is at /docs. It runs no jobs: start `mlq worker` for that. Several servers may serve one
    namespace.
    """
    require("serve", "mlq serve")
    from mlq.http.process import Plan, become, listen, url_of
    from mlq.http.settings import LOOPBACK, read_tokens, settings_for

    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise click.BadParameter("it must begin with a slash and not end with one", param_hint="--prefix")
    how = settings_for(address, read_tokens(token_file), origins=tuple(cors or ()), prefix=prefix,
                       places=tuple(file_places or ()),
                       hosts=(*LOOPBACK, *(host_name or ())), **limits)  # fmt: skip
    settings.log_level, settings.log_format = settings.log_level or "info", log_format
    settings.start_logging()
    listening = listen(address, port)
    mlq = settings.queue()
    log.info("serving namespace %r at %s, documentation at %s/docs", mlq.namespace, url_of(listening),
             url_of(listening) + prefix)  # fmt: skip
    become(Plan(mlq.namespace, mlq.url, how, settings.log_level, log_format), listening)
