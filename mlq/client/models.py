"""Clients of hosted models: inputs are checked here against the schema that workers keep with the namespace."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack

from mlq.client.handle import AsyncJobHandle, JobHandle
from mlq.client.json_schema import Checker
from mlq.client.model_states import hosted_by
from mlq.core.checks import nearest
from mlq.core.job_options import ListenerPostOptions, PostOptions
from mlq.core.model import ModelInfo, by_version, check_model_name, chosen
from mlq.errors import JobFailed, UnknownModel, ValidationError
from mlq.ops import models as model_ops

if TYPE_CHECKING:
    from mlq.client.aio import AsyncMLQ
    from mlq.client.blocking import Client

FRESH = 5.0  # seconds for which a model's description is used without asking the server again
REMEMBERED = 1000  # models; beyond that, all are asked for again
TTL = 86400.0  # seconds for which a prediction's result is kept, unless the caller says otherwise


class Known:
    """The descriptions of models that a client has read lately, and the checkers of their inputs."""

    def __init__(self) -> None:
        """None yet."""
        self._versions: dict[str, tuple[float, list[ModelInfo]]] = {}
        self._checkers: dict[str, tuple[ModelInfo, Checker]] = {}
        self._own: dict[str, ModelInfo] = {}

    def fresh(self, name: str, version: str | None) -> list[ModelInfo] | None:
        """The versions of a model, if they were read lately and this one is among them."""
        at, found = self._versions.get(name, (0.0, []))
        there = found if version is None else [info for info in found if info.version == version]
        return found if there and time.monotonic() - at < FRESH else None

    def add_own(self, info: ModelInfo) -> None:
        """Note a model that this process hosts: its worker may not have described it to the server yet."""
        self._own[info.function] = info
        self._versions.pop(info.name, None)

    def remember(self, name: str, found: list[ModelInfo]) -> list[ModelInfo]:
        """What the server has just told, and what this process knows itself."""
        there = {info.function for info in found}
        own = [info for info in self._own.values() if info.name == name and info.function not in there]
        found = by_version(found + own) if own else found
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


def post_options(info: ModelInfo, options: Any) -> dict[str, Any]:
    """The options of the post for a prediction."""
    return {"ttl": TTL, **options, "queue": info.queue, "functions": [info.function]}


def unknown(error: UnknownModel, name: str, names: list[str]) -> UnknownModel:
    """The error, with the nearest name that exists."""
    hint = "" if name in names else nearest(name, names)
    return UnknownModel(f"{error}{hint}") if hint else error


class Prediction(JobHandle[Any]):
    """Stands for one prediction, in any process."""

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the output, up to `timeout` seconds: dicts, lists, numbers and strings, as in JSON.

        Raises WaitTimeout; ValidationError if the model itself refused the input; what the model raised, or JobFailed.
        """
        try:
            return super().result(timeout)
        except JobFailed as error:
            raise refused(error) from error.__cause__


class AsyncPrediction(AsyncJobHandle[Any]):
    """Stands for one prediction, for asyncio."""

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as in the sync twin
        """Wait for the output, as the sync twin does."""
        try:
            return await super().result(timeout)
        except JobFailed as error:
            raise refused(error) from error.__cause__


def refused(error: JobFailed) -> JobFailed | ValidationError:
    """The error of an input that only the model could refuse, in the form in which clients refuse others."""
    is_refusal = error.error_type == f"{ValidationError.__module__}.{ValidationError.__qualname__}"
    return ValidationError(str(error), error.faults) if is_refusal else error


