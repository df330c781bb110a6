"""Threads on demand: they start when needed, stay for a while, and run tasks; the thread pool is one use of them."""

import queue
import threading
from collections.abc import Callable

from mlq.running.execution import end_of_thread

Task = Callable[[], None]

IDLE = 30.0  # seconds after which a thread without a task ends


class Threads:
    """Runs tasks on threads; a task must not raise. Whoever submits bounds how many there are."""

    def __init__(self, name: str) -> None:
        """Without a thread. `name` is what a debugger shows."""
        self._name = name
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._ready = 0  # threads without a task, less the tasks that wait
        self._made = 0

    def submit(self, task: Task) -> None:
        """Run `task` on a thread that is ready, or on a new one."""
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
        """Let every thread end when it has no task. Those that are stuck end with the process."""
        with self._lock:
            for _ in range(self._made):
                self._tasks.put(None)

    def _main(self) -> None:
        while (task := self._next()) is not None:
            task()
            del task  # and the message that it holds, while this thread waits
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
