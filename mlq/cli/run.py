"""Runs a worker from the command line: combines the chosen pool with the queue and its listeners."""

import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from mlq import MLQ, InputError, MLQError
from mlq.cli.base import WATCHER, Settings, report
from mlq.cli.load import descriptions_for, queues_of
from mlq.cli.options import AUTO
from mlq.cli.shadows import aside_of
from mlq.core.policy import Policy
from mlq.pools.contract import Loader, Pool
from mlq.pools.loading import LocalLoader
from mlq.queue import MOST
from mlq.running.listeners import Listener, Listeners
from mlq.running.loads import Residency
from mlq.system import cores, gpus, launch
from mlq.system.extras import require
from mlq.worker import exit as way_out
from mlq.worker.shared import Settings as WorkerSettings
from mlq.worker.worker import Worker

if TYPE_CHECKING:
    from mlq.pools.child_process import Program
    from mlq.pools.model_children import ModelChildren
    from mlq.pools.process import ProcessPool

log = logging.getLogger("mlq.cli")

SWITCH = 0.001  # seconds; with Python's 5 ms, one job in a hundred waits that long for one of its worker's threads
LOOK = 0.1  # seconds between checks whether a worker in burst mode has nothing left to do
COOPERATIVE = 100  # default jobs at a time in pools whose jobs take turns in one thread; in the others, 1
MOST_COOPERATIVE = 10_000  # jobs at a time: each holds a lease that is renewed every 1.5 s, and its message in memory
FILES_OF_A_CHILD, OTHER_FILES = 2, 64  # descriptors that the worker has open


def work(settings: Settings, target: str, options: dict[str, Any], beside: way_out.Stoppable | None = None) -> None:
    """Work until told to stop; `beside` stops with the worker, and the worker with it. Raises InputError."""
    sys.setswitchinterval(SWITCH)
    way_out.catch_signals()  # the first process of a container only gets signals that it handles
    if (watcher := os.environ.pop(WATCHER, None)) is not None:
        os.set_inheritable(int(watcher), False)  # noqa: FBT003 - the function has no keyword arguments
        threading.Thread(target=_end_with, args=(int(watcher),), daemon=True).start()
    if beside is not None:
        way_out.keep(beside, options["grace"], stays=True)
        options = options | {"beside": beside}
    try:
        if options["pool"] in ("process", "gevent"):
            _work_in_children(settings, target, options)
        else:
            _work_here(settings, target, options)
    except (SystemExit, KeyboardInterrupt):  # a signal while workers start: their jobs still get the grace period
        way_out.stay()
        raise


