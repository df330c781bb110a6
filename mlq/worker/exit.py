"""Keeps the process of a worker alive after its main program ended, and ends it in order on a signal.

A worker's threads are daemons, so the main thread has to stay. It must stay *before* the interpreter begins to shut
down: later, executors refuse work and (Python 3.12.0 and 3.12.1) threads can't start, but listeners go on and may
want both.

- `threading._register_atexit` runs a function when the main thread is through, in reverse order of registration, so
  before `concurrent.futures` closes its executors, as long as those modules were imported first.
- Python 3.12.0 and 3.12.1 forbid new threads even then (python/cpython#113964, mended in 3.12.2): there the end of
  the main module itself is watched with `sys.monitoring`.

What the interpreter takes away when the main program is through is put back for the listeners: see `_Main`.

SIGTERM, SIGHUP and SIGINT end the main program (`Stopped`, KeyboardInterrupt) and stop the workers, with their grace
period; a second signal while they stop ends the process at once, with code 1. When the workers have stopped and the
main program has ended, the interpreter has a second to end (`leaving.py`). A main program that does not end on SIGTERM
or SIGHUP has the grace period, too; one that goes on after SIGINT may do so. An interactive interpreter keeps Ctrl-C
for what its user runs there: the workers go on until `shutdown`, or until the user leaves.
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
BROKEN = 70  # a worker gave up by itself: its supervisor should start a new one

log = logging.getLogger("mlq.worker")

_SIGNALS = (
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
)  # with Python's own handlers


class Stoppable(Protocol):
    """What keeps a process alive: a worker, or a reaper."""

    stopped: threading.Event
    broken: bool

    def stop(self, grace: float) -> None:
        """End in order within about `grace` seconds."""


class _Keeper:
    """All that this process must outlive, and its way out."""

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
        """Keep the process alive until `kept` stopped; a signal gives it `grace` seconds.

        `stays`: the main thread is going to `stay` by itself.
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
        """Return when nothing is left to keep; until then the main thread may `serve`, which no signal interrupts."""
        self._main_ended.set()
        if serve is not None:
            self.catch_signals()
            self._hear_signals()
            self._leave_when_stopped(0, None)  # a listener that was given up may hold the main thread
            serve()
        self._hold(None)

    def _leave_when_stopped(self, code: int, patience: float | None) -> None:
        """End the process with that code when all is stopped, and the main program ended or had `patience` seconds."""

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
        """Have signals end the process in order, also before there is anything to keep."""
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
        """Have a thread hear of signals, too: Python's handlers wait while the main thread is in C code, for hours."""
        heard, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)  # noqa: FBT003 - its own way
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        start_thread(self._hear, heard)

    def _hear(self, heard: socket.socket) -> None:
        while number := heard.recv(1):
            if signal.getsignal(number[0]) == self._on_signal:
                self._act_on(number[0])

    def _is_heard(self) -> bool:
        """Whether that thread hears of signals, and nobody else: an event loop may want to."""
        if self._wakes is None:
            return False
        before = signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        if before == self._wakes.fileno():
            return True
        signal.set_wakeup_fd(before)
        return False

    def _forget(self) -> None:
        """In a forked child: the workers, which are threads, are the parent's."""
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
        """The main program ended: wait until nothing is left to keep."""
        left = main is not None and _is_interactive()
        self._main_ended.set()
        self.catch_signals()  # asyncio.run had its own SIGINT handler when we first tried
        # what ended the main program was meant for us, too; and who leaves an interpreter wants it to end
        if left or getattr(sys, "last_type", None) is KeyboardInterrupt:
            self._stop_all()
            self._leave_when_stopped(0 if left else CTRL_C, None)
        with contextlib.nullcontext() if main is None else main.goes_on():
            self._wait_for_all()
        if any(kept.broken for kept, _ in self._kept):
            leave_now(BROKEN)

    def _wait_for_all(self) -> None:
        """Until all have stopped; when one broke, the others stop in order, with what they run."""
        while working := [kept for kept, _ in self._kept if not kept.stopped.is_set()]:
            working[0].stopped.wait(1.0)
            if not self._signalled and any(kept.broken and kept.stopped.is_set() for kept, _ in self._kept):
                self._stop_all()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self._is_heard():
            self._act_on(number)

    def _act_on(self, number: int) -> None:
        """Have everything stop, and the main program leave what it does; `_hold` waits for the end.

        Nothing is waited for or logged here: the main thread may hold a lock that stopping needs.
        """
        working = any(not kept.stopped.is_set() for kept, _ in self._kept)
        if number == signal.SIGINT and not self._main_ended.is_set() and _is_interactive():
            if working and not self._explained:
                self._explained = True
                start_thread(_explain)
            raise KeyboardInterrupt
        if self._signalled and working:
            os._exit(KILLED)
        self._stop_all()
        ended, by_hand = self._main_ended.is_set(), number == signal.SIGINT
        grace = max((seconds for _, seconds in self._kept), default=0.0)
        self._leave_when_stopped(0 if ended or not by_hand else CTRL_C, None if by_hand else grace)
        if not ended:
            raise KeyboardInterrupt if by_hand else Stopped

    def _stop_all(self) -> None:
        self._signalled = True
        for kept, grace in self._kept:
            if not start_thread(kept.stop, grace):  # no room for a thread: it would go on as if nobody had said a word
                os._exit(KILLED)


_keeper = _Keeper()
catch_signals = _keeper.catch_signals
keep = _keeper.keep
stay = _keeper.stay


def _is_interactive() -> bool:
    """Whether somebody types what this process runs: in Python, IPython, or a notebook."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive or sys.flags.inspect)


def _explain() -> None:
    log.warning("Ctrl-C ends what you run here; the worker goes on. To stop it: shutdown() of the MLQ object")


class _Main:
    """What the main program has while it runs, and listeners may need when it is through.

    - Python takes `__file__` and `__cached__` from `__main__` after a script's last line. Spawned processes (those of
      `multiprocessing`, so of executors and data loaders) find the program by them, as `inspect` does its source.
    - `threading._register_atexit` is closed then; some libraries call it when they are imported, joblib's loky for one.
    """

    def __init__(self) -> None:
        self._names = vars(sys.modules["__main__"])
        self._kept = {name: self._names[name] for name in ("__file__", "__cached__") if name in self._names}

    @contextlib.contextmanager
    def goes_on(self) -> Iterator[None]:
        """Meanwhile it is as it was."""
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
            for hook in reversed(hooks[known:] if closing else ()):  # Python has begun with those that it knew
                hook()


def _call_when_main_ends(hold: Callable[[], None]) -> None:
    for name in ("thread", "process"):  # they register their own end, and must do so before ours: 1 MB
        importlib.import_module(f"concurrent.futures.{name}")
    if sys.version_info[:3] in ((3, 12, 0), (3, 12, 1)):
        _watch_main_module(hold)
    register: Any = threading._register_atexit  # type: ignore[attr-defined]  # noqa: SLF001 - the executors' own way
    register(hold)


def _watch_main_module(hold: Callable[[], None]) -> None:
    """Call `hold` when the main module is left, by its last line or by an exception such as SystemExit."""
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
