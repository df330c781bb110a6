"""What a join gets, and that it can hand it on as it is."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from mlq import Forward, JobFailed, UnknownJob, route
from mlq.core import codec
from mlq.core.job import Claimed, Record
from mlq.core.job_options import JobOptions
from mlq.core.part import Part
from mlq.running.becoming import outcome_of
from mlq.running.execution import execute_on_loop
from mlq.running.listeners import Listener
from mlq.running.results import Results
from mlq.running.together import execute_together_on_loop

CLAIMED = Claimed("7", 1, "w.1", "w", 1000.0, b"")
DONE = [{"state": b"succeeded", "result": codec.pack(number)} for number in range(3)]


class Parts:
    """A channel for a join of parts 11, 12 and 13; two of them fit into a reply."""

    def __init__(self, fields):
        self.fields = fields
        self.asked = []
        self.threads = set()

    def holds(self):
        return True

    def parts(self):
        self.threads.add(threading.get_ident())
        return [(11, 12), (13, 13)]

    def outcomes(self, ids):
        self.asked.append(list(ids))
        self.threads.add(threading.get_ident())
        return [self.fields[int(one) - 11] | {"id": one.encode()} for one in ids[:2]]


def results(fields=DONE, **options):
    """The results of a join."""
    part = Part("1", 1, tail="1", joins=True)
    return Results(Parts(fields), JobOptions(part=part, **options))


def test_a_sequence():
    """In order, page by page."""
    found = results()
    assert (len(found), list(found), found[-1], found[0:2], found[::2]) == (3, [0, 1, 2], 2, [0, 1], [0, 2])
    assert found._channel.asked[:2] == [["11", "12", "13"], ["13"]]
    with pytest.raises(IndexError):
        found[3]


@pytest.mark.parametrize("fields", [{}, {"state": b"queued"}])
def test_a_result_that_is_not_there(fields):
    """Discarded, or requeued, since the join began: an error in its place, or of the join."""
    some = [DONE[0], fields, DONE[2]]
    assert list(results(some, on_failure="run").failed) == [1]
    assert isinstance(results(some, on_failure="run")[1], JobFailed)
    with pytest.raises(UnknownJob, match="job 12, whose result is needed"):
        list(results(some))


def test_a_join_hands_on_what_it_got():
    """As its result, in a Forward, and by routes."""
    record = Record("default:join", 0.0, JobOptions(), codec.pack(None))
    routed = Listener("join", None, routes=route({3: "next"}, by=len))
    made = [
        outcome_of(results(), CLAIMED, record, ()).fields["result"],
        *(
            outcome_of(value, CLAIMED, record, to).fields["body"]
            for value, to in ((Forward(results(), "next"), ()), (results(), (routed,)))
        ),
    ]
    assert all(packed.endswith(codec.pack([0, 1, 2])) for packed in made)


async def reads(results):
    return [one async for one in results]


async def returns(results):
    return results


async def forwards(results):
    return Forward(results, "next")


async def typed(results: list[int]):
    return results


async def batched(messages):
    return messages


def submit(task):
    threading.Thread(target=task).start()


@pytest.mark.parametrize("join", [reads, returns, forwards, typed, batched])
def test_an_async_join_reads_beside_the_loop(join):
    """No other listener waits for its round trips."""
    channel = Parts(DONE)
    listener = Listener.of(join, "join", batch=8 if join is batched else None)
    record = Record("default:join", 0.0, JobOptions(part=Part("1", 1, tail="1", joins=True)), codec.pack(None))
    if join is batched:
        run = SimpleNamespace(channel=channel, claimed=CLAIMED, record=record, listeners=(listener,))
        (outcome,) = asyncio.run(execute_together_on_loop([run], submit))
    else:
        outcome = asyncio.run(execute_on_loop(channel, CLAIMED, record, (listener,), submit))
    packed = outcome.fields["body" if join is forwards else "result"]
    assert packed.endswith(codec.pack([0, 1, 2]))
    assert channel.asked == [["11", "12", "13"], ["13"]]
    assert threading.get_ident() not in channel.threads


def test_an_async_join_is_told_of_what_is_missing():
    """Where it awaits."""
    found = results([DONE[0], {}, DONE[2]])
    with pytest.raises(UnknownJob, match="job 12, whose result is needed"):
        asyncio.run(reads(found))
    missing = asyncio.run(reads(results([DONE[0], {}, DONE[2]], on_failure="run")))
    assert [type(one) for one in missing] == [int, JobFailed, int]