def _end_with(watcher: int) -> None:
    """Stop cleanly when the watcher is gone: if it is killed, it can't send the signal itself."""
    os.read(watcher, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _slots(options: dict[str, Any]) -> int:
    """How many jobs run at a time, in all children together; `gpus` of the options are those that were chosen."""
    pool = options["pool"]
    cooperative = pool in ("asyncio", "gevent")
    by_default = COOPERATIVE if cooperative else max(1, len(options["gpus"] or ()))
    slots = options["concurrency"] or by_default
    if slots == AUTO:
        if pool not in ("process", "thread"):
            raise InputError(f"--concurrency auto is for the process and thread pools; the {pool} pool uses one core")
        slots = cores.usable()
    most = MOST_COOPERATIVE if cooperative else MOST
    if slots > most:
        raise InputError(f"--concurrency {slots:,} is too high: one worker may have {most:,}; start several workers")
    if pool == "process":
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if 0 <= allowed < (needed := slots * FILES_OF_A_CHILD + OTHER_FILES):
            raise InputError(
                f"--concurrency {slots:,} needs {needed:,} open files, and this process may have {allowed:,}: "
                "raise that (ulimit -n), or start several workers"
            )
    return int(slots)


def _work_here(settings: Settings, target: str, options: dict[str, Any]) -> None:
    """The listeners run in this process."""
    if options["gpus"]:
        raise InputError(f"--gpus needs child processes, and the {options['pool']} pool has none: use --pool process")
    logs = settings.provisional_logging()
    queues = queues_of(target, settings.namespace)
    logs.settle()
    for queue in queues:
        _check_unloading(queue.listeners, options)
        (queue.listeners.only(options["functions"]) if options["functions"] else queue.listeners).warm_up()
    slots = _slots(options)
    if options["pool"] == "solo" and (slots > 1 or len(queues) > 1):
        raise InputError("the solo pool runs one job at a time, of one queue: choose another --pool, or --namespace")
    pools = [_pool(options["pool"], slots) for _ in queues]
    made = [
        _begin(settings, queue, queue.listeners, pool, LocalLoader(), options)
        for queue, pool in zip(queues, pools, strict=True)
    ]
    _stay(made, getattr(pools[0], "serve", None), options)


def _pool(kind: str, slots: int) -> Pool:
    """A pool in this process; the modules of the other pools are not loaded, which saves 1 MB."""
    if kind == "asyncio":
        from mlq.pools.aio import AsyncioPool

        return AsyncioPool(slots)
    if kind == "solo":
        from mlq.pools.solo import SoloPool

        return SoloPool()
    from mlq.pools.thread import ThreadPool

    return ThreadPool(slots)


def _listener_of(row: list[Any]) -> Listener:
    """A listener as a child describes it; see `ready` in pools/frames.py."""
    name, takes, is_async, queue, batch, wait, most, about, residency, uses, *policy = row
    return Listener(
        name, None, takes, is_async, queue, Policy(*policy),
        batch=batch, max_wait=wait, per_worker=most, about=about, residency=Residency(*residency),
        uses=tuple(uses),
    )  # fmt: skip


def _work_in_children(settings: Settings, target: str, options: dict[str, Any]) -> None:
    """The listeners run in children; this process loads no listeners."""
    from mlq.pools.child_process import Limits
    from mlq.pools.process import ProcessPool

    settings.start_logging()
    if green := options["pool"] == "gevent":
        require("gevent", "the gevent pool")
    options = _with_gpus(options)
    count = _slots(options)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it would stop the worker; there are no children to replace yet
    limits = Limits(options["max_jobs"], options["max_memory"])
    programs = _programs(*_command(settings, target, options), 1 if green else count, options["gpus"] or ())
    pool = ProcessPool(programs, slots=count if green else 1, limits=limits, name=options["pool"])
    # before children start, which may take minutes
    signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=pool.renew, daemon=True).start())
    children = "a child" if len(programs) == 1 else f"{len(programs)} children"
    log.info("starting %s from %s", children, target)
    found = _loaded(pool)
    if len(found) > 1:
        pool.close()
        there = ", ".join(repr(namespace) for namespace, *_ in found)
        raise InputError(f"{target} has queues in the namespaces {there}: choose one with --namespace")
    namespace, url, declared, scheduled = found[0]
    listeners = Listeners(map(_listener_of, declared))
    listeners.scheduled.add_rows(scheduled)
    try:
        placing = _place(pool, programs, listeners, options)
        options |= {"unloads": placing is not None, "aside": None if green else aside_of(programs, limits, placing)}
        made = _begin(settings, MLQ(namespace, url=url), listeners, pool, pool, options)
    except InputError:
        pool.close()
        raise
    _stay([made], None, options)


def _command(settings: Settings, target: str, options: dict[str, Any]) -> tuple[list[str], list[int]]:
    """The command line of a child, and the file descriptors that it inherits."""
    green, budget = options["pool"] == "gevent", options["memory_budget"]
    command = [*launch.command("mlq.cli.child", green=green), target, "--log-level", settings.log_level or "info",
               "--log-format", settings.log_format or "plain"]  # fmt: skip
    if settings.namespace is not None:
        command += ["--namespace", settings.namespace]
    if options["functions"]:
        command += ["--functions", ",".join(options["functions"])]
    command += ["--green"] * green + ["--weigh"] * (options["max_memory"] is not None or budget is not None)
    command += ["--cold"] * (budget is not None)
    if files := descriptions_for(target):
        command += ["--described", str(files[0])]
    return command, files


