"""What becomes of a job by the outcome of its attempt: for the server, and for the log."""

import random

from mlq.core.job import LARGE
from mlq.core.policy import pause_before_retry
from mlq.ops.settling import Ending
from mlq.system.service import log
from mlq.worker.outbox import Ended


def is_staged(ended: Ended) -> bool:
    """Whether its job becomes another one with a message so large that it is staged first."""
    return len(ended.outcome.fields.get("body", b"")) > LARGE


def complain(ended: Ended, retry_in: float | None, losses: int) -> None:
    """Log a failure, since nobody may be waiting for the job."""
    claimed, names = ended.attempt.claimed, ", ".join(listener.name for listener in ended.attempt.listeners)
    if retry_in is not None:
        then = f"it runs again in {retry_in:.1f} s"
    elif ended.lost:
        then = f"it runs again, or is a dead letter if it was lost by itself {losses} times"
    else:
        then = "it is a dead letter"
    log.warning("job %s (%s): attempt %d failed: %s; %s", claimed.id, names, claimed.attempt, ended.outcome.hint, then)


def ending_of(ended: Ended) -> Ending:
    """The ending of an attempt: its outcome, and when its job is retried by its policy."""
    attempt, outcome, lost = ended
    retry_in = None
    if outcome.again:
        retry_in = pause_before_retry(attempt.policy, attempt.claimed.errors, random.random())  # noqa: S311 - jitter
    batch = attempt.batch
    used = attempt.used / len(batch.members) if batch and batch.members else attempt.used
    return Ending(
        attempt.claimed, outcome, attempt.record.options, retry_in, attempt.waited, lost, attempt.beside, used
    )


def calls_back(ending: Ending) -> bool:
    """Whether it queues a callback or webhook: the job's own, or that of the job that gets its outcome."""
    options = ending.options
    return bool(options.callback or options.webhook or (options.part and options.part.calls_back))
