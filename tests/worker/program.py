"""A worker process for tests: `program.py URL NAMESPACE CONFIG`, the last one JSON.

fault        where it kills itself with SIGKILL (see FAULTS), as soon as it has a job
concurrency, grace   of create_listener
runs         the file that gets the id of each run, instead of the list `runs`
reaper       arguments of create_reaper
listen       seconds of one wait on the server
leave        "sys.exit" ends the main program by an exception, "thread" creates the listener outside of asyncio
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis

from mlq import MLQ, LeaseLost
from mlq.shell.sync import Shell
from mlq.worker import claimer
from mlq.worker.attempt import Attempt
from mlq.worker.shared import Shared
from mlq.worker.supervisor import Supervisor

URL, NAMESPACE, CONFIG = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
STEM = f"{{{NAMESPACE}}}:data:"
mlq = MLQ(NAMESPACE, url=URL)
side = redis.Redis.from_url(URL, socket_timeout=None, client_name="side")  # says and hears things for the test


def say(name: str, value: object = "") -> None:
    """Tell the test something."""
    side.rpush(STEM + name, str(value))


def hear(name: str) -> None:
    """Wait until the test says `name`."""
    side.blpop([STEM + name], 60)


def run(message: Any, context: Any) -> Any:
    """Does what the message says."""
    job_id = context.full_message["id"]
    if "runs" in CONFIG:
        with open(CONFIG["runs"], "a") as file:  # works without a server, too
            file.write(f"{job_id}\n")
    else:
        say("runs", job_id)
    return JOBS[message[0] if isinstance(message, list) else message](message, context)


def _die(message: Any, context: Any) -> Any:
    if CONFIG.get("fault") == "listener":
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def _wait(message: Any, context: Any) -> Any:
    """Says `begun`, waits for `end`, says what became of its writes."""
    say("begun", os.getpid())
    hear(f"end {os.getpid()}")
    return os.getpid()


def _stale(message: Any, context: Any) -> Any:
    """Once told to, tries to write under a lease that it lost: at once, and when it knows of the loss."""
    say("begun", os.getpid())
    hear(f"end {os.getpid()}")
    with contextlib.suppress(LeaseLost):  # recorded later, so it may not know yet that nobody will
        context.update_progress(55)
    try:
        context.post("smuggled")
        say("writes", "post accepted")
    except LeaseLost:
        say("writes", "post refused")
        while not context.cancelled:
            time.sleep(0.01)
    try:
        context.update_progress(77)
        say("writes", "progress accepted")
    except LeaseLost:
        say("writes", "progress refused")
    return "stale"


def _threads(message: Any, context: Any) -> Any:
    """Uses what an interpreter that shuts down refuses: executors and new threads."""
    over = threading.Event()
    thread = threading.Thread(target=over.set)
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as executor:
        return [over.is_set(), executor.submit(sum, [1, 2]).result()]


def _sleep(message: Any, context: Any) -> Any:
    time.sleep(message[1])
    return message[1]


JOBS = {"die": _die, "wait": _wait, "stale": _stale, "threads": _threads, "sleep": _sleep, "echo": lambda m, c: m[1]}


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _holds_a_lease() -> bool:
    return bool(side.zcard(f"{{{NAMESPACE}}}:leases"))


def _at_calls_of(script: str, sent: bool) -> None:
    """Die at the first call of a script that concerns a job: before it is sent, or before its reply is used."""
    for name in ("_exchange", "_exchange_many"):
        original = getattr(Shell, name)

        def replaced(self: Any, connection: Any, ops: Any, original: Any = original) -> Any:
            many = ops if isinstance(ops, (list, tuple)) else [ops]
            if any(op.script and op.script.name == script for op in many):
                if not sent:
                    _kill_self()
                reply = original(self, connection, ops)
                if script == "settle" or _holds_a_lease():
                    _kill_self()
                return reply
            return original(self, connection, ops)

        setattr(Shell, name, replaced)


def _hold_and_die(original: Any = Shared.hold) -> None:
    def hold(self: Shared, attempts: Any) -> Any:
        if attempts:
            _kill_self()
        return original(self, attempts)

    Shared.hold = hold  # type: ignore[method-assign]


def _tell_when_stopping(original: Any = Shared.nudge) -> None:
    def nudge(self: Shared) -> None:
        if mlq._worker.stopping.is_set():
            say("stopping")
        original(self)

    Shared.nudge = nudge  # type: ignore[method-assign]


FAULTS = {
    "claim's reply is lost": lambda: _at_calls_of("claim", sent=True),
    "after the claim": _hold_and_die,
    "before begin": lambda: setattr(Attempt, "begin", lambda self: _kill_self()),
    "listener": lambda: None,
    "outcome is not handed over": lambda: setattr(Supervisor, "_end", lambda *_, **__: _kill_self()),
    "before settle is sent": lambda: _at_calls_of("settle", sent=False),
    "settle's reply is lost": lambda: _at_calls_of("settle", sent=True),
}


async def main() -> None:
    """Where programs usually create their listener: it must go on after this has returned."""
    begin()


def begin() -> None:
    """Start the worker."""
    mlq.create_listener(run, concurrency=CONFIG.get("concurrency", 1), grace=CONFIG.get("grace", 30))
    if "reaper" in CONFIG:
        mlq.create_reaper(*CONFIG["reaper"])


if __name__ == "__main__":
    if "runs" not in CONFIG:  # else the server may be away
        _tell_when_stopping()
    claimer.LISTEN = CONFIG.get("listen", claimer.LISTEN)
    if "fault" in CONFIG:
        FAULTS[CONFIG["fault"]]()
    if CONFIG.get("leave") == "thread":
        begin()
    else:
        asyncio.run(main())
    if CONFIG.get("leave") == "sys.exit":
        sys.exit(0)
