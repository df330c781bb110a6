"""Ops on descriptions of models: workers keep them, clients read them."""

from mlq.core.keys import Keys
from mlq.core.model import ModelInfo, names_in
from mlq.core.shadow import Shadow
from mlq.core.versions import TRAFFIC, Traffic, Versions, parsed
from mlq.ops import Op, nothing
from mlq.ops import shadows as shadow_ops


def describe(keys: Keys, packed: str) -> tuple[Op[None], Op[None]]:
    """Keep the description of one version of a model. The same ops again change nothing."""
    info = ModelInfo.parse(packed.encode())
    return (
        Op(("HSET", keys.model + info.name, info.version, packed), nothing),
        Op(("SADD", keys.models, info.name), nothing),
    )


def versions(keys: Keys, name: str) -> Op[Versions]:
    """All versions of a model; none if it is unknown."""
    return Op(("HGETALL", keys.model + name), parsed, about=f"model {name}")


def spread(keys: Keys, name: str, traffic: Traffic) -> Op[None]:
    """Keep how the requests for a model are spread over its versions."""
    return Op(("HSET", keys.model + name, TRAFFIC, traffic.packed()), nothing, about=f"model {name}")


def forget(keys: Keys, name: str, version: str, shadow: Shadow | None) -> list[Op[None]]:
    """Drop what is known of one version, also as the `shadow`. A worker that hosts it describes it again."""
    described = Op(("HDEL", keys.model + name, version), nothing, about=f"model {name}")
    is_shadow = shadow is not None and shadow.version == version
    compared = shadow_ops.forget(keys, f"{name}@{version}")
    return [described, compared, *([shadow_ops.drop(keys, name)] if is_shadow else [])]


def forget_all(keys: Keys, name: str) -> tuple[Op[None], Op[None]]:
    """Drop a model that has no versions."""
    return (
        Op(("DEL", keys.model + name), nothing, about=f"model {name}"),
        Op(("SREM", keys.models, name), nothing),
    )


def names(keys: Keys) -> Op[list[str]]:
    """The names of all models that were ever hosted."""
    return Op(("SMEMBERS", keys.models), names_in, about="the models")