def _place(
    pool: "ProcessPool", programs: Sequence["Program"], listeners: Listeners, options: dict[str, Any]
) -> "ModelChildren | None":
    """If models are to be unloaded, have each child host one; returns what places them. Raises InputError."""
    _check_unloading(listeners, options)
    chosen = options["functions"] or listeners.names()
    residencies = {one.name: one.residency for one in listeners.all() if one.about and one.name in chosen}
    if options["memory_budget"] is None and all(one.idle is None for one in residencies.values()):
        return None
    from mlq.pools.model_children import ModelChildren

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = MOST if allowed < 0 else min(MOST, (allowed - OTHER_FILES) // FILES_OF_A_CHILD)
    placing = ModelChildren(programs, residencies, options["memory_budget"], most, pool.counts)
    pool.place_by(placing)
    return placing


def _check_unloading(listeners: Listeners, options: dict[str, Any]) -> None:
    """Raises InputError if models are to be unloaded, which only the process pool can do."""
    pool, idle = options["pool"], [one.name for one in listeners.all() if one.residency.idle is not None]
    if pool != "process" and (idle or options["memory_budget"] is not None):
        what = f"idle (of model {idle[0]})" if idle else "--memory-budget"
        raise InputError(f"{what} needs --pool process: memory comes back when a process ends, and {pool} has only one")


def _with_gpus(options: dict[str, Any]) -> dict[str, Any]:
    """The options with the GPUs that `--gpus` means."""
    return options | {"gpus": gpus.choose(options["gpus"], os.environ)} if options["gpus"] else options


def _programs(
    command: list[str], files: list[int], children: int, devices: Sequence[str]
) -> list["Program"]:  # fmt: skip
    """What each child runs: the same command, on the GPU whose turn it is, with its share of threads."""
    from mlq.pools.child_process import Program

    threads = cores.thread_limits(children, usable := cores.usable(), os.environ)
    if threads:
        each = ", ".join(f"{name}={value}" for name, value in threads.items())
        log.info("usable CPU cores: %d, children: %d; each has %s", usable, children, each)
    if not devices:
        return [Program(command, threads, files) for _ in range(children)]
    if unused := devices[children:]:
        log.warning("unused GPUs, as there are fewer children: %s (see --concurrency)", ", ".join(unused))
    chosen = list(islice(cycle(devices), children))
    log.info("GPUs of the children, one each: %s", ", ".join(chosen))
    return [Program(command, {**threads, **gpus.variables(gpu, os.environ)}, files) for gpu in chosen]


def _loaded(pool: "ProcessPool") -> list[Any]:
    """The queues that the first child found, as `child.py` describes them."""
    try:
        return pool.load()
    except InputError:
        raise
    except MLQError as error:
        report(str(error))
        sys.exit(way_out.BROKEN)


def _begin(
    settings: Settings, queue: MLQ, listeners: Listeners, pool: Pool, loader: Loader, options: dict[str, Any]
) -> Worker:
    if settings.url is not None and not queue.server.endswith("(from MLQ_URL)"):
        raise InputError(f"--url has no effect: the module's own queue names the server {queue.server}")
    if options["functions"]:
        listeners = listeners.only(options["functions"])
    ahead = not options.get("unloads", False)
    wanted = WorkerSettings(
        options["order"],
        options["name"],
        options["max_losses"],
        tuple(options["gpus"] or ()),
        ahead,
        affinity_wait=options["affinity_wait"],
    )
    made = queue.make_worker(
        pool, listeners, wanted, loader if options["accept_uploads"] else None, options.get("aside")
    )
    log.info("namespace %r: listeners %s", queue.namespace, ", ".join(listeners.names()))
    way_out.keep(made, options["grace"], stays=True)  # before the start, so that any signal can stop the worker
    made.start()
    return made


def _stay(workers: list[Worker], serve: Callable[[], None] | None, options: dict[str, Any]) -> None:
    """Return when the workers have stopped."""
    if (beside := options.get("beside")) is not None:
        for one in workers:
            threading.Thread(target=_stop_after, args=(one, beside, options["grace"]), daemon=True).start()
            threading.Thread(target=_stop_after, args=(beside, one, options["grace"]), daemon=True).start()
    if options["burst"]:
        threading.Thread(target=_stop_when_idle, args=(workers, options["grace"]), daemon=True).start()
    way_out.stay(serve)


def _stop_after(first: way_out.Stoppable, second: way_out.Stoppable, grace: float) -> None:
    """Neither goes on without the other."""
    first.stopped.wait()
    second.stop(grace)


def _stop_when_idle(workers: list[Worker], grace: float) -> None:
    while not all(one.idle() or one.stopping.is_set() for one in workers):
        time.sleep(LOOK)
    for one in workers:
        one.stop(grace)
