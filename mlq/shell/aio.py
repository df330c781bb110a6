"""Runs ops on an event loop: the asyncio twin of `sync`, with the same rules."""

import asyncio
import itertools
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import redis.asyncio
from redis import exceptions as redis_errors
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mlq.errors import MLQError
from mlq.ops import Argument, Op
from mlq.ops.scripts import Script
from mlq.shell import handshake, trouble
from mlq.shell.callers import Callers
from mlq.shell.target import ANSWER_TIMEOUT, Target, check_peer, choose, connection_options

T = TypeVar("T")


class AsyncShell:
    """Connections to one server, for the tasks of the running event loop."""

    def __init__(self, named: Target | None, most: int = 20, patience: float = trouble.PATIENCE) -> None:
        """`most`: concurrent calls; `patience`: seconds that a call waits for a server that went away."""
        self.named = named
        self.patience = patience
        self.callers = Callers()
        self._most = most
        self._target: Target | None = None
        self._owner: tuple[int, asyncio.AbstractEventLoop | None] = (0, None)

    def _reset_for_new_loop(self) -> None:
        """Connections belong to one loop of one process: start over in another `asyncio.run` or a forked child."""
        owner = (os.getpid(), asyncio.get_running_loop())
        if owner != self._owner:
            self._owner = owner
            self._pool: redis.asyncio.ConnectionPool | None = None
            self._idle: deque[Any] = deque()
            self._semaphore = asyncio.Semaphore(self._most)
            self._choosing = asyncio.Lock()
            self._answered = False

    async def target(self) -> Target:
        """The server in use; chosen when first needed (in a thread: the embedded one may have to start)."""
        self._reset_for_new_loop()
        if self._target is not None:
            return self._target
        async with self._choosing:
            if self._target is None:
                self._target = await asyncio.to_thread(choose, self.named)
        return self._target

    async def run(self, op: Op[T]) -> T:
        """Run one op. Raises ServerError, or what the op's parser raises."""
        return op.result(await self._with_connection(lambda connection: self._exchange(connection, op)))

    async def run_here(self, make: Callable[[str], Op[T]]) -> T:
        """Run the op that `make` returns for the server's run id, which the connection knows."""

        async def exchange(connection: Any) -> tuple[Op[T], Any]:
            await connection.connect()  # after a broken connection, the run id may be another one
            op = make(connection.server_run)
            return op, await self._exchange(connection, op)

        op, reply = await self._with_connection(exchange)
        return op.result(reply)

    async def run_many(self, ops: Sequence[Op[Any]]) -> list[Any]:
        """Run ops in one round trip; the results in order. An op's own error is raised after all were sent."""
        replies = await self._with_connection(lambda connection: self._exchange_many(connection, ops))
        return [trouble.result_of(op, reply, self._target) for op, reply in zip(ops, replies, strict=True)]

    async def pop(
        self, names: Sequence[str], seconds: float, anew: Callable[[], None] | None = None
    ) -> tuple[str, bytes] | None:
        """Wait up to `seconds` for an item in the lists `names`: (name, item) or None. `anew`: as in the sync twin."""
        tries = itertools.count()

        async def exchange(connection: Any) -> Any:
            if next(tries) and anew is not None:
                anew()
            await connection.send_command("BLPOP", *names, f"{seconds:.3f}")
            return await connection.read_response(timeout=seconds + ANSWER_TIMEOUT)

        item = await self._with_connection(exchange)
        return item and (item[0].decode(), item[1])

    async def close(self) -> None:
        """Close all idle connections."""
        self._reset_for_new_loop()
        while self._idle:
            await self._idle.pop().disconnect()

    async def _exchange(self, connection: Any, op: Op[Any]) -> Any:
        sent = await self._send(connection, [op.command])
        try:
            return await self._receive(connection, sent)
        except redis_errors.NoScriptError:
            await self._load(connection, op.script)
            await self._send(connection, [op.command])
            return await self._receive(connection, sent)

    async def _send(self, connection: Any, commands: Sequence[tuple[Argument, ...]]) -> int:
        """Send the commands; returns their bytes. Raises ResponseError if the server replies why it accepts no more."""
        pieces = trouble.packed(commands)
        for piece in pieces:
            reader = connection._reader  # noqa: SLF001 - redis-py drops it, with the server's last reply
            try:
                await connection.send_packed_command([piece], check_health=False)
            except redis_errors.ConnectionError:
                reply = bytes(getattr(reader, "_buffer", b""))  # `read` would raise, now that the connection is lost
                if reply.startswith(b"-"):
                    raise redis_errors.ResponseError(
                        reply[1:].partition(b"\r\n")[0].decode("utf-8", "replace")
                    ) from None
                raise
        return sum(map(len, pieces))

    async def _receive(self, connection: Any, sent: int) -> Any:
        """The reply to `sent` bytes; after many bytes, it may take longer."""
        if sent <= trouble.PIECE:
            return await connection.read_response()
        return await connection.read_response(timeout=ANSWER_TIMEOUT + sent / trouble.RATE)

    async def _exchange_many(self, connection: Any, ops: Sequence[Op[Any]]) -> list[Any]:
        sent = await self._send(connection, [op.command for op in ops])
        replies = [await self._read(connection, sent) for _ in ops]
        for i, op in enumerate(ops):
            if isinstance(replies[i], redis_errors.NoScriptError):
                try:
                    replies[i] = await self._exchange(connection, op)
                except redis_errors.ResponseError as error:
                    replies[i] = error
        return replies

    async def _read(self, connection: Any, sent: int = 0) -> Any:
        """One of several replies to `sent` bytes. An error from the server is returned, not raised."""
        try:
            return await self._receive(connection, sent)
        except redis_errors.ResponseError as error:
            if trouble.ends_connection(error):
                raise
            return error

    async def _load(self, connection: Any, script: Script | None) -> None:
        assert script is not None  # noqa: S101 - only scripts can be missing
        await connection.send_command("SCRIPT", "LOAD", script.source)
        await connection.read_response()

    async def _with_connection(self, exchange: Callable[[Any], Awaitable[T]]) -> T:
        """Run `exchange` on a connection; if the connection breaks, again after a pause until patience runs out."""
        self._reset_for_new_loop()
        failures, give_up = 0, time.monotonic() + self.patience
        while True:
            try:
                return await self._once(exchange)
            except MLQError:
                raise  # already translated; ServerError is a ConnectionError, too
            except trouble.LOST as error:
                failures += 1
                wait = trouble.pause(failures)
                if trouble.is_final(error, answered=self._answered) or time.monotonic() + wait > give_up:
                    raise trouble.translate(error, self._target) from None
                await asyncio.sleep(wait)
                await self._restart_embedded()
            except redis_errors.RedisError as error:
                raise trouble.translate(error, self._target) from None

    async def _once(self, exchange: Callable[[Any], Awaitable[T]]) -> T:
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task else 0
        async with self._semaphore:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                reply = await exchange(connection)
            except redis_errors.ResponseError as error:
                if trouble.ends_connection(error):
                    await connection.disconnect(nowait=True)
                self._idle.append(connection)
                raise
            except BaseException:  # also when cancelled: the next reader would get this call's reply
                await connection.disconnect(nowait=True)
                self._idle.append(connection)
                raise
            self._idle.append(connection)
        if (
            task and task.cancelling() > cancelled_before
        ):  # Python 3.11's asyncio.wait_for, which redis-py uses, may swallow a cancellation
            raise asyncio.CancelledError
        return reply

    async def _connect(self) -> Any:
        target = await self.target()
        if self._pool is None:
            options = connection_options(target.url) | {"retry": Retry(NoBackoff(), 0)}
            pool = redis.asyncio.ConnectionPool.from_url(target.url, **options)
            if target.origin == "embedded":
                pool.connection_class = _OwnServerConnection
            self._pool = pool
        connection: Any = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            connection.register_connect_callback(self._handshake)  # called also when redis-py reconnects by itself
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _handshake(self, connection: Any) -> None:
        """Ask for the server's run id, and on the first connection, whether it has what we need."""
        asked = handshake.questions(first=not self._answered)
        await self._send(connection, asked)
        connection.server_run = handshake.learn([await self._read(connection) for _ in asked], self._target)
        self._answered = True

    async def _restart_embedded(self) -> None:
        """Start the embedded server again if that is the one in use."""
        if self._target is not None and self._target.origin == "embedded":
            from mlq import server

            await asyncio.to_thread(server.ensure_running)


class _OwnServerConnection(redis.asyncio.UnixDomainSocketConnection):
    """A connection to the embedded server, which sends nothing to a process of another user."""

    async def on_connect(self) -> None:
        check_peer(self)  # a `redis_connect_func` would be called too late: after `_connect` has sent something
        await super().on_connect()
