"""What pools call for one attempt: on a message, or on the rows of a file's chunk."""

from mlq.core.checks import queue_of
from mlq.core.chunk import ROWS_QUEUE
from mlq.core.job import Claimed, Outcome, Record
from mlq.running import execution, file_rows
from mlq.running.context import Channel
from mlq.running.execution import Submit
from mlq.running.listeners import Listener


def execute(channel: Channel, claimed: Claimed, record: Record, listeners: tuple[Listener, ...]) -> Outcome:
    """Run the listeners of one job. Never raises: any exception, SystemExit included, becomes the outcome."""
    if queue_of(record.lane) == ROWS_QUEUE:
        return file_rows.execute_rows(channel, claimed, record, listeners)
    return execution.execute(channel, claimed, record, listeners)


async def execute_on_loop(
    channel: Channel, claimed: Claimed, record: Record, listeners: tuple[Listener, ...], submit: Submit
) -> Outcome:
    """The same on the running event loop; listeners that are not async run on threads, through `submit`.

    Call this in a task whose context is an `own_context`.
    """
    if queue_of(record.lane) == ROWS_QUEUE:
        return await file_rows.execute_rows_on_loop(channel, claimed, record, listeners, submit)
    return await execution.execute_on_loop(channel, claimed, record, listeners, submit)
