"""The versions of a model, and which of them a request gets that names none."""

import json
import math
import random
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from mlq.core.checks import nearest
from mlq.core.model import LIMIT, ModelInfo, check_model_name
from mlq.errors import InputError, Undecodable, UnknownModel

TRAFFIC = b"#traffic"  # the field of a model's hash that has it; no version may be named like this
STICKY_LIMIT = 1000  # characters


class Traffic(NamedTuple):
    """How the requests are spread that name no version."""

    default: str | None = None  # the version that gets what is left; None: the newest one that is hosted
    shares: Mapping[str, float] = {}  # of all such requests, by version, above 0; together at most 1

    @classmethod
    def of(cls, default: str | None, shares: Mapping[str, float] | None) -> "Traffic":
        """Check what a user gave. Raises InputError."""
        given = {check_model_name("version", version): share for version, share in (shares or {}).items()}
        for version, share in given.items():
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
                raise InputError(f"the share of version {version} must be above 0 and at most 1, not {share!r:.80}")
        if sum(given.values()) > 1 + 1e-9:  # 0.7 + 0.2 + 0.1 is a little more than 1
            raise InputError(f"the shares are {sum(given.values()):.0%} together, and must be at most 100%")
        if default is not None and check_model_name("version", default) in given:
            raise InputError(f"version {default} is the default, which gets what the shares leave: give it no share")
        return cls(default, {version: float(share) for version, share in given.items()})

    @classmethod
    def parse(cls, packed: bytes) -> "Traffic":
        """What is stored; the ordinary traffic if that is damaged, since requests must go somewhere."""
        try:
            found = json.loads(packed if len(packed) <= LIMIT else b"")
            return cls.of(found["default"], found["shares"])
        except (InputError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()

    def packed(self) -> str:
        """As it is stored."""
        return json.dumps({"default": self.default, "shares": dict(self.shares)})

    def at(self, point: float) -> str | None:
        """The version whose share has this point between 0 and 1; None for the default."""
        for version, share in self.shares.items():
            point -= share
            if point < 0:
                return version
        return None


class Versions(NamedTuple):
    """All versions of a model."""

    infos: list[ModelInfo]  # newest first
    traffic: Traffic = Traffic()

    def default(self, is_hosted: Callable[[ModelInfo], bool]) -> ModelInfo:
        """The version that most requests get: the one that was chosen, or the newest one that is hosted, or of all."""
        pinned = next((info for info in self.infos if info.version == self.traffic.default), None)
        if pinned is not None:  # also while nobody hosts it: a request must not get another one by accident
            return pinned
        return next(filter(is_hosted, self.infos), self.infos[0]) if len(self.infos) > 1 else self.infos[0]

    def shares(self, is_hosted: Callable[[ModelInfo], bool]) -> dict[str, float]:
        """Which part of the requests each version gets now: the default gets that of versions that nobody hosts."""
        hosted = {info.version for info in self.infos if is_hosted(info)}
        found = {version: share for version, share in self.traffic.shares.items() if version in hosted}
        if self.infos:
            default = self.default(is_hosted).version
            found[default] = found.get(default, 0.0) + max(0.0, 1 - sum(found.values()))
        return found


def point_of(name: str, sticky: str | None) -> float:
    """Where a request lies between 0 and 1: always at the same point for the same `sticky`, else anywhere.

    The model's name counts, so that it is not the same callers that get the new version of each model.
    """
    if sticky is None:
        return random.random()  # noqa: S311 - no secret
    if not isinstance(sticky, str) or not 0 < len(sticky) <= STICKY_LIMIT:
        raise InputError(f"sticky must be a text of 1 to {STICKY_LIMIT:,} characters, not {sticky!r:.80}")
    return math.ldexp(int.from_bytes(sha256(f"{name}:{sticky}".encode("utf-8", "replace")).digest()[:6]), -48)


def chosen(
    versions: Versions,
    name: str,
    version: str | None,
    namespace: str,
    is_hosted: Callable[[ModelInfo], bool] = lambda _: True,
    point: float = 1.0,
) -> ModelInfo:
    """The version that is named; or else the one whose share has `point`, if it is hosted; or else the default.

    Raises UnknownModel.
    """
    infos, wanted = versions.infos, version if version is not None else versions.traffic.at(point)
    if not infos:
        raise UnknownModel(f"no worker has ever hosted a model {name!r} in namespace {namespace!r}")
    found = next((info for info in infos if info.version == wanted), None)
    if version is None:
        return found if found is not None and is_hosted(found) else versions.default(is_hosted)
    if found is None:
        there = ", ".join(info.version for info in infos)
        hint = nearest(version, [info.version for info in infos])
        raise UnknownModel(f"model {name!r} has no version {version!r:.80}, but {there}{hint}")
    return found


def by_version(infos: list[ModelInfo]) -> list[ModelInfo]:
    """The newest version first: 1.10 comes before 1.9, and 1.0 before 1.0-rc1."""

    def order(info: ModelInfo) -> list[tuple[int, int, str]]:
        parts = re.findall(r"\d+|[^\d.]+", info.version)
        end = (1, -1, "")  # is above what follows a hyphen, and below a further number
        return [*((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts), end]

    return sorted(infos, key=order, reverse=True)


def parsed(reply: list[bytes]) -> Versions:
    """The versions in the reply of HGETALL; those that are damaged are left out."""
    found, traffic = [], Traffic()
    for field, packed in zip(reply[::2], reply[1::2], strict=True):
        if field == TRAFFIC:
            traffic = Traffic.parse(packed)
            continue
        try:
            found.append(ModelInfo.parse(packed))
        except Undecodable:
            continue
    return Versions(by_version(found), traffic)
