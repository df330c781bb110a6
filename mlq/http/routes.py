"""The description of a route: its path, view and role, and what the OpenAPI document says about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from flask import Response


class Role(IntEnum):
    """What a token allows; each role includes the ones before it."""

    NOBODY = 0  # no token needed
    READ = 1
    POST = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query or a header."""

    name: str
    place: str  # "query" or "header"
    about: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path."""

    method: str
    path: str  # in Flask's notation: /jobs/<job_id>
    view: Callable[..., Response]
    role: Role
    summary: str
    answers: Mapping[int, str]  # the meaning of each status
    group: str = "Jobs"
    body: type | None = None  # the msgspec type of a JSON body
    example: Any = None  # of a JSON body
    reads: bool = False  # the view reads the body itself, in pieces
    before: Callable[[], None] | None = None  # called before the body is read; may raise Refused
    body_kinds: tuple[str, ...] = ("application/json",)
    reply: type | None = None  # the msgspec type of a JSON answer
    refusal: type | None = None  # the msgspec type of a refusal; a `Problem` or text if left out
    parameters: tuple[Parameter, ...] = ()
    about: str = ""  # a paragraph for the documentation
