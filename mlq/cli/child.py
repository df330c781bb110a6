"""The main program of a child process of `mlq worker`: loads the listeners, reports them to the worker, serves it."""

import argparse
import logging
import socket
from typing import Any

from mlq import MLQError
from mlq.cli.base import Settings
from mlq.cli.load import queues_of
from mlq.pools.child import Child
from mlq.pools.frames import Wire
from mlq.pools.lifeline import tie_to_worker
from mlq.queue import MLQ
from mlq.running import execution
from mlq.system import capture
from mlq.worker.leaving import leave_soon


def main() -> None:
    """Serve until the worker tells it to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--namespace")
    parser.add_argument("--functions", type=lambda names: names.split(","))
    parser.add_argument("--green", action="store_true")
    parser.add_argument("--weigh", action="store_true")
    parser.add_argument("--log-level")
    parser.add_argument("--log-format")
    parser.add_argument("wire", type=int)
    options = parser.parse_args()
    end = socket.socket(fileno=options.wire)
    end.set_inheritable(False)
    wire = Wire(end)
    tie_to_worker(wire)
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
    listeners = queues[0].listeners
    if options.functions:
        listeners = listeners.only([name for name in options.functions if name in listeners.names()])
    listeners.warm_up()
    try:
        wire.send("ready", [_description(queue) for queue in queues])
    except OSError:  # the worker is gone
        raise SystemExit(1) from None
    listeners.loads.report_to(lambda name, load: wire.send("model", name, *load))
    kind = _green() if options.green else Child
    kind(wire, listeners, weigh=options.weigh).serve()
    leave_soon(lambda: 0)


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
            *one.policy,
        ]
        for one in queue.listeners.all()
    ]
    return [queue.namespace, queue.url, listeners]


def _green() -> type[Child]:
    from mlq.pools.green_child import GreenChild

    return GreenChild
