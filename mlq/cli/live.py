"""Shows on the terminal how a job proceeds while a command waits for it."""

import time
from typing import Any

from mlq.cli import show
from mlq.client.handle import JobHandle
from mlq.client.stream import Update
from mlq.core.progress import Progress
from mlq.system import terminal

EVERY = 0.5  # seconds before the line appears, and between two looks while nothing new is reported
BAR = 30  # columns


def show_progress(job: JobHandle, timeout: float | None) -> float | None:
    """Rewrite one line on stderr until the job has ended or `timeout` seconds are over; returns the seconds left."""
    began = time.monotonic()
    try:
        for update in job.follow(every=EVERY if timeout is None else max(0.01, min(EVERY, timeout))):
            waited = time.monotonic() - began
            if timeout is not None and waited >= timeout:
                break
            if waited >= EVERY:  # a short job's line would only flash
                terminal.rewrite_line(_line(job.id, update, waited))
    finally:
        if time.monotonic() - began >= EVERY:
            terminal.rewrite_line("")
    return None if timeout is None else max(0.0, timeout - (time.monotonic() - began))


def _line(job_id: str, update: Update, waited: float) -> str:
    parts = (f"job {job_id}", str(update.state), _progress(update.progress), show.span(waited))
    return "  ".join(part for part in parts if part)


def _progress(value: Any) -> str | None:
    """A bar for a percentage and for a pipeline; anything else as text."""
    if isinstance(value, Progress):
        full = round((value.done + value.failed) / max(value.of, 1) * BAR)
        return f"[{'#' * full}{'.' * (BAR - full)}] {value}"
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:
        full = round(value / 100 * BAR)
        return f"[{'#' * full}{'.' * (BAR - full)}] {value:3.0f} %"
    return show.brief(value)
