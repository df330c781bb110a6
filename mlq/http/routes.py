"""The shape of a route: what is asked for, who may, and what is said of it in the OpenAPI document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from flask import Response


class Role(IntEnum):
    """What a token allows; each role may do what the ones before it may."""

    NOBODY = 0  # no token at all
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
    path: str  # as Flask writes it: /jobs/<job_id>
    view: Callable[..., Response]
    role: Role
    summary: str
    answers: Mapping[int, str]  # status: what it means
    group: str = "Jobs"
    body: type | None = None  # the msgspec type of a JSON body
    before: Callable[[], None] | None = None  # raises Refused where the body need not be read
    body_kinds: tuple[str, ...] = ("application/json",)
    reply: type | None = None  # the msgspec type of a JSON answer
    parameters: tuple[Parameter, ...] = ()
    about: str = ""  # a paragraph for the documentation
