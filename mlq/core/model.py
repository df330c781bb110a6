"""What a hosted model tells of itself, as the namespace keeps it: clients need neither its class nor its libraries."""

import json
import re
from typing import Any, NamedTuple

from mlq.core.job import text
from mlq.core.schemas import weight
from mlq.errors import InputError, Undecodable

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)  # a segment of a URL's path, and a queue's name
LIMIT = 64 * 1024  # bytes of a description: its schemas go to every client, and into the OpenAPI document
WORK = 20_000  # parts of its schemas, if every reference is followed: small ones can stand for billions

TIMEOUT = 600.0  # seconds of one attempt, in which the first one loads the model: one that hangs must not stay forever


class ModelInfo(NamedTuple):
    """One version of a model."""

    name: str
    version: str
    about: str  # the first paragraph of its docstring; may be empty
    input: dict[str, Any]  # JSON Schema of what it takes
    output: dict[str, Any]  # JSON Schema of what it gives
    queue: str  # where its jobs wait
    timeout: float | None = TIMEOUT  # seconds of one attempt, as its configuration says; None if there is no limit
    chat: bool = False  # it takes requests of OpenAI's chat completions, and gives such answers

    @property
    def function(self) -> str:
        """The name of its listener, which its jobs name."""
        return f"{self.name}@{self.version}"

    def packed(self) -> str:
        """As it is stored. Raises InputError if that is too large."""
        words = json.dumps(self._asdict())
        if len(words) > LIMIT:
            raise InputError(f"the schemas of model {self.name!r} have {len(words):,} bytes; {LIMIT:,} are allowed")
        try:
            self.check_simple()
        except InputError as error:
            raise InputError(f"the schemas of model {self.name!r} are of no use: {error}") from None
        return words

    def check_simple(self) -> None:
        """Check that its schemas can be worked with in bounded time. Raises InputError, RecursionError."""
        for one in (self.input, self.output):
            if weight(one) > WORK:
                raise InputError(f"there are more than {WORK:,} parts when all references are followed")

    @classmethod
    def parse(cls, packed: bytes) -> "ModelInfo":
        """Raises Undecodable."""
        try:
            found = json.loads(packed)
            info = cls(
                **{name: found[name] for name in cls._fields if name in found or name not in cls._field_defaults}
            )
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Undecodable("this description of a model is damaged") from None
        words = (info.name, info.version, info.about, info.queue)
        schemas = (info.input, info.output)
        is_limited = info.timeout is None or (isinstance(info.timeout, (int, float)) and info.timeout > 0)
        are_right = all(isinstance(one, str) for one in words) and all(isinstance(one, dict) for one in schemas)
        are_right = are_right and isinstance(info.chat, bool) and all(NAME.fullmatch(one) for one in words[:2])
        if not (are_right and is_limited):
            raise Undecodable("this description of a model is damaged")
        try:
            if len(packed) > LIMIT:
                raise Undecodable("the schemas of this model are too large")
            info.check_simple()
        except InputError as error:
            raise Undecodable(f"the schemas of this model are of no use: {error}") from None
        except RecursionError:
            raise Undecodable("this description of a model is damaged") from None
        return info


def check_chat(chat: object) -> bool:
    """Whether a model says that it chats. Raises InputError."""
    if not isinstance(chat, bool):
        raise InputError(f"its chat must be True or False, not {chat!r:.80}")
    return chat


def check_model_name(what: str, name: object) -> str:
    """A model's name or version: 1 to 64 letters, digits and ._- of ASCII. Raises InputError."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(
            f"the {what} must be 1 to 64 letters, digits, dots, hyphens or underscores, beginning with a letter or "
            f"digit, since it is a part of URLs, not {name!r:.80}"
        )
    return name


def names_in(reply: list[bytes]) -> list[str]:
    """The names of models in a reply, in order."""
    return sorted(name for name in (text(one) or "" for one in reply) if NAME.fullmatch(name))
