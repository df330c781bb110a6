"""A listener that leaves much behind that would hold an interpreter's end up for ever."""

import atexit
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from side_channel import mlq

executor = ThreadPoolExecutor(1)


def for_ever() -> None:
    while True:
        time.sleep(60)


@mlq.listener
def leaves_all_behind(_: Any) -> int:
    """A thread, a task of an executor, a function that is to run at the end, and a process; the last one's number."""
    threading.Thread(target=for_ever, daemon=False).start()
    executor.submit(for_ever)
    atexit.register(for_ever)
    process = multiprocessing.get_context("fork").Process(target=for_ever, daemon=False)
    process.start()
    return process.pid
