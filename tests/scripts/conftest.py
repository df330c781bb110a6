"""Tests of one script at a time: seed a state, act once, look at the whole state. All run through both shells.

There is no fake clock, since the time is Redis': tests make time pass by moving what is kept of it (`World.lapse`,
`World.overdue`).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis

from mlq.core import codec
from mlq.core.checks import lane_of
from mlq.core.job import Claimed, Outcome, Record
from mlq.core.job_options import JobOptions, pack_body
from mlq.core.keys import Keys
from mlq.core.states import State
from mlq.ops import Op
from mlq.ops import following as follow_ops
from mlq.ops import jobs as job_ops
from mlq.ops import settling as settle_ops
from mlq.ops import work as work_ops
from mlq.ops.following import Followed
from mlq.ops.settling import Ending
from mlq.ops.work import WorkerClass
from mlq.running.outcomes import death
from mlq.shell.aio import AsyncShell
from mlq.shell.sync import Shell
from mlq.shell.target import Target
from tests.scripts.pipes import Pipes

Run = Callable[[Op[Any]], Any]
LOSSES = 2  # attempts that a job may lose and still run again
QUEUES = ("default", "slow", "gpu", "a", "b", "empty")
EVERYTHING = WorkerClass.of(QUEUES, QUEUES, ("a", "b", "f", "g", "busy", "embed", "other", "train"))


class About:
    """Equals a number, or a text of one, that is at most `within` seconds off `seconds` from now."""

    def __init__(self, seconds: float = 0.0, within: float = 20.0) -> None:
        """Made when the test compares, so right after the act."""
        self.expected = time.time() + seconds
        self.within = within

    def __eq__(self, other: object) -> bool:
        """Whether it is near."""
        return isinstance(other, (str, float, int)) and abs(float(other) - self.expected) <= self.within

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """As shown by a failed comparison."""
        return f"<about {self.expected:.0f}>"


@contextlib.contextmanager
def runner(kind: str, url: str) -> Iterator[Run]:
    """A function that carries an op out through the shell of that kind."""
    target = Target(url, "arguments")
    if kind == "sync":
        with contextlib.closing(Shell(target)) as shell:
            yield shell.run
        return
    with asyncio.Runner() as loop:

        async def make() -> AsyncShell:
            return AsyncShell(target)

        shell_ = loop.run(make())
        yield lambda op: loop.run(shell_.run(op))
        loop.run(shell_.close())


def when_of(options: dict[str, Any]) -> str:
    """When a job with these options may begin and how soon, as posts send it."""
    names = ("delay", "at", "expires", "priority")
    return JobOptions.of({name: value for name, value in options.items() if name in names}).when


class World:
    """A namespace to act on and to look at."""

    def __init__(self, keys: Keys, raw: redis.Redis, run: Run) -> None:
        """`raw` seeds and looks; `run` acts."""
        self.keys = keys
        self.raw = raw
        self.run = run
        self._number = 0

    def number(self) -> int:
        """A number for the next call of a caller."""
        self._number += 1
        return self._number

    def post(
        self,
        count: int = 1,
        functions: Sequence[str] | None = None,
        queue: str = "default",
        share: str | None = None,
        **options: Any,
    ) -> list[str]:
        """Post jobs; their ids."""
        kept = options | ({"functions": list(functions)} if functions else {})
        bodies = [pack_body(codec.pack(f"message {i}"), kept) for i in range(count)]
        lane, when = lane_of(queue, functions, share), when_of(options)
        first = self.run(job_ops.post(self.keys, "poster", self.number(), lane, bodies, when=when)).first
        return [str(first + i) for i in range(count)]

    def serving(self, kind: WorkerClass = EVERYTHING) -> str:
        """The name of a class of workers, of all that tests post where none is given, once it is registered."""
        while not self.run(work_ops.register(self.keys, kind, 60)):
            pass
        return kind.name

    def token(self, kind: WorkerClass = EVERYTHING, *, taken: bool = False) -> bool:
        """Whether there is a token to wake a worker of that class; it may be `taken`."""
        name = f"{self.keys.class_}{kind.name}:wake"
        return bool(self.raw.delete(name) if taken else self.raw.exists(name))

    def claim(self, count: int = 1, worker: str = "worker") -> list[Claimed]:
        """Claim jobs of all lanes under a lease of 60 s."""
        claimed: list[Claimed] = self.run(work_ops.claim(self.keys, worker, self.number(), self.serving(), 60, count))
        return claimed

    def running(self, **options: Any) -> Claimed:
        """A job that was posted and claimed just now."""
        self.post(**options)
        return self.claim()[0]

    def ending(
        self, claimed: Claimed, state: State = State.SUCCEEDED, said: str | None = "4", **verdict: Any
    ) -> Op[list[bool]]:
        """The op that settles one attempt."""
        fields: dict[str, bytes | str] = {"result": codec.pack(4)}
        if state is State.FAILED:
            fields = {"reason": "error", "error": "boom", "error_type": "builtins.ValueError", "traceback": "trace"}
        options = Record.parse(claimed.record).options
        return settle_ops.settle(self.keys, [Ending(claimed, Outcome(state, fields, said), options, **verdict)], LOSSES)

    def settle(self, claimed: Claimed, state: State = State.SUCCEEDED, said: str | None = "4", **verdict: Any) -> bool:
        """Settle one attempt; whether its lease stood."""
        return bool(self.run(self.ending(claimed, state, said, **verdict))[0])

    def die(self, claimed: Claimed, beside: int = 0) -> bool:
        """The process that an attempt ran in died, with so many others; whether its lease stood."""
        options = Record.parse(claimed.record).options
        ending = Ending(claimed, death("oom", "out of memory"), options, lost=True, beside=beside)
        return bool(self.run(settle_ops.settle(self.keys, [ending], LOSSES))[0])

    def tell(self, claimed: Claimed, *entries: tuple[int, str, bytes], progress: bytes = b"") -> bool:
        """Record what an attempt says; whether its lease stood."""
        stood: bool = self.run(work_ops.report(self.keys, claimed, progress, entries))
        return stood

    def follow(
        self, job_id: str, inbox: str = "", known: tuple[str, bytes] = ("", b""), after: tuple[int, int] = (0, 0)
    ) -> Followed:
        """What a job has said; `inbox` serves other questions, too."""
        news: Followed = self.run(follow_ops.follow(self.keys, job_id, inbox, 10, known, after))
        return news

    def scheduled(self, **options: Any) -> Claimed:
        """A job that waits for the time of its retry; the attempt that failed."""
        claimed = self.running(**options)
        assert self.settle(claimed, State.FAILED, None, retry_in=600.0)
        return claimed

    def raw_job(self, job_id: str) -> dict[str, bytes]:
        """The fields of a job, as they are stored."""
        return {name.decode(): value for name, value in self.raw.hgetall(self.keys.job + job_id).items()}

    def come_due(self) -> None:
        """Let the time of every retry be over."""
        for job_id in self.raw.zrange(self.keys.scheduled, 0, -1):
            self.raw.zadd(self.keys.scheduled, {job_id: time.time() - 1})

    def failed(self, **options: Any) -> Claimed:
        """A dead letter."""
        claimed = self.running(**options)
        assert self.settle(claimed, State.FAILED, None)
        return claimed

    def lapse(self, claimed: Claimed) -> None:
        """Let a lease run out."""
        self.raw.zadd(self.keys.leases, {claimed.lease: time.time() - 1})

    def watched(self) -> None:
        """Somebody looked for lapsed leases a moment ago, and it is safe to take them."""
        self.raw.hset(self.keys.reaping, mapping={"at": time.time(), "hold": 0})
        self.raw.expire(self.keys.reaping, 60)

    def reap(self, losses: int = 2, most: int = 100) -> work_ops.Reaped:
        """Look for lapsed leases, as a worker does."""
        reaped: work_ops.Reaped = self.run(work_ops.reap(self.keys, 3.0, 2.0, losses, most))
        return reaped

    def overdue(self, claimed: Claimed, seconds: float) -> None:
        """Let an attempt have begun that long ago."""
        self.raw.hset(self.keys.job + claimed.id, "started", time.time() - seconds)

    def look(self) -> dict[str, Any]:
        """All keys of the namespace with what they hold, as texts; a record as [lane, time of the post, body].

        But for the tally of attempts and the index of lanes, at which `test_tally.py` and `test_classes.py` look.
        """
        names = set(self.raw.scan_iter(_escaped(self.keys.root) + "*", count=10_000)) - {self.keys.metrics.encode()}
        index = tuple(name.encode() for name in (self.keys.classes, self.keys.class_, self.keys.serves))
        names = {name for name in names if not name.startswith(index)}
        return {name.decode().removeprefix(self.keys.root): self._value(name) for name in names}

    def _value(self, name: bytes) -> Any:
        kind = self.raw.type(name)
        if kind == b"hash":
            return {_text(field): _value_of(field, value) for field, value in self.raw.hgetall(name).items()}
        if kind == b"zset":
            return {_text(member): score for member, score in self.raw.zrange(name, 0, -1, withscores=True)}
        if kind == b"set":
            return {_text(member) for member in self.raw.smembers(name)}
        if kind == b"list":
            return [_text(item) for item in self.raw.lrange(name, 0, -1)]
        if kind == b"stream":
            return [(_text(entry), *map(_text, *said.items())) for entry, said in self.raw.xrange(name)]
        text = _text(self.raw.get(name) or b"")
        return text.split("\n", 2) if name.startswith(self.keys.post.encode()) else text

    def changes(self, op: Op[Any]) -> tuple[Any, dict[str, Any]]:
        """Act: what the op gave, and all keys that it changed with what they hold now (None where they are gone)."""
        before = self.look()
        reply = self.run(op)
        after = self.look()
        names = before.keys() | after.keys()
        return reply, {name: after.get(name) for name in names if before.get(name) != after.get(name)}

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing in the namespace changes within the block."""
        before = self.look()
        yield
        assert self.look() == before


