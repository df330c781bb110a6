"""Lets every greenlet of a thread run its own event loop.

asyncio stores per thread which loop runs, which task runs in it, and the hooks for asynchronous generators. Under
gevent, a thread has many greenlets: these values are saved when a greenlet switches away while its loop runs, and
restored when it is switched to again.
"""

import asyncio
import gc
import sys
import weakref
from typing import Any, NamedTuple


class _Running(NamedTuple):
    """What is saved for a greenlet that switches away."""

    loop: asyncio.AbstractEventLoop
    task: "asyncio.Task[Any] | None"
    hooks: Any


def separate() -> None:
    """Separate the loops of this thread's greenlets from now on."""
    import greenlet  # type: ignore[import-untyped,unused-ignore]  # comes with gevent, which only this pool loads

    away: weakref.WeakKeyDictionary[Any, _Running] = weakref.WeakKeyDictionary()
    before = greenlet.gettrace()

    def switched(event: str, greenlets: tuple[Any, Any]) -> None:
        """Keep the loop that the origin runs, and restore the one that the target had."""
        origin, target = greenlets
        loop = asyncio._get_running_loop()  # noqa: SLF001 - meant for code that extends asyncio, like all of these
        if loop is not None or away:
            collects = gc.isenabled()
            gc.disable()  # a finaliser that waits would do so during the switch, perhaps the one to gevent's hub
            try:
                if loop is not None:
                    away[origin] = _taken(loop)
                if (running := away.pop(target, None)) is not None:
                    _put_back(running)
            finally:
                if collects:
                    gc.enable()
        if before is not None:
            before(event, greenlets)

    greenlet.settrace(switched)


def _taken(loop: asyncio.AbstractEventLoop) -> _Running:
    running = _Running(loop, asyncio.current_task(loop), sys.get_asyncgen_hooks())
    if running.task is not None:
        asyncio.tasks._leave_task(loop, running.task)  # type: ignore[attr-defined,unused-ignore]  # noqa: SLF001
    sys.set_asyncgen_hooks(None, None)
    asyncio._set_running_loop(None)  # noqa: SLF001
    return running


def _put_back(running: _Running) -> None:
    asyncio._set_running_loop(running.loop)  # noqa: SLF001
    sys.set_asyncgen_hooks(*running.hooks)
    if running.task is not None:
        asyncio.tasks._enter_task(running.loop, running.task)  # type: ignore[attr-defined,unused-ignore]  # noqa: SLF001
