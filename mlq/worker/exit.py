"""Keeps a worker's process alive after the main program has ended, and shuts it down in order on a signal.

A worker's threads are daemons, so the main thread has to stay. It must stay *before* the interpreter begins to shut
down: after that, executors refuse work and (in Python 3.12.0 and 3.12.1) threads can't start, but listeners still run
and may need both.

- `threading._register_atexit` runs a function when the main thread has ended. Functions run in reverse order of
  registration, so this one runs before `concurrent.futures` closes its executors, if those modules were imported first.
- Python 3.12.0 and 3.12.1 forbid new threads even then (python/cpython#113964, fixed in 3.12.2): there we watch for
  the end of the main module itself with `sys.monitoring`.

The interpreter removes some things when the main program ends; `_Main` puts them back for the listeners.

SIGTERM, SIGHUP and SIGINT end the main program (`Stopped`, KeyboardInterrupt) and stop the workers, with their grace
period. A second signal while they stop ends the process at once, with code 1. When the workers have stopped and the
main program has ended, the interpreter has one second to exit (`leaving.py`). A main program that does not end on
SIGTERM or SIGHUP is ended after the grace period; one that does not end on SIGINT may go on. In an interactive
interpreter, Ctrl-C interrupts only what the user runs there: the workers go on until `shutdown`, or until the user
leaves the interpreter.
"""

import contextlib
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FrameType
from typing import Any, Protocol

from mlq.worker.forking import Forking
from mlq.worker.leaving import Stopped, leave_now, leave_soon, start_thread

KILLED = 1  # exit codes as in the command line's documentation
CTRL_C = 130
BROKEN = 70  # a worker gave up by itself: systemd, Kubernetes or the like should start a new one

log = logging.getLogger("mlq.worker")

_SIGNALS = (
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
)  # each with Python's default handler


class Stoppable(Protocol):
    """What keeps a process alive: a worker, or a reaper."""

    stopped: threading.Event
    broken: bool

    def stop(self, grace: float) -> None:
        """End in order within about `grace` seconds."""


class _Keeper:
    """Keeps the process alive for its workers and reapers, and ends it after them."""

    def __init__(self) -> None:
        self._kept: list[tuple[Stoppable, float]] = []
        self._lock = threading.Lock()
        self._known = False
        self._hooked = False
        self._signalled = False
        self._main_ended = threading.Event()
        self._leaving = False
        self._explained = False
        self._wakes: socket.socket | None = None

    def keep(self, kept: Stoppable, grace: float, *, stays: bool = False) -> None:
        """Keep the process alive until `kept` has stopped; after a signal, it has `grace` seconds.

        `stays`: the main thread is going to call `stay` itself.
        """
        with self._lock:
            self._kept = [(one, seconds) for one, seconds in self._kept if not one.stopped.is_set()]
            self._signalled = self._signalled and bool(self._kept)
            self._kept.append((kept, grace))
            hooked, self._hooked = self._hooked, self._hooked or not stays
        if not (hooked or stays):
            main = _Main()
            _call_when_main_ends(partial(self._hold, main))
        self.catch_signals()

    def stay(self, serve: Callable[[], None] | None = None) -> None:
        """Return when nothing is left to keep; until then the main thread may run `serve`. No signal interrupts it."""
        self._main_ended.set()
        if serve is not None:
            self.catch_signals()
            self._hear_signals()
            self._leave_when_stopped(0, None)  # an abandoned listener may block the main thread
            serve()
        self._hold(None)

    def _leave_when_stopped(self, code: int, patience: float | None) -> None:
        """End the process with `code` when all has stopped, and the main program ended or had `patience` seconds."""

        def when_stopped() -> int:
            since = time.monotonic()
            self._wait_for_all()
            left = None if patience is None else max(0.0, since + patience - time.monotonic())
            self._main_ended.wait(left)
            self._wait_for_all()  # what the main program may have started since
            return BROKEN if any(kept.broken for kept, _ in self._kept) else code

        if not self._leaving:
            self._leaving = True
            leave_soon(when_stopped)

    def catch_signals(self) -> None:
        """Have signals shut the process down in order, even before there is anything to keep."""
        with self._lock:
            known, self._known = self._known, True
        if not known:
            forking = Forking(number for number, _ in _SIGNALS)
            os.register_at_fork(before=forking.begins, after_in_parent=forking.ends)
            os.register_at_fork(after_in_child=self._forget)
            os.register_at_fork(after_in_child=forking.ends)
        if threading.current_thread() is threading.main_thread():
            for number, default in _SIGNALS:
                if signal.getsignal(number) is default:  # a program's own handler stays
                    signal.signal(number, self._on_signal)

    def _hear_signals(self) -> None:
        """Have a thread receive signals, too: Python's handlers don't run while the main thread is in C code."""
        heard, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)  # noqa: FBT003 - the socket's own interface
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        start_thread(self._hear, heard)

    def _hear(self, heard: socket.socket) -> None:
        while number := heard.recv(1):
            if signal.getsignal(number[0]) == self._on_signal:
                self._act_on(number[0])

    def _is_heard(self) -> bool:
        """Whether that thread receives signals; restores the wakeup fd of anything else that does (an event loop)."""
        if self._wakes is None:
            return False
        before = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        if before == self._wakes.fileno():
            return True
        signal.set_wakeup_fd(before)
        return False

    def _forget(self) -> None:
        """In a forked process: forget the workers, which are threads of the parent."""
        if self._is_heard():
            signal.set_wakeup_fd(-1)
        self._wakes = None
        self._kept = []
        self._lock = threading.Lock()
        self._main_ended = threading.Event()
        self._signalled = self._leaving = False
        for number, default in _SIGNALS:
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, default)

    def _hold(self, main: "_Main | None") -> None:
        """The main program has ended: wait until nothing is left to keep."""
        left = main is not None and _is_interactive()
        self._main_ended.set()
        self.catch_signals()  # asyncio.run had its own SIGINT handler when we first tried
        # a KeyboardInterrupt was meant for us, too; and a user who leaves the interpreter wants the process to end
        if left or getattr(sys, "last_type", None) is KeyboardInterrupt:
            self._stop_all()
            self._leave_when_stopped(0 if left else CTRL_C, None)
        with contextlib.nullcontext() if main is None else main.goes_on():
            self._wait_for_all()
        if any(kept.broken for kept, _ in self._kept):
            leave_now(BROKEN)

    def _wait_for_all(self) -> None:
        """Wait until all have stopped; if one breaks, stop the others in order."""
        while working := [kept for kept, _ in self._kept if not kept.stopped.is_set()]:
            working[0].stopped.wait(1.0)
            if not self._signalled and any(kept.broken and kept.stopped.is_set() for kept, _ in self._kept):
                self._stop_all()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self._is_heard():
            self._act_on(number)

    def _act_on(self, number: int) -> None:
        """Stop everything, and interrupt the main program; `_hold` waits for the end.

        This neither waits nor logs: the main thread may hold a lock that stopping needs.
        """
        working = any(not kept.stopped.is_set() for kept, _ in self._kept)
        if number == signal.SIGINT and not self._main_ended.is_set() and _is_interactive():
            if working and not self._explained:
                self._explained = True
                start_thread(_explain)
            raise KeyboardInterrupt
        if self._signalled and working:
            os._exit(KILLED)
        if not self._stop_all():  # it can't be stopped in order, but it must end
            os._exit(KILLED)
        ended, by_hand = self._main_ended.is_set(), number == signal.SIGINT
        grace = max((seconds for _, seconds in self._kept), default=0.0)
        self._leave_when_stopped(0 if ended or not by_hand else CTRL_C, None if by_hand else grace)
        if not ended:
            raise KeyboardInterrupt if by_hand else Stopped

    def _stop_all(self) -> bool:
        """Stop all, each in a thread of its own; returns whether all those threads could start."""
        self._signalled = True
        return all(start_thread(kept.stop, grace) for kept, grace in self._kept)


