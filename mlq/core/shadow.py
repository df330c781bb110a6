"""Shadows: a version of a model that predicts beside the others, without answering, and is compared with them."""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mlq.core import codec
from mlq.core.job import text
from mlq.core.model import LIMIT, NAME, check_model_name
from mlq.errors import InputError, Undecodable

TOLERANCE = 1e-6  # relative: floats that differ by less are alike
SHOWN = 300  # characters of an output in a difference
COUNTED = ("same", "different", "failed", "dropped")


class Shadow(NamedTuple):
    """Which version is the shadow of a model."""

    version: str
    share: float  # of the successful predictions of the other versions; 0 where it was turned off

    @classmethod
    def of(cls, version: str, share: float) -> "Shadow":
        """Check what a user gave. Raises InputError."""
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise InputError(f"the share of a shadow must be above 0 and at most 1 (100%), not {share!r:.80}")
        return cls(check_model_name("version", version), float(share))

    @classmethod
    def parse(cls, packed: bytes) -> "Shadow | None":
        """What is stored; None if that is damaged."""
        try:
            found = json.loads(packed if len(packed) <= LIMIT else b"")
            version, share = found["version"], found["share"]
            return cls(check_model_name("version", version), 0.0) if share == 0 else cls.of(version, share)
        except (InputError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def packed(self) -> str:
        """As it is stored."""
        return json.dumps(self._asdict())


def settings_in(found: Mapping[str, bytes]) -> dict[str, Shadow]:
    """The shadows by the names of their models; those that are damaged are left out."""
    read = {name: Shadow.parse(packed) for name, packed in found.items() if NAME.fullmatch(name)}
    return {name: shadow for name, shadow in read.items() if shadow is not None}


class Sample(NamedTuple):
    """A prediction that a caller got, for a shadow to repeat."""

    job_id: str
    message: bytes  # its input, packed
    result: bytes  # its output, packed

    def packed(self) -> bytes:
        """As it waits."""
        return codec.pack(list(self))

    @classmethod
    def parse(cls, packed: bytes) -> "Sample":
        """Raises Undecodable."""
        found = codec.unpack(packed)
        if not isinstance(found, list) or list(map(type, found)) != [str, bytes, bytes]:
            raise Undecodable("this is no prediction for a shadow")
        return cls(*found)


class Difference(NamedTuple):
    """A prediction for which a shadow gave something else."""

    job_id: str
    output: str  # that the caller got: JSON, cut if it is long
    shadow_output: str

    def packed(self) -> str:
        """As it is stored."""
        return json.dumps(list(self))

    @classmethod
    def parse(cls, packed: bytes) -> "Difference":
        """Raises ValueError if it is damaged."""
        found = json.loads(packed)
        if not isinstance(found, list) or len(found) != len(cls._fields) or not all(isinstance(x, str) for x in found):
            raise ValueError("no difference")
        return cls(*found)


class ShadowState(NamedTuple):
    """The shadow of a model, and how it compares so far."""

    model: str
    version: str
    share: float  # of the successful predictions of the other versions; 0 where it was turned off
    compared: int = 0  # predictions that it repeated
    different: int = 0  # of these, the ones for which it gave something else
    failed: int = 0  # that it could not repeat: it raised, crashed or took too long
    dropped: int = 0  # chosen, but not repeated: too many came, or they were too large
    last: tuple[Difference, ...] = ()  # the last differences, newest first
    idle: str | None = None  # why no live worker runs it; None if one does

    @property
    def same(self) -> int:
        """Predictions for which it gave the same."""
        return self.compared - self.different


def state_of(
    model: str, shadow: Shadow, counts: Mapping[str, bytes], last: list[bytes], idle: str | None
) -> ShadowState:
    """The state by what is stored; damaged parts count as nothing."""
    same, different, failed, dropped = (_whole(counts.get(name)) for name in COUNTED)
    kept = tuple(one for one in map(_difference, last) if one is not None)
    return ShadowState(model, *shadow, same + different, different, failed, dropped, kept, idle)


def _whole(stored: bytes | None) -> int:
    words = text(stored) or ""
    return int(words) if words.isascii() and words.isdigit() else 0


def _difference(packed: bytes) -> Difference | None:
    try:
        return Difference.parse(packed)
    except (ValueError, RecursionError):
        return None


def compared(sample: Sample, result: bytes) -> Difference | None:
    """Compare what a caller got with what a shadow gave; None if they are alike. Raises Undecodable."""
    if sample.result == result:
        return None
    theirs, own = codec.unpack(sample.result), codec.unpack(result)
    try:
        if alike(theirs, own):
            return None
    except (RecursionError, ValueError):  # such as arrays, which no model that declares its output gives
        pass
    return Difference(sample.job_id, shown(theirs), shown(own))


def alike(one: Any, other: Any) -> bool:
    """Whether two outputs are the same JSON, with floats up to `TOLERANCE`. A boolean is no number."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if _is_number(one) and _is_number(other):
        return _close(one, other)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _close(one: float, other: float) -> bool:
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    return math.isclose(one, other, rel_tol=TOLERANCE) or (math.isnan(one) and math.isnan(other))


def shown(value: Any) -> str:
    """A value as JSON for people, cut if it is long."""
    try:
        words = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        words = repr(type(value))
    return words if len(words) <= SHOWN else f"{words[:SHOWN]}..."
