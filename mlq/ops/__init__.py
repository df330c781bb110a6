"""Every operation on Redis as a value: built by pure functions here, carried out by `mlq.shell`.

An `Op` is one command and what to make of its reply. Ops that change more than one key are scripts (`mlq/lua/`), sent
as EVALSHA; they answer with a word first (`post`, the most frequent, with a number, which costs less), and the op's
parser turns that into a value or a named error.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mlq.ops.scripts import Script

T = TypeVar("T")
Argument = str | bytes | int | float


class Op(Generic[T]):
    """One command, with the script behind it (if any) and the parser of its reply."""

    __slots__ = ("command", "parse", "script")

    def __init__(self, command: tuple[Argument, ...], parse: Callable[[Any], T], script: Script | None = None) -> None:
        """`parse` gets the raw reply (bytes, ints, lists) and may raise an MLQError."""
        self.command = command
        self.parse = parse
        self.script = script


def call(script: Script, keys: tuple[str, ...], args: tuple[Argument, ...], parse: Callable[[Any], T]) -> Op[T]:
    """The op that runs `script`."""
    return Op(("EVALSHA", script.sha, len(keys), *keys, *args), parse, script)


def nothing(_reply: object) -> None:
    """The parser of ops whose reply says nothing."""
