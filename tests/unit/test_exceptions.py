"""Exceptions that are taken apart and put together again: the same, or none at all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlq.core.exceptions import ARGS_LIMIT, from_fields, text_of, to_fields
from mlq.errors import InputError, WaitTimeout


class WordsItself(Exception):
    """Makes its text of what it is given."""

    def __init__(self, name):
        super().__init__(f"model {name!r} is not there")
        self.name = name


class Coded(Exception):
    """Keeps something beside its text."""

    def __init__(self, message, code=500):
        super().__init__(message)
        self.code = code


class KeywordOnly(Exception):
    """Has no arguments at all."""

    def __init__(self, *, why="?"):
        super().__init__()
        self.why = why

    def __str__(self):
        return f"because {self.why}"


class Filed(FileNotFoundError):
    """One of the system's, with something of its own."""

    def __init__(self, *args):
        super().__init__(*args)
        self.more = 1


class Picky(Exception):
    """Can't be made from its arguments."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


class Leaves(Exception):
    """Ends the program that makes it a second time."""

    def __init__(self, *args):
        if args == ("again",):
            sys.exit(9)
        super().__init__("again")


class Factory(Exception):
    """Is made again by something else."""

    def __reduce__(self):
        return print, ("x",)


class NoRepr:
    """Can't be shown."""

    def __repr__(self):
        raise ZeroDivisionError


def caught(act):
    """What `act` raises."""
    with pytest.raises(Exception) as found:  # noqa: PT011 - whatever it is
        act()
    return found.value


def noted():
    """With a note."""
    error = ValueError("text")
    error.add_note("look here")
    return error


def crossed(error):
    """The other end's exception."""
    fields = {name: value.encode() if isinstance(value, str) else value for name, value in to_fields(error).items()}
    return from_fields(fields, f"{type(error).__module__}.{type(error).__qualname__}", text_of(error))


SAME = [
    ValueError("bad", 3),
    ValueError(),
    ValueError("\n"),
    KeyError("k"),
    KeyError((1, "a")),
    FileNotFoundError(2, "No such file", "/data/model.bin"),
    caught(Path("/there/is/none").read_text),
    OSError(18, "Cross-device", "/a", None, "/b"),
    ConnectionRefusedError(111, "Connection refused"),
    caught(b"\xff".decode),
    caught(lambda: compile("a b", "f.py", "exec")),
    caught(lambda: json.loads("{")),
    caught(lambda: subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], check=True)),
    caught(lambda: __import__("no_such_module")),
    caught(lambda: int.nothing),
    caught(lambda: nothing),  # noqa: F821 - on purpose
    MemoryError(),
    noted(),
    WordsItself("bert"),
    Coded("too hot", code=418),
    KeywordOnly(why="of the rain"),
    Filed(2, "No such file", "/x"),
]


@pytest.mark.parametrize("error", SAME, ids=repr)
def test_the_same_again(error):
    """Type, text, arguments and attributes."""
    made = crossed(error)
    assert type(made) is type(error)
    assert (str(made), repr(made), made.args, vars(made)) == (str(error), repr(error), error.args, vars(error))


def test_what_the_system_says():
    """A file name is no argument, but belongs to it."""
    made = crossed(caught(Path("/there/is/none").read_text))
    assert (made.errno, made.filename) == (2, "/there/is/none")
    made = crossed(OSError(18, "Cross-device", "/a", None, "/b"))
    assert (made.filename, made.filename2) == ("/a", "/b")


@pytest.mark.parametrize(
    "error",
    [
        Picky(1, 2),
        Leaves(),
        Factory("x"),
        ValueError(object()),
        ValueError(NoRepr()),
        ValueError([1], (2,)),
        Coded("x", code=(4, 18)),
        Coded("x", code=object()),
        ValueError("x" * ARGS_LIMIT),
        ExceptionGroup("many", [ValueError(1)]),
        StopIteration(5),
        SystemExit(1),
        WaitTimeout("the listener's own"),
        InputError("the listener's own"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_none_where_it_would_not_be_the_same(error):
    """The caller gets a JobFailed that says what it said."""
    assert crossed(error) is None


scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text() | st.binary() | st.floats()
arguments = st.recursive(scalars, lambda inner: st.lists(inner) | st.lists(inner).map(tuple), max_leaves=5)


@given(st.sampled_from([ValueError, KeyError, OSError, Coded, WordsItself]), st.lists(arguments, max_size=5))
def test_whatever_its_arguments_are(kind, args):
    """It says the same, or it is none."""
    try:
        error = kind(*args)
    except TypeError:
        return
    made = crossed(error)
    assert made is None or (type(made), str(made), repr(made.args)) == (type(error), str(error), repr(error.args))


def test_attributes_that_are_none(monkeypatch):
    """What is read from Redis may be anything."""
    wanted = {"error_args": b"\x91\xa1x"}
    assert repr(from_fields(wanted, "builtins.ValueError", "x")) == "ValueError('x')"
    for state in (b"\xc1", b"\x01", b"\x81\xa9__class__\x01", b"\x81\x01\x01"):
        assert from_fields(wanted | {"error_state": state}, "builtins.ValueError", "x") is None
    assert from_fields({}, "builtins.ValueError", "x") is None
