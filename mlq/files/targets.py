"""What predicts the rows of a file: a model, in one version, or any listener."""

from typing import TYPE_CHECKING, Any, NamedTuple

from mlq.core.checks import check_functions, nearest
from mlq.core.model import NAME
from mlq.errors import UnknownModel
from mlq.ops import models as model_ops

if TYPE_CHECKING:
    from mlq.client.blocking import Client


class Target(NamedTuple):
    """What predicts. A listener has no version and no schemas."""

    function: str
    version: str | None = None
    input: dict[str, Any] | None = None
    output: dict[str, Any] | None = None


def target_of(client: "Client", name: str) -> Target:
    """The model `iris`, in the version that most requests get now, or `iris@2`; else the listener of that name.

    Raises InputError, UnknownModel.
    """
    model, at, version = name.partition("@")
    if NAME.fullmatch(model) and (NAME.fullmatch(version) or not at):
        try:
            info = client.model(model, version or None).info()
        except UnknownModel:
            if at and client._shell.run(model_ops.versions(client._keys, model)).infos:  # noqa: SLF001 - as the client
                raise  # the model is known, and the error names its versions
        else:
            return Target(info.function, info.version, info.input, info.output)
    function = str(*(check_functions([name]) or ()))
    functions = {one for worker in client.workers() for one in worker.get("functions", "").split(",") if one}
    if function in functions:
        return Target(function)
    models = client._shell.run(model_ops.names(client._keys))  # noqa: SLF001
    hint = nearest(name, sorted({*models, *(one for one in functions if "@" not in one)}))
    raise UnknownModel(
        f"no worker has ever hosted a model {name!r:.80} in namespace {client.namespace!r}, and no live worker has "
        f"such a listener{hint}"
    )
