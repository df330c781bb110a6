"""The main program of a child process of `mlq worker`: loads the listeners, reports them to the worker, serves it."""

import argparse
import logging
import socket
from typing import Any

from mlq import MLQError
from mlq.cli.base import Settings
from mlq.cli.load import queues_of
from mlq.models.foreign import here
from mlq.pools.child import Child
from mlq.pools.frames import Wire
from mlq.pools.lifeline import tie_to_worker
from mlq.queue import MLQ
from mlq.running import execution
from mlq.running.listeners import Listeners
from mlq.system import capture, memory
from mlq.system.priority import lowest_priority
from mlq.worker.leaving import leave_soon


def main() -> None:
    """Serve until the worker tells it to stop."""
    options = _options()
    if options.lowest:
        lowest_priority()
    end = socket.socket(fileno=options.wire)
    end.set_inheritable(False)
    wire = Wire(end)
    tie_to_worker(wire)
    here.in_child(options.described)
    logs = Settings(log_level=options.log_level, log_format=options.log_format).provisional_logging()
    try:
        queues = queues_of(options.target, options.namespace)
    except MLQError as error:
        logging.getLogger("mlq.cli").debug("the listeners can't be loaded", exc_info=True)
        wire.send("failed", str(error))
        leave_soon(lambda: 2)
        raise SystemExit(2) from None
    logs.settle()
    capture.begin()
    execution.remember_context()
    listeners = _chosen(queues[0], options.functions)
    if not options.cold and all(one.residency.idle is None for one in listeners.all()):  # else the worker has it done
        listeners.warm_up()
    try:
        wire.send("ready", [_description(queue) for queue in queues], memory.resident())
    except OSError:  # the worker is gone
        raise SystemExit(1) from None
    listeners.loads.report_to(lambda name, load: wire.send("model", name, *load))
    kind = _green() if options.green else Child
    kind(wire, listeners, weigh=options.weigh).serve()
    leave_soon(lambda: 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--namespace")
    parser.add_argument("--functions", type=lambda names: names.split(","))
    parser.add_argument("--green", action="store_true")
    parser.add_argument("--weigh", action="store_true")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--lowest", action="store_true")
    parser.add_argument("--described", type=int)
    parser.add_argument("--log-level")
    parser.add_argument("--log-format")
    parser.add_argument("wire", type=int)
    return parser.parse_args()


def _chosen(queue: MLQ, functions: list[str] | None) -> Listeners:
    """The listeners that run here."""
    if not functions:
        return queue.listeners
    return queue.listeners.only([name for name in functions if name in queue.listeners.names()])


def _description(queue: MLQ) -> list[Any]:
    """What the worker must know about a queue: namespace, server and listeners."""
    listeners = [
        [
            one.name,
            one.takes_context,
            one.is_async,
            one.queue,
            one.batch,
            one.max_wait,
            one.per_worker,
            one.about,
            one.residency,
            one.uses,
            *one.policy,
        ]
        for one in queue.listeners.all()
    ]
    return [queue.namespace, queue.url, listeners, queue.listeners.scheduled.rows(queue.listeners.names())]


def _green() -> type[Child]:
    from mlq.pools.green_child import GreenChild

    return GreenChild