_keeper = _Keeper()
catch_signals = _keeper.catch_signals
keep = _keeper.keep
stay = _keeper.stay


def _is_interactive() -> bool:
    """Whether a user types what this process runs: in Python, IPython, or a notebook."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive or sys.flags.inspect)


def _explain() -> None:
    log.warning("Ctrl-C ends what you run here; the worker goes on. To stop it: shutdown() of the MLQ object")


class _Main:
    """Keeps what Python removes when the main program ends, for listeners that still need it.

    - Python removes `__file__` and `__cached__` from `__main__` after a script's last line. Spawned processes (those of
      `multiprocessing`, so of executors and data loaders) find the program by them, and `inspect` finds its source.
    - `threading._register_atexit` then refuses calls, but some libraries call it on import, for example joblib's loky.
    """

    def __init__(self) -> None:
        self._names = vars(sys.modules["__main__"])
        self._kept = {name: self._names[name] for name in ("__file__", "__cached__") if name in self._names}

    @contextlib.contextmanager
    def goes_on(self) -> Iterator[None]:
        """Restore these things while the block runs."""
        for name, value in self._kept.items():
            self._names.setdefault(name, value)
        hidden: Any = threading
        closing = getattr(hidden, "_SHUTTING_DOWN", False)
        hooks = getattr(hidden, "_threading_atexits", [])
        known = len(hooks)
        hidden._SHUTTING_DOWN = False  # noqa: SLF001
        try:
            yield
        finally:
            hidden._SHUTTING_DOWN = closing  # noqa: SLF001
            for hook in reversed(hooks[known:] if closing else ()):  # Python already runs those that it knew
                hook()


def _call_when_main_ends(hold: Callable[[], None]) -> None:
    for name in ("thread", "process"):  # they register their own hooks, which must come before ours; this costs 1 MB
        importlib.import_module(f"concurrent.futures.{name}")
    if sys.version_info[:3] in ((3, 12, 0), (3, 12, 1)):
        _watch_main_module(hold)
    register: Any = threading._register_atexit  # type: ignore[attr-defined]  # noqa: SLF001 - as the executors do
    register(hold)


def _watch_main_module(hold: Callable[[], None]) -> None:
    """Call `hold` when the main module ends, after its last line or by an exception such as SystemExit."""
    main = vars(sys.modules["__main__"])
    frame: FrameType | None = sys._getframe()  # noqa: SLF001
    while frame is not None and not (frame.f_globals is main and frame.f_code.co_name == "<module>"):
        frame = frame.f_back
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # new in 3.12
    tool = next((number for number in range(6) if monitoring.get_tool(number) is None), None)
    if frame is None or tool is None:
        return
    code = frame.f_code

    def left(left_code: CodeType, _offset: int, _value: object) -> None:
        if left_code is code:
            hold()

    monitoring.use_tool_id(tool, "mlq")
    monitoring.register_callback(tool, monitoring.events.PY_RETURN, left)
    monitoring.register_callback(tool, monitoring.events.PY_UNWIND, left)
    monitoring.set_local_events(tool, code, monitoring.events.PY_RETURN)
    monitoring.set_events(tool, monitoring.events.PY_UNWIND)  # can't be local