def _value_of(field: bytes, value: bytes) -> Any:
    """A past run as a list of texts."""
    return [_text(part) for part in codec.unpack_raw(value)] if field.startswith(b"past:") else _text(value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _escaped(text: str) -> str:
    return "".join("\\" + c if c in "*?[]\\^-" else c for c in text)


@pytest.fixture(params=["sync", "asyncio"])
def run(request: pytest.FixtureRequest, server_url: str) -> Iterator[Run]:
    """`run(op)` through either shell."""
    with runner(request.param, server_url) as made:
        yield made


@pytest.fixture
def world(keys: Keys, raw: redis.Redis, run: Run) -> World:
    """The test's namespace."""
    return World(keys, raw, run)


@pytest.fixture
def pipes(world: World) -> Pipes:
    """A namespace for pipelines."""
    return Pipes(world)


@pytest.fixture
def root(pipes: Pipes) -> Claimed:
    """Job 1, which runs."""
    (claimed,) = pipes.take(pipes.post())
    return claimed


@pytest.fixture
def about() -> type[About]:
    """Makes what equals a time near now."""
    return About


@pytest.fixture
def on_server() -> Callable[[str, str], contextlib.AbstractContextManager[Run]]:
    """Makes a `run(op)` for another server."""
    return runner


@pytest.fixture(scope="session")
def world_type() -> type[World]:
    """Makes a world on another server, or in another namespace."""
    return World
