"""The results of the jobs that an attempt comes after, read when they are needed."""

from collections.abc import AsyncIterator, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from mlq.client.arguments import PAGE, value_of
from mlq.core.job import text
from mlq.core.job_options import JobOptions
from mlq.core.states import FINISHED
from mlq.errors import JobCancelled, JobFailed, UnknownJob
from mlq.running.aside import aside

if TYPE_CHECKING:
    from mlq.running.context import Channel


class Results(Sequence[Any]):
    """A sequence of results, in the order of the jobs: read page by page, so that any number of them fits into memory.

    With `on_failure="run"`, a JobFailed or JobCancelled is in the place of a result that is missing.
    """

    def __init__(self, channel: "Channel", options: JobOptions) -> None:
        """Nothing is read yet."""
        self._channel = channel
        self._after = options.after
        self._runs = options.on_failure == "run"
        self._joins = options.part is not None and options.part.joins

    def __repr__(self) -> str:
        """How many there are."""
        return f"<Results of {len(self)} jobs>"

    @cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        if self._joins:
            return self._channel.parts()
        return [(int(one), int(one)) for one in self._after or ()]

    def __len__(self) -> int:
        """How many jobs there are, whatever became of them."""
        return sum(last - first + 1 for first, last in self._ranges)

    def __iter__(self) -> Iterator[Any]:
        """Read all of them, in order."""
        for fields in self._read(self._ids(0, len(self))):
            yield self._result(fields)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """The same for `async def` listeners: the others on the event loop go on while a page is read."""
        pages = await aside(lambda: self._pages(self._ids(0, len(self))))
        while (page := await aside(lambda: next(pages, None))) is not None:
            for fields in page:
                yield self._result(fields)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        """One result, or a list of several."""
        count = len(self)
        if isinstance(at, slice):
            numbers = range(*at.indices(count))
            if numbers.step == 1:
                return [self._result(fields) for fields in self._read(self._ids(numbers.start, numbers.stop))]
            return [self[i] for i in numbers]
        if not -count <= at < count:
            raise IndexError(f"there are {count} results, none with the number {at}")
        return self._result(next(self._read(self._ids(at % count, at % count + 1))))

    @property
    def failed(self) -> dict[int, Exception]:
        """Those that are missing, by their number: reads all of them."""
        return {number: result for number, result in enumerate(self) if isinstance(result, (JobFailed, JobCancelled))}

    def _ids(self, start: int, stop: int) -> Iterator[str]:
        passed = 0
        for first, last in self._ranges:
            for number in range(max(start, passed), min(stop, passed + last - first + 1)):
                yield str(first + number - passed)
            passed += last - first + 1

    def _read(self, ids: Iterator[str]) -> Iterator[dict[str, bytes]]:
        for page in self._pages(ids):
            yield from page

    def _pages(self, ids: Iterator[str]) -> Iterator[list[dict[str, bytes]]]:
        page = list(islice(ids, PAGE))
        while page:
            found = self._channel.outcomes(page)
            yield found
            page = page[len(found) :] or list(islice(ids, PAGE))

    def _result(self, fields: dict[str, bytes]) -> Any:
        job_id, state = fields["id"].decode(), text(fields.get("state")) or ""
        if state not in FINISHED:  # it was discarded, or runs again, since this job began
            words = f"job {job_id}, whose result is needed, {'runs again' if state else 'is gone'}"
            if not self._runs:
                raise UnknownJob(words)
            return JobFailed(words, reason="lost")
        try:
            return value_of(job_id, fields, original=False)
        except (JobFailed, JobCancelled) as error:
            return error.with_traceback(None)
