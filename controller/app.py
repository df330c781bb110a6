"""The command line of the first MLQ: consume, post, reap and serve, with its commands, flags and functions unchanged.

Exit codes: 0 done, 2 wrong usage, 3 the server can't be reached, 130 Ctrl-C. The newer command `mlq` can do more.
"""

import argparse
import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if __package__ in {None, ""}:  # run as a script: Python's path begins with this folder, not with the project's
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mlq import MLQ, MLQError, ServerError
from mlq.core.json_values import read_message
from mlq.system import logs, terminal
from mlq.system.descriptors import keep_standard_open
from mlq.system.extras import require
from mlq.worker import exit as way_out

if TYPE_CHECKING:
    from flask import Flask

    from mlq.http.process import ServerProcess

log = logging.getLogger("mlq.controller")

COMMANDS = ("test_producer", "test_consumer", "test_reaper", "test_all", "clear_all", "post", "consumer", "dummy")
USAGE, SERVER, CTRL_C = 2, 3, 130
POST_EVERY = 4.0  # seconds between the test producer's messages
SERVING_GRACE = 10.0  # seconds that requests under way get
STEP = 0.5  # seconds that a step of a test listener takes: all of them together keep up with the producer


class _Parser(argparse.ArgumentParser):
    """Takes flags anywhere, and tells mistakes in one line."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; argparse by itself gives up on a message that stands behind a flag."""
        parsed = self.parse_intermixed_args(args, namespace)
        names = parsed.functions or []
        at = next((i for i, name in enumerate(names) if name in COMMANDS), None)
        if parsed.cmd is None and at is not None:  # `--functions f1 f2 post MSG`: it took the command for a name
            parsed.functions, words = names[:at], names[at:]
            parsed.cmd, parsed.msg = words[0], words[1] if len(words) == 2 else None
            if len(words) > 2 or not parsed.functions:
                self.error("put the command and its message before --functions")
        self._check(parsed)
        return parsed

    def _check(self, parsed: argparse.Namespace) -> None:
        if parsed.cmd is None and not (parsed.reaper or parsed.server):
            self.error(f"name a command ({', '.join(COMMANDS)}), or --reaper")
        if parsed.cmd == "post" and parsed.msg is None:
            self.error("post needs a message; it stands before --functions, which takes all words that follow it")
        if parsed.cmd != "post" and parsed.msg is not None:
            self.error(f"{parsed.cmd} takes no message: {parsed.msg}")

    def error(self, message: str) -> NoReturn:
        """End the process with code 2."""
        self.exit(USAGE, terminal.escaped(f"mlq: {message} (see --help)\n"))


def set_args() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = _Parser(
        description="Post, run and reap jobs.",
        epilog="With neither --redis_host nor --redis_port the server is the one that MLQ_URL names, else the embedded "
        "one if it runs, else one on localhost:6379, else a new embedded one.",
    )
    add = parser.add_argument
    add("cmd", nargs="?", choices=COMMANDS, metavar="command", help=f"One of {', '.join(COMMANDS)}.")
    add("msg", nargs="?", metavar="message", help="What to post: JSON, or else a text.")
    add("--callback", metavar="URL", help="A URL to call (GET) when the job ended.")
    add("--functions", nargs="+", metavar="NAME", help="The listeners to run for this message; all if none is named.")
    add("--redis_host", metavar="HOST", help="The server's host, or its URL.")
    add("--redis_port", type=int, metavar="PORT", help="The server's port; 6379 if a host is given alone.")
    add("--namespace", default="mlq_default", help="The application's namespace (%(default)s).")
    add("--reaper", action="store_true", help="End and requeue jobs that take too long; needs no command.")
    add("--reaper_interval", type=float, default=60, metavar="S", help="Seconds between two looks (%(default)s).")
    add("--reaper_timeout", type=float, default=300, metavar="S", help="Seconds that a job may take (%(default)s).")
    add("--reaper_retries", type=int, default=5, metavar="N",
        help="How often a job is requeued before it becomes a dead letter (%(default)s).")  # fmt: skip
    add("--server", action="store_true", help="Take jobs over HTTP.")
    add("--server_address", default="127.0.0.1", metavar="ADDRESS",
        help="Where the HTTP server listens (%(default)s: for this machine alone; 0.0.0.0: for all).")  # fmt: skip
    add("--server_port", type=int, default=5001, metavar="PORT", help="The HTTP server's port (%(default)s).")
    return parser


