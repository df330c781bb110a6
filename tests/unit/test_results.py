"""What a join gets, and that it can hand it on as it is."""

import pytest

from mlq import Forward, JobFailed, UnknownJob, route
from mlq.core import codec
from mlq.core.job import Claimed, Record
from mlq.core.job_options import JobOptions
from mlq.core.part import Part
from mlq.running.becoming import outcome_of
from mlq.running.listeners import Listener
from mlq.running.results import Results

CLAIMED = Claimed("7", 1, "w.1", "w", 1000.0, b"")
DONE = [{"state": b"succeeded", "result": codec.pack(number)} for number in range(3)]


class Parts:
    """A channel for a join of parts 11, 12 and 13; two of them fit into a reply."""

    def __init__(self, fields):
        self.fields = fields
        self.asked = []

    def parts(self):
        return [(11, 12), (13, 13)]

    def outcomes(self, ids):
        self.asked.append(list(ids))
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
