"""What every peer offers to the cases: post a job, post many, wait for a result, tell how many results are stored."""

import os
from typing import Any, Self

from benchmarks.peers.probes import Server

URL = os.environ.get("BENCH_URL", "")
POOL = os.environ.get("BENCH_POOL", "")
SLOTS = int(os.environ.get("BENCH_SLOTS", "1"))
LIMIT = 30  # seconds that anybody waits for a result
EFFECTS = os.environ.get("BENCH_EFFECTS")  # a file to which each echo appends
ECHO, NAP = "echo", "nap"  # the two tasks: give the message back; sleep so many seconds and give them back

_effects = os.open(EFFECTS, os.O_WRONLY | os.O_APPEND) if EFFECTS else None


def noted(message: Any) -> Any:
    """The message. Where effects are kept, 8 bytes in a file show that the job ran, as a job that does anything would.

    That releases the GIL, so that threads take turns within jobs and not only between them.
    """
    if _effects is not None:
        os.write(_effects, b"one job\n")
    return message


class Adapter:
    """A client of one peer. Methods are coroutines; those of a blocking library never suspend."""

    binary = True  # whether bytes travel as they are; else the large case sends base64, as a user has to
    bulk = False  # whether `post_many` is the peer's own bulk call

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def post(self, task: str, message: Any) -> Any:
        """Enqueue one job; whatever `result` needs to find it again."""
        raise NotImplementedError

    async def post_many(self, task: str, messages: list[Any]) -> list[Any]:
        return [await self.post(task, message) for message in messages]

    async def result(self, job: Any) -> Any:
        """Wait for the result in the way that the peer offers for it."""
        raise NotImplementedError

    async def call(self, task: str, message: Any) -> Any:
        return await self.result(await self.post(task, message))

    def stored(self, server: Server) -> int:
        """A number that grows by exactly one with every result that is stored."""
        raise NotImplementedError
