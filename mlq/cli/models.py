"""The command that lists models: mlq models."""

import click

from mlq.cli import show
from mlq.cli.base import Settings, json_option, report, with_settings
from mlq.client.model_states import LoadedIn, ModelState

_COLOURS = {"ready": "green", "broken": "red", "loading": "yellow"}


@click.command
@json_option
@with_settings
def models(settings: Settings, *, as_json: bool) -> None:
    """List the hosted models, and where they are loaded."""
    mlq = settings.queue()
    found = mlq.models()
    if as_json:
        show.emit_json([_told(one) for one in found])
    elif found:
        show.table(("MODEL", "VERSION", "STATE", "PROCESSES", "LOADED IN", "DESCRIPTION"), map(_row, found),
                   whole=("MODEL", "VERSION", "STATE"), less=("DESCRIPTION", "LOADED IN"))  # fmt: skip
        for one in found:
            if one.why:
                report(f"{one.info.function} can't be loaded: {one.why}")
    else:
        report(f"no models were ever hosted in namespace {mlq.namespace!r}: mlq serve-models models.toml")


def _row(one: ModelState) -> tuple[object, ...]:
    state = show.Coloured(one.state + (" (no worker)" if one.unserved else ""), _COLOURS.get(one.state))
    ready = [process for process in one.processes if process.state == "ready"]
    took = show.span(max((process.took for process in ready), default=None))
    return one.info.name, one.info.version, state, len(ready), took, one.info.about


def _told(one: ModelState) -> dict[str, object]:
    info = one.info
    return {
        "name": info.name, "version": info.version, "description": info.about, "queue": info.queue, "state": one.state,
        "why": one.why or None, "unserved": one.unserved, "input": info.input, "output": info.output,
        "processes": [dict(zip(LoadedIn._fields, process, strict=True)) for process in one.processes],
    }  # fmt: skip
