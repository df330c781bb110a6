"""Messages of jobs that predict files: what a caller may give, and what a worker accepts."""

import pytest

from mlq.core.file_job import FileJob, own_options
from mlq.errors import InputError

GIVEN = {"model": "iris", "input": "/in.csv", "output": "/out.csv", "errors": None, "fields": {"a": "b"},
         "keep": ["id"], "restart": False}  # fmt: skip


def test_a_message_is_what_was_given():
    made = FileJob.of(GIVEN)
    assert made == FileJob("iris", "/in.csv", "/out.csv", None, (("a", "b"),), ("id",), restart=False)
    assert FileJob.of(made.message()) == made
    assert FileJob.of(GIVEN | {"fields": None, "keep": iter(["x"]), "restart": 1})[4:] == ((), ("x",), False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": None}, {"model": ""}, {"model": 3}, {"model": "a,b"}, {"input": None}, {"input": ""},
        {"input": "a\nb"}, {"input": b"/in.csv"}, {"output": "x" * 5000}, {"errors": ""}, {"errors": 1},
        {"fields": ["a"]}, {"fields": {"a": 1}}, {"fields": {1: "a"}}, {"fields": "ab"}, {"keep": "id"},
        {"keep": b"id"}, {"keep": [1]}, {"keep": None}, {"keep": 5}, {"keep": ["x"] * 20_000}, {"more": 1},
    ],
)  # fmt: skip
def test_what_no_job_can_do(wrong):
    with pytest.raises(InputError):
        FileJob.of(GIVEN | wrong)


@pytest.mark.parametrize("message", [None, 1, [], {}, {"model": "iris"}])
def test_other_messages(message):
    with pytest.raises(InputError, match="not the message"):
        FileJob.of(message)


def test_the_queue_is_its_own():
    made = own_options("http://a.example/", {"ttl": 5})
    assert (made.lane, made.ttl, made.callback) == ("#files:#predict_file", 5, "http://a.example/")
    with pytest.raises(InputError, match="queue"):
        own_options(None, {"queue": "mine"})
    with pytest.raises(TypeError, match="colour"):
        own_options(None, {"colour": "red"})
