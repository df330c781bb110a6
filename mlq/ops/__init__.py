"""Every operation on Redis as a value: built by pure functions here, carried out by `mlq.shell`.

An `Op` is one command and the parser of its reply. Ops that change more than one key are scripts (`mlq/lua/`), sent as
EVALSHA; the first element of their reply is a word, which the op's parser turns into a value or a named error.

Anybody who can write to Redis may have put anything there. A parser is therefore strict, and whatever it raises for a
malformed reply becomes `Undecodable` in one place, `Op.result`.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mlq.errors import MLQError, Undecodable
from mlq.ops.scripts import Script

T = TypeVar("T")
Argument = str | bytes | int | float
# What parsers raise for bytes that neither our scripts nor our clients wrote.
_BROKEN = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


class Op(Generic[T]):
    """One command, with the script behind it (if any) and the parser of its reply."""

    __slots__ = ("about", "command", "parse", "script")

    def __init__(
        self,
        command: tuple[Argument, ...],
        parse: Callable[[Any], T],
        script: Script | None = None,
        about: str = "",
    ) -> None:
        """`parse` gets the raw reply (bytes, ints, lists) and may raise an MLQError.

        `about` names the subject of the reply ("job 7"), for the error if it can't be read.
        """
        self.command = command
        self.parse = parse
        self.script = script
        self.about = about

    def result(self, reply: Any) -> T:
        """The parsed `reply`. Raises what the parser raises, or Undecodable for a malformed reply."""
        try:
            return self.parse(reply)
        except Undecodable as error:
            raise (self._damaged(error) if self.about else error) from None
        except MLQError:
            raise
        except _BROKEN as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> Undecodable:
        what = self.about or (self.script.name if self.script else str(self.command[0]))
        return Undecodable(f"the data in Redis for {what} was not written by MLQ, or is damaged: {error!s:.200}")


def call(
    script: Script, keys: tuple[str, ...], args: tuple[Argument, ...], parse: Callable[[Any], T], about: str = ""
) -> Op[T]:
    """The op that runs `script`; `about` as for `Op`."""
    return Op(("EVALSHA", script.sha, len(keys), *keys, *args), parse, script, about)


def nothing(_reply: object) -> None:
    """The parser of ops whose reply carries no information."""
