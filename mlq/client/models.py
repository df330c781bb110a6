"""Clients of hosted models: inputs are checked here against the schema that workers keep with the namespace."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from mlq.client.handle import AsyncJobHandle, JobHandle
from mlq.client.known_models import check_unused, check_whole, unknown
from mlq.client.model_states import hosted_by
from mlq.client.shadows import AsyncShadowed, Shadowed
from mlq.core.job_options import ListenerPostOptions, PostOptions
from mlq.core.model import ModelInfo, check_model_name
from mlq.core.versions import Traffic, Versions, chosen, point_of
from mlq.errors import JobFailed, UnknownModel, ValidationError
from mlq.ops import models as model_ops
from mlq.ops import shadows as shadow_ops

if TYPE_CHECKING:
    from mlq.client.aio import AsyncMLQ
    from mlq.client.blocking import Client

TTL = 86400.0  # seconds for which a prediction's result is kept, unless the caller says otherwise


def post_options(info: ModelInfo, options: Any) -> dict[str, Any]:
    """The options of the post for a prediction."""
    return {"ttl": TTL, **options, "queue": info.queue, "functions": [info.function]}


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


class Model(Shadowed):
    """A hosted model, by name. Neither its class nor its libraries are needed."""

    def __init__(self, client: "Client", name: str, version: str | None = None) -> None:
        """Does not contact the server. `version`: as the traffic says if left out. Raises InputError."""
        self._client = client
        self._name = check_model_name("model's name", name)
        self._version = None if version is None else check_model_name("version", version)

    def __repr__(self) -> str:
        """Names the model."""
        return f"<Model {self._name}{f'@{self._version}' if self._version else ''} in {self._client.namespace!r}>"

    def info(self) -> ModelInfo:
        """Its name, version, description and schemas: of the default, if no version is named.

        Raises UnknownModel, ServerError.
        """
        return self._at(1.0)

    def version_for(self, sticky: str | None = None) -> ModelInfo:
        """The version that a request gets, by the traffic; always the same one for the same `sticky`.

        Raises InputError, UnknownModel, ServerError.
        """
        return self._at(point_of(self._name, sticky))

    def _at(self, point: float) -> ModelInfo:
        client = self._client
        found = client._models.fresh(self._name, self._version) or self._read()  # noqa: SLF001 - a part of the client
        several = self._version is None and len(found.infos) > 1
        workers = client._recent_workers() if several else []  # noqa: SLF001
        try:
            return chosen(found, self._name, self._version, client.namespace, hosted_by(workers), point)
        except UnknownModel as error:
            raise unknown(error, self._name, client._shell.run(model_ops.names(client._keys))) from None  # noqa: SLF001

    def _read(self) -> Versions:
        client = self._client
        asked = client._shell.run(model_ops.versions(client._keys, self._name))  # noqa: SLF001
        found: Versions = client._models.remember(self._name, asked)  # noqa: SLF001
        return found

    def traffic(self) -> Traffic:
        """How requests that name no version are spread over the versions of this model. Raises ServerError."""
        return self._read().traffic

    def set_traffic(self, default: str | None = None, shares: Mapping[str, float] | None = None) -> None:
        """Spread the requests that name no version, until the next call; clients follow within 5 s.

        `default`: the version that gets them, or the newest that is hosted if left out. `shares`: of all requests, by
        version, for others, such as `{"3": 0.1}`. Jobs that were posted stay with their version. Raises InputError;
        UnknownModel; ServerError.
        """
        check_whole(self._version)
        traffic, found, client = Traffic.of(default, shares), self._read(), self._client
        for version in (*([] if default is None else [default]), *traffic.shares):
            chosen(found, self._name, version, client.namespace)
        client._shell.run(model_ops.spread(client._keys, self._name, traffic))  # noqa: SLF001
        client._models.forget(self._name)  # noqa: SLF001

    def forget(self) -> None:
        """Drop what the namespace knows of this version. Its jobs stay.

        Raises InputError if no version is named, or it is still hosted or gets requests; UnknownModel; ServerError.
        """
        found, client = self._read(), self._client
        shadow = client._shell.run(shadow_ops.settings(client._keys)).get(self._name)  # noqa: SLF001
        left = check_unused(found, self._name, self._version, hosted_by(client.workers()), client.namespace, shadow)
        client._shell.run_many(model_ops.forget(client._keys, self._name, self._version or "", shadow))  # noqa: SLF001
        if not left:
            client._shell.run_many(model_ops.forget_all(client._keys, self._name))  # noqa: SLF001
        client._models.forget(self._name)  # noqa: SLF001

    def submit(
        self, inputs: Any, /, callback: str | None = None, *, sticky: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> Prediction:  # fmt: skip
        """Post one prediction; returns a handle on it. The options are those of `MLQ.submit`.

        `inputs`: a dict, or an instance of the model's own input class. `sticky`: if requests are spread over versions,
        those with the same text get the same one, such as those of one user. The output is kept for a day, unless
        `ttl` says otherwise. Raises ValidationError, with all wrong fields in `faults`, before anything is posted;
        UnknownModel; ServerError.
        """
        info = self.version_for(sticky)
        message = self._client._models.checker(info).check(inputs)  # noqa: SLF001
        job = self._client.submit(message, callback, **post_options(info, options))
        return Prediction(self._client, job.reference, warning=job.warning, new=job.new)

    def submit_many(
        self, many: Iterable[Any], /, callback: str | None = None, *, sticky: str | None = None,
        **options: Unpack[PostOptions],
    ) -> list[Prediction]:  # fmt: skip
        """Post a prediction for each input, in order, all to one version; none at all if one of them is wrong.

        Raises as `submit`.
        """
        info = self.version_for(sticky)
        check = self._client._models.checker(info).check  # noqa: SLF001
        ids = self._client.post_many([check(one) for one in many], callback, **post_options(info, options))
        return [Prediction(self._client, one) for one in ids]

    def predict(self, inputs: Any, /, timeout: float | None = None, *, sticky: str | None = None) -> Any:
        """Post one prediction and wait for its output, up to `timeout` seconds. Raises as `submit` and `result`."""
        return self.submit(inputs, sticky=sticky).result(timeout)


class AsyncModel(AsyncShadowed):
    """A hosted model, by name, for asyncio."""

    def __init__(self, client: "AsyncMLQ", name: str, version: str | None = None) -> None:
        """Does not contact the server. `version`: as the traffic says if left out. Raises InputError."""
        self._client = client
        self._name = check_model_name("model's name", name)
        self._version = None if version is None else check_model_name("version", version)

    def __repr__(self) -> str:
        """Names the model."""
        return f"<AsyncModel {self._name}{f'@{self._version}' if self._version else ''} in {self._client.namespace!r}>"

    async def info(self) -> ModelInfo:
        """Its name, version, description and schemas: of the default, if no version is named.

        Raises UnknownModel, ServerError.
        """
        return await self._at(1.0)

    async def version_for(self, sticky: str | None = None) -> ModelInfo:
        """The version that a request gets, as the sync twin tells."""
        return await self._at(point_of(self._name, sticky))

    async def _at(self, point: float) -> ModelInfo:
        client = self._client
        found = client._models.fresh(self._name, self._version) or await self._read()  # noqa: SLF001
        several = self._version is None and len(found.infos) > 1
        workers = await client._recent_workers() if several else []  # noqa: SLF001
        try:
            return chosen(found, self._name, self._version, client.namespace, hosted_by(workers), point)
        except UnknownModel as error:
            names = await client._shell.run(model_ops.names(client._keys))  # noqa: SLF001
            raise unknown(error, self._name, names) from None

    async def _read(self) -> Versions:
        client = self._client
        asked = await client._shell.run(model_ops.versions(client._keys, self._name))  # noqa: SLF001
        found: Versions = client._models.remember(self._name, asked)  # noqa: SLF001
        return found

    async def traffic(self) -> Traffic:
        """How requests that name no version are spread, as the sync twin tells."""
        return (await self._read()).traffic

    async def set_traffic(self, default: str | None = None, shares: Mapping[str, float] | None = None) -> None:
        """Spread the requests that name no version, as the sync twin does."""
        check_whole(self._version)
        traffic, found, client = Traffic.of(default, shares), await self._read(), self._client
        for version in (*([] if default is None else [default]), *traffic.shares):
            chosen(found, self._name, version, client.namespace)
        await client._shell.run(model_ops.spread(client._keys, self._name, traffic))  # noqa: SLF001
        client._models.forget(self._name)  # noqa: SLF001

    async def forget(self) -> None:
        """Drop what the namespace knows of this version, as the sync twin does."""
        found, client = await self._read(), self._client
        shadow = (await client._shell.run(shadow_ops.settings(client._keys))).get(self._name)  # noqa: SLF001
        is_hosted = hosted_by(await client.workers())
        left = check_unused(found, self._name, self._version, is_hosted, client.namespace, shadow)
        ops = model_ops.forget(client._keys, self._name, self._version or "", shadow)  # noqa: SLF001
        await client._shell.run_many(ops)  # noqa: SLF001
        if not left:
            await client._shell.run_many(model_ops.forget_all(client._keys, self._name))  # noqa: SLF001
        client._models.forget(self._name)  # noqa: SLF001

    async def submit(
        self, inputs: Any, /, callback: str | None = None, *, sticky: str | None = None,
        **options: Unpack[ListenerPostOptions],
    ) -> AsyncPrediction:  # fmt: skip
        """Post one prediction, as the sync twin does."""
        info = await self.version_for(sticky)
        message = self._client._models.checker(info).check(inputs)  # noqa: SLF001
        job = await self._client.submit(message, callback, **post_options(info, options))
        return AsyncPrediction(self._client, job.reference, warning=job.warning, new=job.new)

    async def submit_many(
        self, many: Iterable[Any], /, callback: str | None = None, *, sticky: str | None = None,
        **options: Unpack[PostOptions],
    ) -> list[AsyncPrediction]:  # fmt: skip
        """Post one prediction for each input, as the sync twin does."""
        info = await self.version_for(sticky)
        check = self._client._models.checker(info).check  # noqa: SLF001
        ids = await self._client.post_many([check(one) for one in many], callback, **post_options(info, options))
        return [AsyncPrediction(self._client, one) for one in ids]

    async def predict(
        self,
        inputs: Any,
        /,
        timeout: float | None = None,  # noqa: ASYNC109 - as in the sync twin
        *,
        sticky: str | None = None,
    ) -> Any:
        """Post one prediction and wait for its output, as the sync twin does."""
        return await (await self.submit(inputs, sticky=sticky)).result(timeout)
