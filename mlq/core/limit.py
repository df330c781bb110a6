"""Limits: how many jobs may run or start, and how many may wait, for a queue, a function, a resource or a share."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]

from mlq.core.checks import QUEUE_LIMIT, check_count, check_functions, check_queue, check_share, printable
from mlq.errors import InputError

KINDS = ("queue", "function", "resource", "share")  # of gates
MOST_STARTS = 10_000  # in the time of a rate: the server keeps the time of each
MOST_USED = 20  # resources of one listener: each costs a claim of its jobs some us
UNITS = {"s": 1, "m": 60, "h": 3600}

_RATE = re.compile(r"([1-9][0-9]{0,4})/([smh])")


class Gate(NamedTuple):
    """What can be limited or paused: everything that is of one queue, function, resource or share."""

    kind: str
    name: str

    @classmethod
    def of(
        cls,
        queue: object = None,
        function: object = None,
        resource: object = None,
        share: object = None,
    ) -> "Gate":
        """The gate that a user names, by exactly one of these. Raises InputError."""
        given = {"queue": queue, "function": function, "resource": resource, "share": share}
        named = [(kind, name) for kind, name in given.items() if name is not None]
        if len(named) != 1:
            raise InputError(f"name one queue, function, resource or share, not {len(named)} of them")
        kind, name = named[0]
        return cls(kind, check_gate_name(kind, name))

    def __str__(self) -> str:
        """As it is stored: `function:embed`."""
        return f"{self.kind}:{self.name}"

    @property
    def words(self) -> str:
        """As people read it: `function 'embed'`."""
        return f"{self.kind} {self.name!r}"

    @classmethod
    def parse(cls, stored: str) -> "Gate | None":
        """What is stored; None if that is damaged."""
        kind, colon, name = stored.partition(":")
        return cls(kind, name) if kind in KINDS and colon and name else None


def check_gate_name(kind: str, name: object) -> str:
    """The name of a queue, function, resource or share. Raises InputError."""
    if kind == "queue":
        return check_queue(name)
    if kind == "function":
        if callable(name) and hasattr(name, "__name__"):
            raise InputError(f"function must be a name, such as {name.__name__!r}, not the function itself")
        return (check_functions([name]) or [""])[0]
    if kind == "share":
        return check_share(name) or ""
    if not isinstance(name, str) or not printable(name, QUEUE_LIMIT) or "," in name:
        raise InputError(
            f"{kind} must be a string of 1 to {QUEUE_LIMIT} printable characters without comma, not {name!r:.80}"
        )
    return name


def check_uses(uses: object) -> tuple[str, ...]:
    """The resources that a listener uses: one name, or several. Raises InputError."""
    if uses is None:
        return ()
    given = [uses] if isinstance(uses, str) else uses
    if not isinstance(given, (list, tuple, set, frozenset)) or len(given) > MOST_USED:
        raise InputError(f"uses must be a resource's name, or a list of up to {MOST_USED}, not {uses!r:.80}")
    return tuple(sorted({check_gate_name("resource", one) for one in given}))


class Limit(NamedTuple):
    """How many jobs of a gate may run or start at most, and how many may wait; None: any number."""

    running: int | None = None  # at a time, on all workers together
    starts: int | None = None  # in any `per` seconds
    per: float | None = None
    length: int | None = None  # jobs that wait in a queue

    @classmethod
    def of(cls, gate: Gate, running: object = None, rate: object = None, length: object = None) -> "Limit":
        """Check what a user gave: `rate` as "60/m". Raises InputError."""
        starts, per = (None, None) if rate is None else _rate(rate)
        if length is not None and gate.kind != "queue":
            raise InputError(f"length is a limit of queues, not of a {gate.kind}")
        made = cls(_count("running", running), starts, per, _count("length", length))
        if made == cls():
            raise InputError("a limit needs running, rate or (of a queue) length; remove_limit removes one")
        return made

    @classmethod
    def parse(cls, packed: bytes) -> "Limit | None":
        """What is stored; None if that is damaged, and so limits nothing."""
        try:
            found: Any = msgpack.unpackb(packed)
            made = cls(**{name: found[name] for name in cls._fields if name in found})
        except (ValueError, TypeError, KeyError, msgpack.UnpackException):
            return None
        numbers = [value for value in made if value is not None]
        return made if numbers and all(type(value) in (int, float) and value > 0 for value in numbers) else None

    def packed(self) -> bytes:
        """As it is stored."""
        packed: bytes = msgpack.packb({name: value for name, value in self._asdict().items() if value is not None})
        return packed

    @property
    def rate(self) -> str | None:
        """As the user writes it: "60/m"."""
        if self.starts is None or self.per is None:
            return None
        unit = next((unit for unit, seconds in UNITS.items() if seconds == self.per), f"{self.per:g}s")
        return f"{self.starts}/{unit}"


def _count(name: str, value: object) -> int | None:
    if value == 0 and not isinstance(value, bool):
        raise InputError(f"{name} must be at least 1; to let nothing begin, pause it instead")
    return check_count(name, value, 1)


def _rate(rate: object) -> tuple[int, int]:
    found = _RATE.fullmatch(rate) if isinstance(rate, str) else None
    if found is None or int(found[1]) > MOST_STARTS:
        raise InputError(
            f"rate must be a number of starts in a second, a minute or an hour, such as '10/s', '60/m' or '500/h', "
            f"with up to {MOST_STARTS:,} starts, not {rate!r:.80}"
        )
    return int(found[1]), UNITS[found[2]]


class Pause(NamedTuple):
    """That a gate is paused."""

    since: float  # seconds since 1970, by the server's clock
    by: str  # who paused it

    @classmethod
    def parse(cls, packed: bytes) -> "Pause":
        """What is stored: a pause in any case, since it holds whoever reads it."""
        try:
            found: Any = msgpack.unpackb(packed)
            return cls(float(found["since"]), str(found["by"]))
        except (ValueError, TypeError, KeyError, msgpack.UnpackException):
            return cls(0.0, "somebody")


class GateState(NamedTuple):
    """A queue, function, resource or share that has a limit, or is paused."""

    gate: Gate
    limit: Limit | None
    paused: Pause | None
    running: int | None  # jobs that hold a place, if their number is limited
    started: int | None  # jobs that began within the time of the rate, if there is one
    opens_in: float | None  # seconds until the rate lets the next job begin; None if it does not keep any back
    holds_back: bool = False  # jobs wait for it

    def as_dict(self) -> Mapping[str, Any]:
        """For JSON."""
        limit = self.limit or Limit()
        return {
            "kind": self.gate.kind, "name": self.gate.name, "limit": {
                "running": limit.running, "rate": limit.rate, "length": limit.length,
            },
            "paused": None if self.paused is None else self.paused._asdict(), "running": self.running,
            "started": self.started, "opens_in": self.opens_in, "holds_back": self.holds_back,
        }  # fmt: skip
