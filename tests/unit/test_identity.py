"""Ids that know their jobs."""

import copy
import json
import pickle

import pytest

from mlq.core.checks import check_id
from mlq.core.identity import JobId, bind, parse_reference, reference_of, same, stamp_of
from mlq.errors import InputError

STAMP = "1795888888.123456"


def test_an_id_is_a_text_of_digits_beside_what_it_knows():
    job_id = JobId("57", STAMP)
    assert job_id == "57"
    assert {job_id: 1}["57"] == 1
    assert type(str(job_id)) is str
    assert f"{job_id}" == "57"
    assert json.dumps(job_id) == '"57"'
    assert job_id.reference == reference_of(job_id) == f"57@{STAMP}"
    assert JobId("57").reference == reference_of("57") == "57"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])  # noqa: S301 - ours
def test_copies_know_it_too(copied):
    assert copied(JobId("57", STAMP)).reference == f"57@{STAMP}"


def test_references_are_read_again():
    found = parse_reference(f"57@{STAMP}")
    assert (found, found.stamp) == ("57", STAMP)
    assert parse_reference("57").stamp == ""


@pytest.mark.parametrize("wrong", ["", "x", "57@", "57@1", "57@1.5", f"57@{STAMP}0", f"@{STAMP}", f"57@{STAMP}\n",
                                   "57 ", "\u0661", "1" * 19, f"57@@{STAMP}", f"57@{STAMP}@{STAMP}"])  # fmt: skip
def test_what_is_no_reference(wrong):
    assert parse_reference(wrong) is None
    with pytest.raises(InputError, match="digits"):
        check_id(wrong)


def test_an_id_is_bound_once():
    job_id = check_id(57)
    assert check_id(job_id) is job_id
    bind(job_id, STAMP)
    bind(job_id, "2.000000")
    assert job_id.stamp == STAMP
    bind("57", STAMP)  # a plain text can't be
    assert stamp_of("57") == ""


def test_the_same_number_is_not_the_same_job():
    assert same(JobId("57", STAMP), JobId("57", STAMP))
    assert not same(JobId("57", STAMP), JobId("57", "2.000000"))
    assert not same(JobId("57", STAMP), JobId("57"))
    assert not same(JobId("57", STAMP), JobId("58", STAMP))
