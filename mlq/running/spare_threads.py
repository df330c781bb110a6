"""Threads on demand: they start when needed, stay for a while, and run tasks. Used by the thread pool and others."""

import queue
import threading
from collections.abc import Callable

from mlq.running.execution import end_of_thread

Task = Callable[[], None]

IDLE = 30.0  # seconds after which an idle thread ends


class Threads:
    """Runs tasks on threads; a task must not raise. The number of threads is not limited here: callers do that."""

    def __init__(self, name: str) -> None:
        """Without threads at first. `name`: shown by debuggers."""
        self._name = name
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._ready = 0  # idle threads minus waiting tasks
        self._made = 0

    def submit(self, task: Task) -> None:
        """Run `task` on an idle thread, or on a new one."""
        with self._lock:
            self._ready -= 1
            short = self._ready < 0
            if short:
                self._ready += 1
                self._made += 1
        self._tasks.put(task)
        if short:
            threading.Thread(target=self._main, name=self._name, daemon=True).start()

    def stop(self) -> None:
        """Let every thread end once it has no task. Threads that are stuck end with the process."""
        with self._lock:
            for _ in range(self._made):
                self._tasks.put(None)

    def _main(self) -> None:
        while (task := self._next()) is not None:
            task()
            del task  # frees the message that it refers to, while this thread waits
            with self._lock:
                self._ready += 1
        end_of_thread()

    def _next(self) -> Task | None:
        while True:
            try:
                return self._tasks.get(timeout=IDLE)
            except queue.Empty:
                with self._lock:
                    if self._ready > 0:  # else a task is on its way to this thread
                        self._ready -= 1
                        self._made -= 1
                        return None
