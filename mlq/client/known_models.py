"""What a client knows of the models that others host, and what may be done with their versions."""

import time
from collections.abc import Callable

from mlq.client.json_schema import Checker
from mlq.core.checks import nearest
from mlq.core.model import ModelInfo
from mlq.core.shadow import Shadow
from mlq.core.versions import Versions, by_version, chosen
from mlq.errors import InputError, UnknownModel

FRESH = 5.0  # seconds for which a model's description is used without asking the server again
REMEMBERED = 1000  # models; beyond that, all are asked for again


class Known:
    """The descriptions of models that a client has read lately, and the checkers of their inputs."""

    def __init__(self) -> None:
        """None yet."""
        self._versions: dict[str, tuple[float, Versions]] = {}
        self._checkers: dict[str, tuple[ModelInfo, Checker]] = {}
        self._own: dict[str, ModelInfo] = {}

    def fresh(self, name: str, version: str | None) -> Versions | None:
        """The versions of a model, if they were read lately and this one is among them."""
        at, found = self._versions.get(name, (0.0, Versions([])))
        there = any(version in (None, info.version) for info in found.infos)
        return found if there and time.monotonic() - at < FRESH else None

    def add_own(self, info: ModelInfo) -> None:
        """Note a model that this process hosts: its worker may not have described it to the server yet."""
        self._own[info.function] = info
        self.forget(info.name)

    def forget(self, name: str) -> None:
        """Have the versions of a model read again: something about them was changed here."""
        self._versions.pop(name, None)

    def remember(self, name: str, found: Versions) -> Versions:
        """What the server has just told, and what this process knows itself."""
        there = {info.function for info in found.infos}
        own = [info for info in self._own.values() if info.name == name and info.function not in there]
        found = found._replace(infos=by_version(found.infos + own)) if own else found
        if len(self._versions) >= REMEMBERED:
            self._versions.clear()
            self._checkers.clear()
        self._versions[name] = time.monotonic(), found
        return found

    def checker(self, info: ModelInfo) -> Checker:
        """Checks inputs of a model. Raises InputError."""
        known = self._checkers.get(info.function)
        if known is None or known[0].input != info.input:
            known = self._checkers[info.function] = info, Checker(info.input, f"the input of {info.name}")
        return known[1]


def unknown(error: UnknownModel, name: str, names: list[str]) -> UnknownModel:
    """The error, with the nearest name that exists."""
    hint = "" if name in names else nearest(name, names)
    return UnknownModel(f"{error}{hint}") if hint else error


def check_whole(version: str | None) -> None:
    """Traffic and shadow are those of a model. Raises InputError if a version is named."""
    if version is not None:
        raise InputError("traffic and shadow concern all versions of a model: name no version")


def check_unused(
    found: Versions, name: str, version: str | None, is_hosted: Callable[[ModelInfo], bool], namespace: str,
    shadow: Shadow | None,
) -> bool:  # fmt: skip
    """Check that a version may be forgotten; returns whether there are others. Raises InputError, UnknownModel."""
    if version is None:
        raise InputError(f"which version of {name} is to be forgotten? name it")
    info = chosen(found, name, version, namespace)
    if is_hosted(info):
        raise InputError(f"a worker hosts version {version} of {name}: it would be known again at once")
    if version == found.traffic.default or version in found.traffic.shares:
        raise InputError(f"version {version} of {name} gets requests: change the traffic first")
    if shadow is not None and shadow.version == version and shadow.share:
        raise InputError(f"version {version} of {name} is its shadow: turn that off first")
    return len(found.infos) > 1
