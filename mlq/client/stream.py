"""Partial results of a job as they come: returned by `stream()` of a handle."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from mlq.client.arguments import value_of
from mlq.core import codec
from mlq.ops.following import Followed

if TYPE_CHECKING:
    from mlq.client.aio import AsyncMLQ
    from mlq.client.blocking import Client


class _Reading:
    """What both twins share: extracting chunks from what `follow` yields."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.attempt: int = 0  # the run that the last chunk came from; when it changes, earlier chunks are obsolete

    def _chunks(self, news: Followed) -> Iterator[Any]:
        for said in news.entries:
            if said.kind == "chunk":
                self.attempt = said.attempt
                yield codec.unpack(said.data)
        if news.ended is not None:
            value_of(self.id, news.ended, original=True)  # raises if the job failed or was cancelled


class Stream(_Reading):
    """Iterate to get a job's partial results, from the first one on, until it ends; raises as `result` does."""

    def __init__(self, client: "Client", job_id: str) -> None:
        """Contacts the server only when iterated over."""
        super().__init__(job_id)
        self._client = client

    def __iter__(self) -> Iterator[Any]:
        """From the start."""
        for news in self._client.follow(self.id):
            yield from self._chunks(news)


class AsyncStream(_Reading):
    """The same with `async for`."""

    def __init__(self, client: "AsyncMLQ", job_id: str) -> None:
        """Contacts the server only when iterated over."""
        super().__init__(job_id)
        self._client = client

    async def __aiter__(self) -> AsyncIterator[Any]:
        """From the start."""
        async for news in self._client.follow(self.id):
            for chunk in self._chunks(news):
                yield chunk
