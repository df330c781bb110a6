"""Carries ops out over blocking sockets.

Why: every op has the effect of one however often it is sent, so a call whose connection broke is simply sent
again. A server that has answered before is worth waiting for (`patience`); one that never has is a mistake and is
reported at once. Connections are redis-py's; taking one from our own stack saves the 15 us that redis-py's client and
pool spend per call.
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
from mlq.shell import meeting, trouble
from mlq.shell.callers import Callers
from mlq.shell.room import Room
from mlq.shell.target import ANSWER_TIMEOUT, Target, check_peer, choose, connection_options
from mlq.shell.watch import Watch

T = TypeVar("T")

LAST_WORD = 1.0  # seconds to wait for what a server says that cuts the connection amid a command


class Shell:
    """Connections to one server. Usable from any thread, and in a forked child."""

    def __init__(
        self,
        named: Target | None,
        most: int = 100,
        patience: float = trouble.PATIENCE,
        answer: float = ANSWER_TIMEOUT,
        watch: Watch | None = None,
    ) -> None:
        """`most` calls at a time; seconds that a call waits for a server that went away, and for one reply.

        `watch` looks for replies before a call sleeps: for programs that have nothing else to do meanwhile.
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
        self._room = Room(self._most)
        self._answered = False

    @property
    def chosen(self) -> Target | None:
        """What another shell is to be told, so that it uses the same server."""
        return self._target or self.named

    @property
    def target(self) -> Target:
        """The server in use; chosen (and the embedded one started) on first need."""
        if self._target is None:
            with self._lock:
                self._target = self._target or choose(self.named)
        return self._target

    @property
    def pool(self) -> redis.ConnectionPool:
        """redis-py's pool for this server, as a maker of connections."""
        if self._pool is None:
            options = connection_options(self.target.url, self.answer) | {"retry": Retry(NoBackoff(), 0)}
            if self.target.origin == "embedded":
                options["redis_connect_func"] = _greet
            self._pool = redis.ConnectionPool.from_url(self.target.url, **options)
        return self._pool

    def run(self, op: Op[T]) -> T:
        """Carry one op out. Raises ServerError, or what the op's parser raises."""
        return op.result(self._with_connection(lambda connection: self._exchange(connection, op)))

    def run_here(self, make: Callable[[str], Op[T]]) -> T:
        """Carry out the op that `make` gives for the run of the server that the connection leads to.

        It is asked again for each connection that the op is sent over.
        """

        def exchange(connection: Any) -> tuple[Op[T], Any]:
            if connection._sock is None:  # noqa: SLF001 - it broke, and may lead to another run from now on
                connection.connect()
            op = make(connection.server_run)
            return op, self._exchange(connection, op)

        op, reply = self._with_connection(exchange)
        return op.result(reply)

    def run_many(self, ops: Sequence[Op[Any]]) -> list[Any]:
        """Carry ops out in one round trip; the results in order. An op's own error is raised after all were sent."""
        return [result() for result in self.run_each(ops)]

    def run_each(self, ops: Sequence[Op[Any]]) -> list[Callable[[], Any]]:
        """As `run_many`, but each result is a function that gives it or raises that op's own error."""
        replies = self._with_connection(lambda connection: self._exchange_many(connection, ops))
        return [partial(trouble.result_of, op, reply, self._target) for op, reply in zip(ops, replies, strict=True)]

    def run_and_pop(self, op: Op[T], names: Sequence[str], seconds: float) -> tuple[T, tuple[str, bytes] | None]:
        """Carry one op out, and in the same round trip wait up to `seconds` for an item of the lists `names`."""

        def exchange(connection: Any) -> tuple[Any, Any]:
            pop = ("BLPOP", *names, f"{seconds:.3f}")
            sent = self._send(connection, [op.command, pop])
            try:
                reply = self._receive(connection, sent)
            except redis_errors.ResponseError as error:
                connection.disconnect()  # with the wait that is still under way
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
        """Wait up to `seconds` for an item of the lists `names`: (name, item) or None.

        `anew` is called when the connection broke and there is another one: what was told meanwhile may be lost.
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
        """Close the idle connections; the next call makes new ones."""
        while (connection := self._take_idle()) is not None:
            connection.disconnect()

    def _exchange(self, connection: Any, op: Op[Any]) -> Any:
        sent = self._send(connection, [op.command])
        if self._watch and self._room.alone:  # else there are other threads that can go on meanwhile
            self._watch.wait(connection)
        try:
            return self._receive(connection, sent)
        except redis_errors.NoScriptError:
            self._load(connection, op.script)
            self._send(connection, [op.command])
            return self._receive(connection, sent)

    def _send(self, connection: Any, commands: Sequence[tuple[Argument, ...]]) -> int:
        """Send these; how many bytes that were. Raises ResponseError where the server said why it takes no more."""
        pieces = trouble.packed(commands)
        if len(pieces) == 1:
            connection.send_packed_command(pieces)
            return len(pieces[0])
        if not connection._sock:  # noqa: SLF001 - idle connections that broke are connected anew
            connection.connect()
        try:
            for piece in pieces:
                connection._sock.sendall(piece)  # noqa: SLF001 - redis-py would close it, with what the server said last
        except OSError as error:
            try:
                if not isinstance(error, TimeoutError):
                    connection.read_response(timeout=LAST_WORD)
            finally:
                connection.disconnect()
            raise
        return sum(map(len, pieces))

    def _receive(self, connection: Any, sent: int) -> Any:
        """An answer to so many bytes; to many it may take longer."""
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
        """One reply of several to so many bytes; an error of the server is one, too."""
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
        """Run `exchange` on a connection; again after a pause while the connection breaks and patience lasts.

        One that sleeps on the server takes no room: calls must not queue behind sleepers.
        """
        if self._pid != os.getpid():
            self._reset()
        failures, give_up = 0, time.monotonic() + self.patience
        while True:
            try:
                with nullcontext() if sleeps else self._room:
                    return self._once(exchange)
            except MLQError:
                raise  # ours already, and a ConnectionError too
            except trouble.LOST as error:
                failures += 1
                wait = trouble.pause(failures)
                if trouble.is_final(error, answered=self._answered) or time.monotonic() + wait > give_up:
                    raise trouble.translate(error, self._target) from None
                time.sleep(wait)
                self._revive()
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
        except BaseException:  # Ctrl-C as well: what the next reader would get is not its reply
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)

    def _take_idle(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:  # another thread may have been faster than a look at the length
            return None

    def _connect(self) -> Any:
        connection: Any = self.pool.connection_class(**self.pool.connection_kwargs)
        try:
            connection.register_connect_callback(self._meet)  # redis-py connects one that broke again by itself
            connection.connect()
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _meet(self, connection: Any) -> None:
        """Ask which run of the server it is, and the first time, whether it can do what we need."""
        asked = meeting.questions(first=not self._answered)
        connection.send_packed_command(trouble.packed(asked))
        connection.server_run = meeting.learn([self._read(connection) for _ in asked], self._target)
        self._answered = True

    def _revive(self) -> None:
        """The embedded server, when it went away, is ours to start again."""
        if self._target is not None and self._target.origin == "embedded":
            from mlq import server

            server.ensure_running()


def _greet(connection: Any) -> None:
    """What a connection to the embedded server begins with: nothing is said to a process of somebody else."""
    check_peer(connection)
    connection.on_connect()
