"""The names of lanes with shares, and the options of jobs that have one."""

import pytest

from mlq.core.checks import functions_of, group_of, lane_of, queue_of, share_of
from mlq.core.job_options import JobOptions, options_of
from mlq.core.part import Part
from mlq.core.stored_options import read_options


@pytest.mark.parametrize("queue", ["default", "#rows", "ö"])
@pytest.mark.parametrize("functions", [None, ["b", "a", "m@1"]])
@pytest.mark.parametrize("share", [None, "team-a", "user:17@x", "#", "ü" * 100])
def test_a_lane_and_its_parts(queue, functions, share):
    """What is put in comes out."""
    lane = lane_of(queue, functions, share)
    assert (queue_of(lane), functions_of(lane), share_of(lane)) == (queue, frozenset(functions or ()), share)
    assert group_of(lane) == lane_of(queue, functions)


def test_records(subtests):
    """The share is in the lane alone; options that are read are those that were posted."""
    for given in ({}, {"priority": 5}, {"ttl": 3.0, "then": ["g"]}):
        with subtests.test(given=given):
            options = options_of(None, ["f"], {"share": "a", **given})
            plain = options_of(None, ["f"], given)
            assert options.lane == "default:f|a"
            assert options.body(1) == plain.body(1)
            packed = options.body(None)[: options.size].partition(b"\n")[2]
            assert read_options("default:f|a", packed) == options
            assert read_options("default:f", packed) == plain
            assert JobOptions.of({"functions": ["f"], "share": "a", **given}) == options


def test_steps():
    """They get the share of the job before, or lose theirs."""
    step = options_of(None, ["g"], {})
    made = step.of_step(Part("1", 1), None, 5, "a")
    assert (made.lane, made.share, made.priority) == ("default:g|a", "a", 5)
    again = made.of_step(Part("1", 2), None, None, None)
    assert (again.lane, again.share) == ("default:g", None)
    assert step.lane == "default:g"
