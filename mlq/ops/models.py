"""Ops on descriptions of models: workers keep them, clients read them."""

from mlq.core.keys import Keys
from mlq.core.model import ModelInfo, names_in, parsed
from mlq.ops import Op, nothing


def describe(keys: Keys, packed: str) -> tuple[Op[None], Op[None]]:
    """Keep the description of one version of a model. The same ops again change nothing."""
    info = ModelInfo.parse(packed.encode())
    return (
        Op(("HSET", keys.model + info.name, info.version, packed), nothing),
        Op(("SADD", keys.models, info.name), nothing),
    )


def versions(keys: Keys, name: str) -> Op[list[ModelInfo]]:
    """All versions of a model, newest first; none if it is unknown."""
    return Op(("HVALS", keys.model + name), parsed, about=f"model {name}")


def names(keys: Keys) -> Op[list[str]]:
    """The names of all models that were ever hosted."""
    return Op(("SMEMBERS", keys.models), names_in, about="the models")
