"""Passes calls of listeners in child processes to the worker, and sends the answers back."""

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from mlq.errors import MLQError
from mlq.pools.child_process import Child
from mlq.pools.contract import Run
from mlq.running.spare_threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("mlq.worker")


class Answering:
    """Carries out each call on its own thread, since it may wait for another job."""

    def __init__(self) -> None:
        """Threads start when they are needed."""
        self._threads = Threads("mlq-call")

    def hear(self, child: Child, run: Run, word: str, rest: list[Any]) -> None:
        """Handle a frame of a run: a call that needs an answer, or something to record."""
        if word == "call":
            self._threads.submit(lambda: _answer(child, run, *rest[1:]))
            return
        with contextlib.suppress(MLQError):  # the run was given up
            run.channel.report(rest[1]) if word == "report" else run.channel.add_entry(*rest[1:])

    def stop(self) -> None:
        """Let the threads end."""
        self._threads.stop()


def refuse(child: Child, call: int) -> None:
    """Refuse a call from a thread or callback that a listener left behind when it ended."""
    child.send("answer", call, "LeaseLost", "this attempt is through, and may ask nothing more")


def _answer(child: Child, run: Run, call: int, name: str, arguments: list[Any]) -> None:
    channel = run.channel
    calls: dict[str, Callable[..., Any]] = {
        "store": channel.store, "fetch": channel.fetch, "post": channel.post, "wait": channel.wait,
        "post_parts": channel.post_parts, "parts": channel.parts, "outcomes": channel.outcomes,
        "leave": channel.leave, "go_on": channel.go_on,
    }  # fmt: skip
    try:
        kind, value = "", calls[name](*arguments)
    except MLQError as error:
        kind, value = type(error).__name__, str(error)
    except Exception as error:
        log.exception("a listener's %s failed", name)
        kind, value = "MLQError", f"{name} failed: {error}"
    child.send("answer", call, kind, value)
