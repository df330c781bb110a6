"""What both clients share: portions, who serves a lane, and what an outcome means to the caller."""

import pytest

from mlq.client import arguments
from mlq.client.arguments import chunks, data_key, value_of
from mlq.core import codec
from mlq.errors import InputError, JobCancelled, JobFailed, RemoteTraceback


class Picky(Exception):
    """Made from two numbers."""

    def __init__(self, first, second):
        super().__init__(first, second)


class Explosive(Exception):
    """Can't be made again."""

    def __init__(self, *args):
        if args != ("first",):
            raise RuntimeError("no")
        super().__init__("second")


class Ours(InputError):
    """An application's error that is one of MLQ's."""


def failed(kind, args=None, text="boom", **more):
    """The fields of a failed job."""
    fields = {"state": b"failed", "error_type": kind.encode(), "error": text.encode(), "reason": b"error"} | more
    return fields | ({} if args is None else {"error_args": codec.pack(args)})


def test_chunks_are_bounded_by_number(monkeypatch):
    """Order and number are kept."""
    monkeypatch.setattr(arguments, "CHUNK_JOBS", 3)
    bodies = [b"%d" % i for i in range(7)]
    assert list(chunks(bodies)) == [bodies[:3], bodies[3:6], bodies[6:]]


def test_chunks_are_bounded_by_bytes(monkeypatch):
    """A single larger body goes alone."""
    monkeypatch.setattr(arguments, "CHUNK_BYTES", 10)
    bodies = [b"x" * 6, b"y" * 4, b"z", b"L" * 50, b"a" * 5]
    assert list(chunks(bodies)) == [bodies[:2], bodies[2:3], bodies[3:4], bodies[4:]]


def test_no_chunks():
    """Nothing is sent for nothing."""
    assert list(chunks([])) == []


def test_data_keys():
    """Made up, or checked."""
    assert data_key("k") == "k"
    assert len({data_key(None) for _ in range(100)}) == 100
    for key in ("", 5, b"k", "x" * 1001, "\ud800", "a\n"):
        with pytest.raises(InputError, match="key"):
            data_key(key)


@pytest.mark.parametrize("value", [None, 0, "", [1, 2], b"\xff\x00", {"a": [1]}])
def test_value_of_a_success(value):
    """The result itself."""
    assert value_of("1", {"state": b"succeeded", "result": codec.pack(value)}, original=True) == value


def test_value_of_a_cancelled_job():
    """An error of its own."""
    with pytest.raises(JobCancelled, match="1"):
        value_of("1", {"state": b"cancelled"}, original=True)


@pytest.mark.parametrize(
    ("fields", "kind", "args"),
    [
        (failed("builtins.ValueError", ["bad", 3], "('bad', 3)"), ValueError, ("bad", 3)),
        (failed("builtins.KeyError", ["k"], "'k'"), KeyError, ("k",)),
        (
            failed(
                "builtins.UnicodeDecodeError",
                ["utf-8", b"\xff", 0, 1, "bad"],
                "'utf-8' codec can't decode byte 0xff in position 0: bad",
            ),
            UnicodeDecodeError,
            ("utf-8", b"\xff", 0, 1, "bad"),
        ),
        (failed("builtins.TimeoutError", ["too long"], "too long"), TimeoutError, ("too long",)),
        (failed(f"{__name__}.Picky", [1, 2], "(1, 2)"), Picky, (1, 2)),
    ],
)
def test_listeners_exception_is_raised_again(fields, kind, args):
    """A builtin, or a class that is imported here; with its arguments and the worker's traceback."""
    with pytest.raises(kind) as caught:
        value_of("1", fields | {"traceback": b"remote lines"}, original=True)
    assert type(caught.value) is kind
    assert caught.value.args == args
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "remote lines" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "fields",
    [
        failed("no_such_module.Error"),
        failed("builtins.NoSuchError"),
        failed("builtins.print"),
        failed("builtins.SystemExit", [1]),
        failed("builtins.KeyboardInterrupt"),
        failed("builtins.ExceptionGroup"),
        failed(f"{__name__}.Picky", [1]),
        failed(f"{__name__}.Explosive", ["second"]),
        failed("Error"),
        failed(""),
        failed("builtins.ValueError", 5),
        failed("builtins.ValueError", None),
        failed("builtins.ValueError", ["other words"]),
        failed("builtins.OSError", [2, "boom"], "[Errno 2] boom"),  # makes a FileNotFoundError
        failed("mlq.errors.WaitTimeout", ["boom"]),
        failed("mlq.errors.ServerError", ["boom"]),
        failed(f"{__name__}.Ours", ["boom"]),
        failed("builtins.ValueError", text="x") | {"error_args": b"\xc1"},
        {"state": b"failed"},
    ],
)
def test_what_cannot_be_made_again_is_a_job_failed(fields):
    """With the id, the type and the text."""
    with pytest.raises(JobFailed, match="job 1 failed") as caught:
        value_of("1", fields, original=True)
    assert caught.value.error_type == fields.get("error_type", b"").decode()
    assert caught.value.reason == fields.get("reason", b"").decode()


def test_get_result_raises_job_failed_always():
    """Only waiting gives the original."""
    with pytest.raises(JobFailed, match="ValueError: boom"):
        value_of("1", failed("builtins.ValueError", ["boom"]), original=False)


def test_chunks_with_links():
    """A script adds few links to other jobs at a time."""
    assert [len(page) for page in chunks([b"x"] * 25, links=500)] == [10, 10, 5]
    assert [len(page) for page in chunks([b"x"] * 3, links=5001)] == [1, 1, 1]
