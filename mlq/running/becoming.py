"""What becomes of a job whose listener has returned: a result, or with `Forward`, `Split` or `then`, another job."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from mlq.client.arguments import chunks
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import JobOptions
from mlq.core.part import Part
from mlq.core.states import State
from mlq.errors import InputError, LeaseLost, ServerError
from mlq.running.context import Channel
from mlq.running.listeners import Listener
from mlq.running.outcomes import failure, success
from mlq.running.pipeline import Forward, Split
from mlq.running.results import Results

MOST_HOPS = 1000  # forwards from the root to a step: more of them are a loop without an end


def outcome_of(value: Any, claimed: Claimed, record: Record, listeners: tuple[Listener, ...]) -> Outcome:
    """The outcome of an attempt whose listeners returned `value`. Raises InputError, Unserializable, NoRoute."""
    if isinstance(value, Outcome):  # of a split
        return value
    if isinstance(value, Results):  # a join that returns what it got
        value = list(value)
    routes = listeners[-1].routes if listeners else None  # of the one whose value counts
    if routes is not None and not isinstance(value, Forward):
        value = routes.forward(value)
    then = record.options.then or ()
    if isinstance(value, Forward):
        return _forwarded(value, claimed, record, then)
    if then:
        pair = isinstance(value, tuple) and len(value) == 2
        queue, _, name = then[0].rpartition(":")
        return _forwarded(Forward(value[1] if pair else value, name, queue=queue or None), claimed, record, then[1:])
    part = record.options.part
    return success(value, calls_back=record.options.callback is not None or bool(part and part.tail))


def _forwarded(forward: Forward, claimed: Claimed, record: Record, then: tuple[str, ...]) -> Outcome:
    part = _next_part(claimed, record)
    options = replace(forward.to.options, then=then or None, part=part)
    message = list(forward.msg) if isinstance(forward.msg, Results) else forward.msg
    fields: dict[str, bytes | str] = {"lane": options.lane, "body": options.body(message)}
    return Outcome(State.BLOCKED, fields, None, f"goes on in {options.lane}")


def _next_part(claimed: Claimed, record: Record) -> Part:
    """The part that the job has which this one becomes."""
    own = record.options.part
    hop = own.hop + 1 if own else 1
    if hop > MOST_HOPS:
        raise InputError(f"this pipeline has gone on for {MOST_HOPS:,} steps, which looks like a loop without an end")
    if own and own.tail:
        return own._replace(hop=hop, into="", joins=False)
    calls_back = bool(record.options.callback or record.options.webhook)
    return Part(own.root if own else claimed.id, hop, tail=claimed.id, calls_back=calls_back)


def post_split(
    value: Split, channel: Channel, claimed: Claimed, record: Record, retries: Callable[[BaseException], bool]
) -> Outcome:
    """Post the parts of a split, page by page, and before them their join. They begin with the end of this attempt.

    What the iterable raises is the outcome; `retries`: whether the job is to be tried again after it.
    """
    part, options = _next_part(claimed, record), record.options
    joined = replace(value.into.options, then=options.then, part=part._replace(joins=True),
                     on_failure="run" if value.on_failure == "run" else None)  # fmt: skip
    join = channel.post_parts(joined.lane, [joined.body(None)])
    each = replace(value.each.options, part=Part(part.root, part.hop, into=join))
    count = 0
    try:
        for page in chunks(_bodies(value, each)):
            channel.post_parts(each.lane, page)
            count += len(page)
    except (LeaseLost, ServerError, InputError):
        raise
    except BaseException as error:  # noqa: BLE001 - user code: the iterable
        return failure(error, again=retries(error))
    fields: dict[str, bytes | str] = {"plan": str(value.at_once), "join": join, "of": str(count)}
    return Outcome(State.BLOCKED, fields, None, f"goes on in {each.lane} and {joined.lane}")


def _bodies(value: Split, each: JobOptions) -> Iterator[bytes]:
    for item in value.items:
        yield each.body(item)
