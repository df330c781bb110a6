"""What the clients of a model offer on its shadow: set it, turn it off, and see how it compares."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlq.client.known_models import check_whole
from mlq.client.unserved import Worker, can_serve, missing
from mlq.core.model import ModelInfo
from mlq.core.shadow import Shadow, ShadowState, state_of
from mlq.core.versions import Versions, chosen
from mlq.errors import MLQError
from mlq.ops import Op
from mlq.ops import shadows as shadow_ops

if TYPE_CHECKING:
    from mlq.client.aio import AsyncMLQ
    from mlq.client.blocking import Client
    from mlq.core.keys import Keys

POOL = "process"  # the only pool whose workers run shadows: in a child of their own, which can be killed


class Shadowed:
    """The part of `Model` that is about its shadow."""

    _client: "Client"
    _name: str
    _version: str | None
    _read: Callable[[], Versions]

    def set_shadow(self, version: str | None, share: float = 1.0) -> None:
        """Have a version repeat a share of the predictions of the others, until the next call; None turns that off.

        Its outputs answer nobody: they are compared with those that callers got. `share`: of the successful predictions
        of the other versions. Workers follow within 5 s. Raises InputError; UnknownModel; ServerError.
        """
        client, keys = self._client, self._client._keys  # noqa: SLF001 - a part of the client
        wanted = _checked(self._version, version, share)
        chosen(self._read(), self._name, version, client.namespace)
        before = client._shell.run(shadow_ops.settings(keys)).get(self._name)  # noqa: SLF001
        if (new := wanted or _off(before)) is not None:
            client._shell.run(shadow_ops.put(keys, self._name, new))  # noqa: SLF001

    def shadow(self) -> ShadowState | None:
        """The version that is its shadow, and how it compares; None if none was ever set. Raises ServerError."""
        client, keys = self._client, self._client._keys  # noqa: SLF001
        shadow = client._shell.run(shadow_ops.settings(keys)).get(self._name)  # noqa: SLF001
        if shadow is None:
            return None
        counts, last = client._shell.run_many(figures_of(keys, self._name, shadow))  # noqa: SLF001
        return state_of(self._name, shadow, counts, last, idle(self._name, shadow, self._read(), client.workers()))


class AsyncShadowed:
    """The part of `AsyncModel` that is about its shadow."""

    _client: "AsyncMLQ"
    _name: str
    _version: str | None
    _read: Callable[[], Any]

    async def set_shadow(self, version: str | None, share: float = 1.0) -> None:
        """Have a version repeat a share of the predictions of the others, as the sync twin does."""
        client, keys = self._client, self._client._keys  # noqa: SLF001
        wanted = _checked(self._version, version, share)
        chosen(await self._read(), self._name, version, client.namespace)
        before = (await client._shell.run(shadow_ops.settings(keys))).get(self._name)  # noqa: SLF001
        if (new := wanted or _off(before)) is not None:
            await client._shell.run(shadow_ops.put(keys, self._name, new))  # noqa: SLF001

    async def shadow(self) -> ShadowState | None:
        """The version that is its shadow, and how it compares, as the sync twin tells."""
        client, keys = self._client, self._client._keys  # noqa: SLF001
        shadow = (await client._shell.run(shadow_ops.settings(keys))).get(self._name)  # noqa: SLF001
        if shadow is None:
            return None
        counts, last = await client._shell.run_many(figures_of(keys, self._name, shadow))  # noqa: SLF001
        workers = await client.workers()
        return state_of(self._name, shadow, counts, last, idle(self._name, shadow, await self._read(), workers))


def figures_of(keys: "Keys", model: str, shadow: Shadow) -> tuple[Op[Any], Op[Any]]:
    """Ops that read the figures of a shadow."""
    return shadow_ops.figures(keys, f"{model}@{shadow.version}")


def states_in(shadows: Mapping[str, Shadow], replies: Sequence[Callable[[], Any]]) -> list[ShadowState]:
    """The states of these shadows, by two replies for each; those that can't be read are left out."""
    found = []
    for place, (model, shadow) in enumerate(shadows.items()):
        with suppress(MLQError):  # such as a key of another type, which must not hide the others
            found.append(state_of(model, shadow, replies[2 * place](), replies[2 * place + 1](), None))
    return found


def _checked(named: str | None, version: str | None, share: float) -> Shadow | None:
    """What is to be set; None for nothing. Raises InputError."""
    check_whole(named)
    return None if version is None else Shadow.of(version, share)


def _off(before: Shadow | None) -> Shadow | None:
    """A shadow that is turned off: its figures stay."""
    return before and before._replace(share=0.0)


def idle(model: str, shadow: Shadow, versions: Versions, workers: Sequence[Worker]) -> str | None:
    """Why no live worker runs the shadow; None if one does, or if it was turned off."""
    info = next((one for one in versions.infos if one.version == shadow.version), None)
    if shadow.share == 0 or (info is not None and any(_runs(worker, info) for worker in workers)):
        return None
    if info is None:
        return f"version {shadow.version} of {model} is not known any more"
    lacking = missing(f"{info.queue}:{info.function}", workers, "")
    return (
        f"no live worker hosts {info.function}" if lacking else f"no worker with the {POOL} pool hosts {info.function}"
    )


def _runs(worker: Worker, info: ModelInfo) -> bool:
    return worker.get("pool") == POOL and can_serve(worker, f"{info.queue}:{info.function}")