class _Producer:
    """Posts a message every few seconds, until the process is told to end."""

    def __init__(self, mlq: MLQ) -> None:
        self.stopped = threading.Event()
        self.broken = False
        self._mlq = mlq
        threading.Thread(target=self._main, name="mlq-producer", daemon=True).start()
        way_out.keep(self, 0.0)

    def stop(self, grace: float) -> None:  # noqa: ARG002 - nothing is under way that would need it
        """End."""
        self.stopped.set()

    def _main(self) -> None:
        while not self.stopped.wait(POST_EVERY):
            try:
                log.info("posted job %s", self._mlq.post("a random message"))
            except ServerError as error:
                log.warning("can't post: %s", error)


def simple_consumer_func(msg: Any, *args: Any) -> str:  # noqa: ARG001 - what a listener gets
    """A listener to try things with: takes a moment, and says so."""
    time.sleep(STEP)
    return f"{msg} was processed"


def my_consumer_func(msg: Any, *args: Any) -> Any:
    """A listener to try things with: uses all that a listener is given, and waits for a job of its own."""
    utils = args[0]
    job = utils["full_message"]
    log.info("job %s (%r) runs on worker %s", job["id"], msg, job["worker"])
    key = utils["store_data"]("kept for 100 seconds", expiry=100)
    utils["update_progress"](5)
    time.sleep(STEP)
    log.info("job %s stored %r", job["id"], utils["fetch_data"](key))
    utils["update_progress"](56)
    time.sleep(STEP)
    return utils["block_until_result"](utils["post"]("a message from within", functions=["simple_consumer_func"]))


def server(mlq: MLQ, address: str, port: int | str, start_serving: bool = True) -> "Flask | None":  # noqa: FBT001, FBT002
    """Serve HTTP until the process is told to end; with `start_serving` False only make the Flask application.

    Raises InputError where the address can't be had, or where everybody could use it.
    """
    if not start_serving:
        require("serve", "the HTTP service")
        from mlq.http.app import make_app
        from mlq.http.settings import Settings

        return make_app(mlq, Settings(failed_is_200=True))
    _serve(mlq, address, port).stopped.wait()
    return None


def _serve(mlq: MLQ, address: str, port: int | str) -> "ServerProcess":
    require("serve", "the HTTP service")
    from mlq.http.process import Plan, ServerProcess
    from mlq.http.settings import local_uploads, read_tokens, settings_for

    settings = settings_for(address, read_tokens(None), local_uploads=local_uploads(), failed_is_200=True)
    serving = ServerProcess(Plan(mlq.namespace, mlq.url, settings), address, int(port))
    serving.start()
    way_out.keep(serving, SERVING_GRACE)
    log.info("serving at %s", serving.url)
    return serving


async def main(args: argparse.Namespace) -> MLQ:
    """Carry out what the command line says; the process goes on where that takes longer. Raises MLQError."""
    port = None if args.redis_port is None else int(args.redis_port)
    mlq = MLQ(args.namespace, args.redis_host, port, 0)
    with contextlib.ExitStack() as undo:  # what has begun must not keep the process alive when the rest fails
        if args.server:
            undo.callback(_serve(mlq, args.server_address, args.server_port).stop, 0.0)
        undo.callback(mlq.shutdown, 0)
        _work(mlq, args)
        if args.cmd == "post":
            terminal.write(mlq.post(read_message(args.msg), args.callback, args.functions))
        elif args.cmd == "clear_all":
            terminal.write(f"removed {mlq.clear()} keys of namespace {args.namespace!r}")
        undo.pop_all()
    return mlq


def _work(mlq: MLQ, args: argparse.Namespace) -> None:
    """Start what goes on after `main`."""
    if args.reaper or args.cmd in {"test_reaper", "test_all"}:
        mlq.create_reaper(float(args.reaper_interval), float(args.reaper_timeout), int(args.reaper_retries))
    if args.cmd in {"test_consumer", "test_all"}:
        mlq.create_listener(simple_consumer_func)
        mlq.create_listener(my_consumer_func)
    elif args.cmd == "consumer":
        mlq.create_listener()
    if args.cmd in {"test_producer", "test_all"}:
        _Producer(mlq)


def run(argv: Sequence[str] | None = None) -> int:
    """The program: parse, carry out, and tell mistakes in one line; the exit code."""
    args = set_args().parse_args(argv)
    level = logging.WARNING if args.cmd in {"post", "clear_all"} else logging.INFO
    keep_standard_open()  # before the loop takes descriptors
    logs.begin(level)
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main(args))  # `asyncio.run` would put Ctrl-C off, and lose it where nothing is awaited
    except KeyboardInterrupt:
        return CTRL_C
    except MLQError as error:
        terminal.write(f"mlq: {' '.join(str(error).split())}", err=True)
        return SERVER if isinstance(error, ServerError) else USAGE
    finally:
        loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(run())
