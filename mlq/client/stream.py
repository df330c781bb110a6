"""What a job reports as it comes: its partial results (`stream()` of a handle), or all of it (`follow()`)."""

import math
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from mlq.client.arguments import value_of
from mlq.core import codec
from mlq.core.progress import reported_of
from mlq.core.states import State
from mlq.ops.following import Followed

if TYPE_CHECKING:
    from mlq.client.aio import AsyncMLQ
    from mlq.client.blocking import Client


class Update(NamedTuple):
    """What is new about a job, and how it stands."""

    state: State
    progress: Any  # what the listener reported last, also after the end; None if nothing; of a pipeline a `Progress`
    attempt: int  # 0 before the first; when it rises, the earlier partial results are void
    chunks: list[Any]  # new partial results
    logs: str  # what the job has printed and logged since the last update, in whole lines


class Updates:
    """Makes updates of what a client's `follow` yields. Logs come in whole lines."""

    def __init__(self, every: float | None) -> None:
        """`every`: seconds after which an update comes even if nothing is new."""
        self._every = math.inf if every is None else every
        self._begun = b""  # a line whose end has not come yet
        self._last: tuple[State, int, bytes] | None = None
        self._at = 0.0  # when the last update came

    def of(self, news: Followed) -> Iterator[Update]:
        """The update of some news; none if the only news is a part of a line."""
        update, now = self._update(news), time.monotonic()
        last, self._last = self._last, (news.state, news.attempt, news.progress)
        shown = update.chunks or update.logs or news.ended is not None or self._last != last
        if shown or not news.entries or now - self._at >= self._every:
            self._at = now
            yield update

    def _update(self, news: Followed) -> Update:
        chunks = [codec.unpack(entry.data) for entry in news.entries if entry.kind == "chunk"]
        logs = self._begun + b"".join(entry.data for entry in news.entries if entry.kind == "log")
        end = len(logs) if news.ended is not None else logs.rfind(b"\n") + 1
        self._begun = logs[end:]
        progress = reported_of(news.state, news.progress)
        return Update(news.state, progress, news.attempt, chunks, logs[:end].decode("utf-8", "replace"))


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
