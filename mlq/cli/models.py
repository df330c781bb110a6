"""Commands on models: mlq models, which lists them, models traffic, models shadow, models forget."""

import math

import click

from mlq import MLQ, InputError
from mlq.cli import show
from mlq.cli.base import Settings, json_option, report, with_settings
from mlq.client.model_states import LoadedIn, ModelState
from mlq.core.shadow import ShadowState
from mlq.ops.stats import QueueStats

_COLOURS = {"ready": "green", "broken": "red", "loading": "yellow"}


@click.group(invoke_without_command=True)
@json_option
@with_settings
def models(settings: Settings, *, as_json: bool) -> None:
    """List the hosted models, and where they are loaded."""
    if click.get_current_context().invoked_subcommand is None:
        _list(settings.queue(), as_json=as_json)


@models.command
@click.argument("name")
@click.option("--default", metavar="VERSION", help="The version that gets what the shares leave.")
@click.option("--share", "shares", metavar="VERSION=PERCENT", multiple=True, help="A part of the requests, as 3=10%.")
@click.option("--reset", is_flag=True, help="All requests go to the newest version that is hosted.")
@with_settings
def traffic(settings: Settings, name: str, default: str | None, shares: tuple[str, ...], *, reset: bool) -> None:
    """Show or set which versions get the requests that name none.

    What is set replaces what was set before. Clients follow within 5 s; jobs that were posted stay with their version.
    """
    mlq = settings.queue()
    if reset or default is not None or shares:
        if reset and (default is not None or shares):
            raise InputError("--reset goes with no other option")
        mlq.model(name).set_traffic(default, dict(map(_share, shares)))
    found = [one for one in mlq.models() if one.info.name == name]
    if not found:
        mlq.model(name).info()  # raises UnknownModel, with the nearest name
    rows = [(one.info.version, _percent(one) + " (default)" * one.is_default, one.state, one.unserved) for one in found]
    show.table(("VERSION", "TRAFFIC", "STATE", "WARNING"), rows, whole=("VERSION", "TRAFFIC"))


@models.command
@click.argument("name")
@click.argument("version", required=False)
@click.option("--share", metavar="PERCENT", help="Of the predictions of the other versions, as 10%. Default: all.")
@click.option("--off", is_flag=True, help="Repeat no more predictions. The figures stay.")
@with_settings
def shadow(settings: Settings, name: str, version: str | None, share: str | None, *, off: bool) -> None:
    """Show, set or turn off the shadow of a model: a version that repeats predictions of the others.

    Its outputs answer nobody: they are compared with those that callers got. Workers follow within 5 s.
    """
    mlq = settings.queue()
    model = mlq.model(name)
    if off and (version is not None or share is not None):
        raise InputError("--off goes with no version and no --share")
    if share is not None and version is None:
        raise InputError("--share needs the version that repeats predictions")
    if off:
        model.set_shadow(None)
    elif version is not None:
        wanted = 1.0 if share is None else _fraction(share)
        if wanted is None:
            raise InputError(f"--share must be a percentage, such as 10%, not {share!r:.80}")
        model.set_shadow(version, wanted)
    if (state := model.shadow()) is not None:
        _show_shadow(state)
    else:
        model.info()  # raises UnknownModel, with the nearest name
        report(f"no version of model {name} was ever a shadow: mlq models shadow {name} VERSION")


def _show_shadow(state: ShadowState) -> None:
    share = f"{100 * state.share:.3g} %" if state.share else "off"
    part = f"{100 * state.different / state.compared:.3g} %" if state.compared else show.MISSING
    heads = ("SHADOW", "SHARE", "COMPARED", "DIFFERENT", "FAILED", "DROPPED", "WARNING")
    row = (state.version, share, state.compared, f"{state.different} ({part})", state.failed, state.dropped, state.idle)
    show.table(heads, [row], whole=heads[:-1])
    if state.last:
        show.table(("JOB", "OUTPUT", "OUTPUT OF THE SHADOW"), state.last, whole=("JOB",))


@models.command
@click.argument("name")
@click.argument("version")
@with_settings
def forget(settings: Settings, name: str, version: str) -> None:
    """Drop a version that no worker hosts any more from the list. Its jobs stay."""
    mlq = settings.queue()
    mlq.model(name, version).forget()
    report(f"forgot version {version} of model {name}")


def _share(text: str) -> tuple[str, float]:
    """A version and its share. Raises InputError."""
    version, _, percent = text.rpartition("=")
    share = _fraction(percent)
    if not version or share is None:
        raise InputError(f"--share must be a version and a percentage, such as 3=10%, not {text!r:.80}")
    return version, share


def _fraction(percent: str) -> float | None:
    """A percentage, with or without its sign; None if it is none."""
    try:
        share = float(percent.removesuffix("%")) / 100
    except ValueError:
        return None
    return share if math.isfinite(share) else None


def _percent(one: ModelState) -> str:
    return f"{100 * one.share:.3g} %"


def _list(mlq: MLQ, *, as_json: bool) -> None:
    found, queues = mlq.models(), mlq.stats().queues
    if as_json:
        show.emit_json([_told(one, queues.get(one.info.queue)) for one in found])
    elif found:
        rows = [_row(one, queues.get(one.info.queue)) for one in found]
        heads = ("MODEL", "VERSION", "STATE", "TRAFFIC", "PROCESSES", "DEVICE", "MEMORY", "LOADED IN", "LOADS",
                 "EVICTIONS", "DESCRIPTION")  # fmt: skip
        show.table(heads, rows, whole=("MODEL", "VERSION", "STATE"), less=("DESCRIPTION", "LOADED IN"))
        for one in found:
            if one.why:
                report(f"{one.info.function} can't be loaded: {one.why}")
    else:
        report(f"no models were ever hosted in namespace {mlq.namespace!r}: mlq serve-models models.toml")


def _row(one: ModelState, queue: QueueStats | None) -> tuple[object, ...]:
    state = show.Coloured(one.state + (" (no worker)" if one.unserved else ""), _COLOURS.get(one.state))
    ready = [process for process in one.processes if process.state == "ready"]
    took = show.span(max((process.took for process in ready), default=None))
    memory = f"{one.memory / 1e6:,.0f} MB" if one.memory else None
    counts = (queue.loads, queue.evictions) if queue else (0, 0)
    devices = ", ".join(sorted({process.device for process in ready} - {""}))
    return (
        one.info.name, one.info.version, state, _percent(one), len(ready), devices, memory, took, *counts,
        one.info.about,
    )  # fmt: skip


def _told(one: ModelState, queue: QueueStats | None) -> dict[str, object]:
    info = one.info
    return {
        "name": info.name, "version": info.version, "description": info.about, "queue": info.queue, "state": one.state,
        "share": one.share, "default": one.is_default,
        "loads": queue.loads if queue else 0, "evictions": queue.evictions if queue else 0, "why": one.why or None,
         "unserved": one.unserved, "input": info.input, "output": info.output,
        "processes": [dict(zip(LoadedIn._fields, process, strict=True)) for process in one.processes],
    }  # fmt: skip
