"""Runs ops over blocking sockets.

Every op is idempotent, so a call whose connection broke is simply sent again. If the server has responded before, a
call waits for it (`patience`); if it never has, its address is probably wrong, and the error is raised at once.
Connections are redis-py's; keeping our own stack of them saves the 15 us that redis-py's client and pool take per call.
"""

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

import redis
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from mlq.errors import MLQError
from mlq.ops import Argument, Op
from mlq.ops.scripts import Script
from mlq.shell import handshake, trouble
from mlq.shell.callers import Callers
from mlq.shell.fair_semaphore import FairSemaphore
from mlq.shell.target import ANSWER_TIMEOUT, Target, choose, connect_to_own_server, connection_options
from mlq.shell.watch import Watch

T = TypeVar("T")

LAST_REPLY = 1.0  # seconds to wait for the error message of a server that closes the connection during a command


class Shell:
    """Connections to one server. Usable from any thread, and in a forked process."""

    def __init__(
        self,
        named: Target | None,
        most: int = 100,
        patience: float = trouble.PATIENCE,
        answer: float = ANSWER_TIMEOUT,
        watch: Watch | None = None,
    ) -> None:
        """`most`: concurrent calls. `patience`: seconds that a call waits for a server that went away.

        `answer`: seconds to wait for one reply. `watch` polls for replies before a call sleeps: for programs that have
        nothing else to do meanwhile.
        """
        self.named = named
        self.patience = patience
        self._most = most
        self.answer = answer
        self._watch = watch
        self._target: Target | None = None
        self.callers = Callers()
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._pool: redis.ConnectionPool | None = None
        self._idle: deque[Any] = deque()
        self._semaphore = FairSemaphore(self._most)
        self._answered = False

    @property
    def chosen(self) -> Target | None:
        """The target to give another shell, so that it uses the same server."""
        return self._target or self.named

    @property
    def target(self) -> Target:
        """The server in use; chosen when first needed, which may start the embedded one."""
        if self._target is None:
            with self._lock:
                self._target = self._target or choose(self.named)
        return self._target

    @property
    def pool(self) -> redis.ConnectionPool:
        """redis-py's pool for this server, which is used only to create connections."""
        if self._pool is None:
            options = connection_options(self.target.url, self.answer) | {"retry": Retry(NoBackoff(), 0)}
            if self.target.origin == "embedded":
                options["redis_connect_func"] = connect_to_own_server
            self._pool = redis.ConnectionPool.from_url(self.target.url, **options)
        return self._pool

    def run(self, op: Op[T]) -> T:
        """Run one op. Raises ServerError, or what the op's parser raises."""
        return op.result(self._with_connection(lambda connection: self._exchange(connection, op)))

    def run_here(self, make: Callable[[str], Op[T]]) -> T:
        """Run the op that `make` returns for the server's run id, which the connection knows.

        `make` is called again for each connection that the op is sent over.
        """

        def exchange(connection: Any) -> tuple[Op[T], Any]:
            op = make(handshake.run_of(connection))
            return op, self._exchange(connection, op)

        op, reply = self._with_connection(exchange)
        return op.result(reply)

    def run_many(self, ops: Sequence[Op[Any]]) -> list[Any]:
        """Run ops in one round trip; the results in order. An op's own error is raised after all were sent."""
        return [result() for result in self.run_each(ops)]

    def run_each(self, ops: Sequence[Op[Any]]) -> list[Callable[[], Any]]:
        """Like `run_many`, but each result is a function that returns it or raises that op's own error."""
        return self.run_each_here(lambda _: ops)

    def run_each_here(self, make: Callable[[str], Sequence[Op[Any]]]) -> list[Callable[[], Any]]:
        """Like `run_each`, for ops that `make` returns for the server's run id, as in `run_here`."""

        def exchange(connection: Any) -> tuple[Sequence[Op[Any]], list[Any]]:
            ops = make(handshake.run_of(connection))
            return ops, self._exchange_many(connection, ops)

        ops, replies = self._with_connection(exchange)
        return [partial(trouble.result_of, op, reply, self._target) for op, reply in zip(ops, replies, strict=True)]

    def run_and_pop(self, op: Op[T], names: Sequence[str], seconds: float) -> tuple[T, tuple[str, bytes] | None]:
        """Run one op, and in the same round trip wait up to `seconds` for an item in the lists `names`."""

        def exchange(connection: Any) -> tuple[Any, Any]:
            pop = ("BLPOP", *names, f"{seconds:.3f}")
            sent = self._send(connection, [op.command, pop])
            try:
                reply = self._receive(connection, sent)
            except redis_errors.ResponseError as error:
                connection.disconnect()  # also ends the BLPOP, which is still waiting
                if isinstance(error, redis_errors.NoScriptError):
                    self._load(connection, op.script)
                    return exchange(connection)
                raise
            return reply, connection.read_response(timeout=seconds + ANSWER_TIMEOUT)

        reply, item = self._with_connection(exchange, sleeps=True)
        return op.result(reply), item and (item[0].decode(), item[1])

    def pop(
        self, names: Sequence[str], seconds: float, anew: Callable[[], None] | None = None
    ) -> tuple[str, bytes] | None:
        """Wait up to `seconds` for an item in the lists `names`: (name, item) or None.

        `anew` is called after a reconnect, since messages may have been lost meanwhile.
        """
        tries = itertools.count()

        def exchange(connection: Any) -> Any:
            if next(tries) and anew is not None:
                anew()
            connection.send_packed_command(trouble.packed([("BLPOP", *names, f"{seconds:.3f}")]))
            return connection.read_response(timeout=seconds + ANSWER_TIMEOUT)

        item = self._with_connection(exchange, sleeps=True)
        return item and (item[0].decode(), item[1])

    def close(self) -> None:
        """Close the idle connections; the next call opens new ones."""
        while (connection := self._take_idle()) is not None:
            connection.disconnect()

    def _exchange(self, connection: Any, op: Op[Any]) -> Any:
        sent = self._send(connection, [op.command])
        if self._watch and self._semaphore.alone:  # otherwise, polling would take time from other threads
            self._watch.wait(connection)
        try:
            return self._receive(connection, sent)
        except redis_errors.NoScriptError:
            self._load(connection, op.script)
            self._send(connection, [op.command])
            return self._receive(connection, sent)

    def _send(self, connection: Any, commands: Sequence[tuple[Argument, ...]]) -> int:
        """Send the commands; returns their bytes. Raises ResponseError if the server replies why it accepts no more."""
        pieces = trouble.packed(commands)
        if len(pieces) == 1:
            connection.send_packed_command(pieces)
            return len(pieces[0])
        if not connection._sock:  # noqa: SLF001 - reconnects an idle connection that broke
            connection.connect()
        try:
            for piece in pieces:
                connection._sock.sendall(piece)  # noqa: SLF001 - redis-py would close it, and lose the server's last reply
        except OSError as error:
            try:
                if not isinstance(error, TimeoutError):
                    connection.read_response(timeout=LAST_REPLY)
            finally:
                connection.disconnect()
            raise
        return sum(map(len, pieces))

    def _receive(self, connection: Any, sent: int) -> Any:
        """The reply to `sent` bytes; after many bytes, it may take longer."""
        if sent <= trouble.PIECE:
            return connection.read_response()
        return connection.read_response(timeout=self.answer + sent / trouble.RATE)

    def _exchange_many(self, connection: Any, ops: Sequence[Op[Any]]) -> list[Any]:
        sent = self._send(connection, [op.command for op in ops])
        replies = [self._read(connection, sent) for _ in ops]
        for i, op in enumerate(ops):
            if isinstance(replies[i], redis_errors.NoScriptError):
                try:
                    replies[i] = self._exchange(connection, op)
                except redis_errors.ResponseError as error:
                    replies[i] = error
        return replies

    def _read(self, connection: Any, sent: int = 0) -> Any:
        """One of several replies to `sent` bytes. An error from the server is returned, not raised."""
        try:
            return self._receive(connection, sent)
        except redis_errors.ResponseError as error:
            if trouble.ends_connection(error):
                raise
            return error

    def _load(self, connection: Any, script: Script | None) -> None:
        assert script is not None  # noqa: S101 - only scripts can be missing
        connection.send_command("SCRIPT", "LOAD", script.source)
        connection.read_response()

    def _with_connection(self, exchange: Callable[[Any], T], *, sleeps: bool = False) -> T:
        """Run `exchange` on a connection; if the connection breaks, again after a pause until patience runs out.

        `sleeps`: the call blocks on the server, so it takes no place in the room: other calls must not queue behind it.
        """
        if self._pid != os.getpid():
            self._reset()
        failures, give_up = 0, time.monotonic() + self.patience
        while True:
            try:
                with nullcontext() if sleeps else self._semaphore:
                    return self._once(exchange)
            except MLQError:
                raise  # already translated; ServerError is a ConnectionError, too
            except trouble.LOST as error:
                failures += 1
                wait = trouble.pause(failures)
                if trouble.is_final(error, answered=self._answered) or time.monotonic() + wait > give_up:
                    raise trouble.translate(error, self._target) from None
                time.sleep(wait)
                self._restart_embedded()
            except redis_errors.RedisError as error:
                raise trouble.translate(error, self._target) from None

    def _once(self, exchange: Callable[[Any], T]) -> T:
        connection = self._take_idle() or self._connect()
        try:
            return exchange(connection)
        except redis_errors.ResponseError as error:
            if trouble.ends_connection(error):
                connection.disconnect()
            raise
        except BaseException:  # also on Ctrl-C: the next reader would get this call's reply
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)

    def _take_idle(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:  # not `if self._idle`: another thread may take the last one in between
            return None

    def _connect(self) -> Any:
        connection: Any = self.pool.connection_class(**self.pool.connection_kwargs)
        try:
            connection.register_connect_callback(self._handshake)  # called also when redis-py reconnects by itself
            connection.connect()
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _handshake(self, connection: Any) -> None:
        """Ask for the server's run id, and on the first connection, whether it has what we need."""
        asked = handshake.questions(first=not self._answered)
        connection.send_packed_command(trouble.packed(asked))
        connection.server_run = handshake.learn([self._read(connection) for _ in asked], self._target)
        self._answered = True

    def _restart_embedded(self) -> None:
        """Start the embedded server again if that is the one in use."""
        if self._target is not None and self._target.origin == "embedded":
            from mlq import server

            server.ensure_running()
