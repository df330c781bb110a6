"""What becomes of a job whose listener has returned: a result, or with `Forward`, `Split` or `then`, another job."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mlq.client.arguments import chunks
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import JobOptions
from mlq.core.part import Part
from mlq.core.states import State
from mlq.errors import InputError, LeaseLost, ServerError, ValueRefused
from mlq.running.context import Channel
from mlq.running.kept_routes import ahead, going_on
from mlq.running.listeners import Listener
from mlq.running.outcomes import failure, success
from mlq.running.pipeline import Forward, Split, Step
from mlq.running.results import Results
from mlq.running.routes import message_of

MOST_HOPS = 1000  # forwards from the root to a step: more of them are a loop without an end


def outcome_of(value: Any, claimed: Claimed, record: Record, listeners: tuple[Listener, ...]) -> Outcome:
    """The outcome of an attempt whose listeners returned `value`. Raises ValueError, NoRoute."""
    if isinstance(value, Outcome):  # of a split
        return value
    value = handed_on(value)
    last = listeners[-1] if listeners else None  # the one whose value counts
    part, then = record.options.part, record.options.then or ()
    forward = value if isinstance(value, Forward) else last and going_on(value, last, part.routes if part else b"")
    if forward is None and then:
        queue, _, name = then[0].rpartition(":")
        forward, then = Forward(message_of(value), name, queue=queue or None), then[1:]
    if forward is not None:
        return _forwarded(forward, claimed, record, then, last)
    return success(value, calls_back=record.options.callback is not None or bool(part and part.tail))


def hands_on(value: Any) -> bool:
    """Whether a listener returned the results that it got, which are read from the server for that."""
    return isinstance(value.msg if isinstance(value, Forward) else value, Results)


def handed_on(value: Any) -> Any:
    """What a listener returned, with a list in the place of such results."""
    if not hands_on(value):
        return value
    return Forward(list(value.msg), value.to) if isinstance(value, Forward) else list(value)


def _forwarded(
    forward: Forward, claimed: Claimed, record: Record, then: tuple[str, ...], listener: Listener | None
) -> Outcome:
    part = _next_part(claimed, record, forward.to, then, listener)
    options = forward.to.options.of_step(part, then or None, record.options.priority, record.options.share)
    fields: dict[str, bytes | str] = {"lane": options.lane, "body": options.body(forward.msg)}
    return Outcome(State.BLOCKED, fields, None, f"goes on in {options.lane}")


def _next_part(claimed: Claimed, record: Record, to: Step, then: tuple[str, ...], listener: Listener | None) -> Part:
    """The part that the job has which this one becomes, after an attempt of `listener`. Raises ValueError."""
    own = record.options.part
    routes = ahead(to, then, listener, own.routes if own else b"")
    hop = own.hop + 1 if own else 1
    if hop > MOST_HOPS:
        raise InputError(f"this pipeline has gone on for {MOST_HOPS:,} steps, which looks like a loop without an end")
    if own and own.tail:
        return own._replace(hop=hop, into="", joins=False, routes=routes)
    calls_back = bool(record.options.callback or record.options.webhook)
    return Part(own.root if own else claimed.id, hop, tail=claimed.id, calls_back=calls_back, routes=routes)


class _Refused(Exception):
    """MLQ's own error about a value that the listener gave, which no other attempt would change."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def post_split(value: Split, channel: Channel, claimed: Claimed, record: Record, listener: Listener) -> Outcome:
    """Post the parts of a split, page by page, and before them their join. They begin with the end of this attempt.

    What the iterable raises is the outcome; `listener`, which returned the split, says whether it is to be tried again
    after it. An item that can't be packed is final, as any such value that a listener returns. Raises LeaseLost,
    ServerError.
    """
    try:
        part = _next_part(claimed, record, value.into, record.options.then or (), listener)
        own = record.options.part
        routes = ahead(value.each, (), listener, own.routes if own else b"")
    except ValueError as error:  # an InputError, or what the step carries is damaged
        return failure(error)
    try:
        return _posted(value, part, routes, channel, record)
    except _Refused as refused:
        return failure(refused.error)
    except ValueRefused as error:
        return failure(error)
    except (LeaseLost, ServerError):
        raise
    except BaseException as error:  # noqa: BLE001 - user code: the iterable
        return failure(error, again=listener.retries(error))


def _posted(value: Split, part: Part, routes: bytes, channel: Channel, record: Record) -> Outcome:
    options = record.options
    joined = replace(
        value.into.options, then=options.then, priority=options.priority, share=options.share,
        part=part._replace(joins=True), on_failure="run" if value.on_failure == "run" else None,
    )  # fmt: skip
    join = channel.post_parts(joined.lane, [joined.body(None)])
    each = value.each.options.of_step(
        Part(part.root, part.hop, into=join, routes=routes), None, options.priority, options.share
    )
    count = 0
    for page in chunks(_bodies(value, each)):
        channel.post_parts(each.lane, page)
        count += len(page)
    fields: dict[str, bytes | str] = {"plan": str(value.at_once), "join": join, "of": str(count)}
    return Outcome(State.BLOCKED, fields, None, f"goes on in {each.lane} and {joined.lane}")


def _bodies(value: Split, each: JobOptions) -> Iterator[bytes]:
    for item in value.items:
        try:
            body = each.body(item)
        except Exception as error:
            raise _Refused(error) from error
        yield body
