"""Commands on a whole namespace and its server: count, status, workers, clear, server."""

import json
import time

import click

from mlq import MLQ
from mlq import server as embedded
from mlq.cli import show
from mlq.cli.base import SERVER, Settings, json_option, report, with_settings
from mlq.client.unserved import missing
from mlq.core.job import number, or_none
from mlq.system import terminal

EVERY = 2.0  # seconds between two looks of `status --watch`


@click.command
@with_settings
def count(settings: Settings) -> None:
    """Write how many jobs wait or run."""
    terminal.write(str(settings.queue().job_count()))


@click.command
@click.option("--watch", "watches", is_flag=True, help=f"Show it again every {EVERY:g} s, until Ctrl-C.")
@json_option
@with_settings
def status(settings: Settings, *, watches: bool, as_json: bool) -> None:
    """Show how many jobs wait, run and failed.

    Waiting jobs are listed by queue and by the functions that they name.
    """
    mlq = settings.queue(announce=False)  # the table shows the server
    if watches:
        terminal.clear_screen()
    _status(mlq, as_json=as_json)
    while watches:
        time.sleep(EVERY)
        terminal.clear_screen()
        _status(mlq, as_json=as_json)


def _status(mlq: MLQ, *, as_json: bool) -> None:
    now, workers, limits = mlq.counts(), mlq.workers(), mlq.limits()
    lacking = {lane: missing(lane, workers, mlq.namespace) for lane, waiting in sorted(now.lanes.items()) if waiting}
    if as_json:
        unserved = {lane: now.lanes[lane] for lane, text in lacking.items() if text}
        found = {"server": mlq.server, "namespace": mlq.namespace, "waiting": now.waiting,
                 "scheduled": now.scheduled, "blocked": now.blocked, "running": now.running,
                 "dead": now.dead, "workers": len(workers), "lanes": now.lanes, "unserved": unserved,
                 "limits": [one.as_dict() for one in limits]}  # fmt: skip
        show.emit_json(found)
        return
    lanes = [(f"  {lane}", f"{now.lanes[lane]}{f' ({text})' if text else ''}") for lane, text in lacking.items()]
    show.described([
        ("server", mlq.server), ("namespace", mlq.namespace), ("waiting", now.waiting), *lanes,
        *[("paused", f"{one.gate.words} by {one.paused.by} since {show.moment(one.paused.since)}")
          for one in limits if one.paused],
        *[("at its limit", one.gate.words) for one in limits if one.holds_back and not one.paused],
        ("scheduled", now.scheduled or None), ("blocked", now.blocked or None), ("running", now.running),
        ("dead letters", now.dead), ("workers", f"{len(workers)}{_slots(workers)}"),
    ])  # fmt: skip


def _slots(workers: list[dict[str, str]]) -> str:
    counts = [[int(worker.get(name, "0")) for name in ("running", "slots")] for worker in workers]
    return f" ({sum(busy for busy, _ in counts)} of {sum(slots for _, slots in counts)} slots busy)" if workers else ""


@click.command
@json_option
@with_settings
def workers(settings: Settings, *, as_json: bool) -> None:
    """List the live workers."""
    mlq = settings.queue()
    found = mlq.workers()
    if as_json:
        show.emit_json(found)
    elif found:
        heads: tuple[str, ...] = ("WORKER", "HOST", "PID", "POOL", "RUNNING", "JOBS", "UP", "QUEUES", "FUNCTIONS")
        rows = [_worker_row(worker) for worker in found]
        gpus = [_gpus(worker.get("gpus", "")) for worker in found]
        if any(gpus):
            heads, rows = (*heads, "GPUS"), [(*row, used) for row, used in zip(rows, gpus, strict=True)]
        show.table(heads, rows, whole=("WORKER",), less=("HOST", "PID", "POOL", "UP"))
    else:
        report(f"no workers in namespace {mlq.namespace!r}")


def _worker_row(worker: dict[str, str]) -> tuple[object, ...]:
    began = or_none(number, worker.get("began"))
    return (
        worker["name"],
        worker.get("host"),
        worker.get("pid"),
        worker.get("pool"),
        f"{worker.get('running', '?')} of {worker.get('slots', '?')}",
        worker.get("jobs", "").replace(",", ", "),
        show.span(began and time.time() - began),
        worker.get("order") or worker.get("queues", "").replace(",", ", "),
        worker.get("functions", "").replace(",", ", "),
    )


def _gpus(seen: str) -> str:
    """How full a worker's GPUs are, in words; nothing if it tells nothing that can be read."""
    try:
        return ", ".join(
            f"{number}: {used / 1e9:.1f} of {total / 1e9:.1f} GB" + ("" if busy is None else f", {busy:d} % busy")
            for number, _, used, total, busy in json.loads(seen or "[]")
        )
    except (ValueError, TypeError, RecursionError):
        return ""


@click.command
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
def clear(settings: Settings, *, yes: bool) -> None:
    """Remove everything in a namespace.

    This removes its jobs, results and stored data. Other namespaces are not affected.
    """
    mlq = settings.queue()
    if not yes:
        what = f"Remove everything in namespace {mlq.namespace!r} at {mlq.server}?"
        click.confirm(terminal.escaped(what), abort=True, err=True)
    terminal.write(f"removed {mlq.clear()} keys of namespace {mlq.namespace!r}")


@click.group
def server() -> None:
    """Start and stop the embedded server.

    It is used if it runs and no other server is named. If none is named and none responds on localhost:6379, it is
    started automatically.
    """


@server.command
@with_settings
def start(settings: Settings) -> None:  # noqa: ARG001 - every command takes the global options
    """Start it, unless it runs, and write its URL."""
    terminal.write(embedded.ensure_running())


@server.command("status")
@json_option
@with_settings
def server_status(settings: Settings, *, as_json: bool) -> None:  # noqa: ARG001 - as above
    """Show whether it runs; exit code 3 if it does not."""
    found = embedded.status()
    if as_json:
        show.emit_json(None if found is None else {
            "url": found.url, "pid": found.pid, "version": found.version, "home": str(found.home),
            "uptime": found.uptime, "used_memory": found.used_memory,
        })  # fmt: skip
    elif found:
        show.described([
            ("url", found.url), ("version", found.version), ("pid", found.pid), ("home", found.home),
            ("up", show.span(found.uptime)), ("memory", f"{found.used_memory / 1e6:.1f} MB"),
        ])  # fmt: skip
    else:
        report("the embedded server does not run")
    if found is None:
        click.get_current_context().exit(SERVER)


@server.command
@with_settings
def stop(settings: Settings) -> None:  # noqa: ARG001 - as above
    """Stop it; its data stays on disk."""
    terminal.write("stopped" if embedded.stop() else "it did not run")