class Model:
    """A hosted model, by name. Neither its class nor its libraries are needed."""

    def __init__(self, client: "Client", name: str, version: str | None = None) -> None:
        """Does not contact the server. `version`: the newest that is hosted if left out. Raises InputError."""
        self._client = client
        self._name = check_model_name("model's name", name)
        self._version = None if version is None else check_model_name("version", version)

    def __repr__(self) -> str:
        """Names the model."""
        return f"<Model {self._name}{f'@{self._version}' if self._version else ''} in {self._client.namespace!r}>"

    def info(self) -> ModelInfo:
        """Its name, version, description and schemas. Raises UnknownModel, ServerError."""
        client = self._client
        found = client._models.fresh(self._name, self._version)  # noqa: SLF001 - a part of the client
        if found is None:
            asked = client._shell.run(model_ops.versions(client._keys, self._name))  # noqa: SLF001
            found = client._models.remember(self._name, asked)  # noqa: SLF001
        try:
            workers = client._recent_workers() if self._version is None and len(found) > 1 else []  # noqa: SLF001
            return chosen(found, self._name, self._version, client.namespace, hosted_by(workers))
        except UnknownModel as error:
            raise unknown(error, self._name, client._shell.run(model_ops.names(client._keys))) from None  # noqa: SLF001

    def submit(self, inputs: Any, /, callback: str | None = None, **options: Unpack[ListenerPostOptions]) -> Prediction:
        """Post one prediction; returns a handle on it. The options are those of `MLQ.submit`.

        `inputs`: a dict, or an instance of the model's own input class. Its result is kept for a day, unless `ttl`
        says otherwise. Raises ValidationError, with all wrong fields in `faults`, before anything is posted;
        UnknownModel; ServerError.
        """
        info = self.info()
        message = self._client._models.checker(info).check(inputs)  # noqa: SLF001
        job = self._client.submit(message, callback, **post_options(info, options))
        return Prediction(self._client, job.reference, warning=job.warning)

    def submit_many(
        self, many: Iterable[Any], /, callback: str | None = None, **options: Unpack[PostOptions]
    ) -> list[Prediction]:
        """Post a prediction for each input, in order; none at all if one of them is wrong. Raises as `submit`."""
        info = self.info()
        check = self._client._models.checker(info).check  # noqa: SLF001
        ids = self._client.post_many([check(one) for one in many], callback, **post_options(info, options))
        return [Prediction(self._client, one) for one in ids]

    def predict(self, inputs: Any, /, timeout: float | None = None) -> Any:
        """Post one prediction and wait for its output, up to `timeout` seconds. Raises as `submit` and `result`."""
        return self.submit(inputs).result(timeout)


class AsyncModel:
    """A hosted model, by name, for asyncio."""

    def __init__(self, client: "AsyncMLQ", name: str, version: str | None = None) -> None:
        """Does not contact the server. `version`: the newest that is hosted if left out. Raises InputError."""
        self._client = client
        self._name = check_model_name("model's name", name)
        self._version = None if version is None else check_model_name("version", version)

    def __repr__(self) -> str:
        """Names the model."""
        return f"<AsyncModel {self._name}{f'@{self._version}' if self._version else ''} in {self._client.namespace!r}>"

    async def info(self) -> ModelInfo:
        """Its name, version, description and schemas. Raises UnknownModel, ServerError."""
        client = self._client
        found = client._models.fresh(self._name, self._version)  # noqa: SLF001 - a part of the client
        if found is None:
            asked = await client._shell.run(model_ops.versions(client._keys, self._name))  # noqa: SLF001
            found = client._models.remember(self._name, asked)  # noqa: SLF001
        try:
            several = self._version is None and len(found) > 1
            workers = await client._recent_workers() if several else []  # noqa: SLF001
            return chosen(found, self._name, self._version, client.namespace, hosted_by(workers))
        except UnknownModel as error:
            names = await client._shell.run(model_ops.names(client._keys))  # noqa: SLF001
            raise unknown(error, self._name, names) from None

    async def submit(
        self, inputs: Any, /, callback: str | None = None, **options: Unpack[ListenerPostOptions]
    ) -> AsyncPrediction:
        """Post one prediction, as the sync twin does."""
        info = await self.info()
        message = self._client._models.checker(info).check(inputs)  # noqa: SLF001
        job = await self._client.submit(message, callback, **post_options(info, options))
        return AsyncPrediction(self._client, job.reference, warning=job.warning)

    async def submit_many(
        self, many: Iterable[Any], /, callback: str | None = None, **options: Unpack[PostOptions]
    ) -> list[AsyncPrediction]:
        """Post one prediction for each input, as the sync twin does."""
        info = await self.info()
        check = self._client._models.checker(info).check  # noqa: SLF001
        ids = await self._client.post_many([check(one) for one in many], callback, **post_options(info, options))
        return [AsyncPrediction(self._client, one) for one in ids]

    async def predict(self, inputs: Any, /, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as in the sync twin
        """Post one prediction and wait for its output, as the sync twin does."""
        return await (await self.submit(inputs)).result(timeout)
