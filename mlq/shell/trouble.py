"""Classifies redis-py's errors, translates them into ours, and says how long to wait before the next try. No I/O."""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from hiredis import pack_command
from redis import exceptions as redis_errors

from mlq.errors import MLQError, NoServer, OutOfMemory, ServerError, Unsupported, ValueRefused
from mlq.ops import Argument, Op
from mlq.shell.target import Target

T = TypeVar("T")

PIECE = 64 * 1024  # bytes sent at once
LONGEST_PAUSE = 1.0  # seconds between tries
RATE = 1e6  # bytes per second: for each MB that was sent, the reply may take a second longer
PATIENCE = 10.0  # seconds that a call waits for a server that has responded before; enough for one restart
NEEDED = ("EVALSHA", "ZMSCORE", "UNLINK")  # ZMSCORE came with Redis 6.2
# Raised if a connection is broken or silent, or the primary has become a replica: reconnect and send the call again.
LOST = (redis_errors.ConnectionError, redis_errors.TimeoutError, redis_errors.ReadOnlyError, OSError)
# Errors about the value itself, which will come back each time; all other errors may be temporary. The limits are
# proto-max-bulk-len and the number of arguments; hosted servers word these errors differently.
_ABOUT_VALUE = re.compile(
    r"invalid (multi)?bulk length|exceeds maximum allowed size|max \w+( \w+)? size exceeded",
    re.IGNORECASE,
)


def packed(commands: Sequence[tuple[Argument, ...]]) -> list[bytes | memoryview]:
    """The bytes to send for these commands, in pieces of 64 kB, since a socket's time limit applies to each piece.

    Packed by hiredis; redis-py's own packing costs 5 us more per command.
    """
    whole = [pack_command(command) for command in commands]  # type: ignore[arg-type]  # its stub means one item
    if sum(map(len, whole)) <= PIECE:
        return [b"".join(whole)]  # one system call
    return [memoryview(part)[start : start + PIECE] for part in whole for start in range(0, len(part), PIECE)]


def pause(failures: int) -> float:
    """Seconds to wait after that many failures in a row: 0 after the first (a stale connection), then up to 1 s."""
    return 0.0 if failures <= 1 else min(LONGEST_PAUSE, 0.05 * 2 ** min(failures - 2, 10))  # 2**1024 is not a float


def is_about_value(error: Exception) -> bool:
    """Whether the server will never accept this value, as opposed to being unable to do so now."""
    return isinstance(error, redis_errors.ResponseError) and bool(_ABOUT_VALUE.search(str(error)))


def ends_connection(error: Exception) -> bool:
    """Whether the connection can't be used any more: it broke, or the server closes it after this error."""
    return isinstance(error, LOST) or "Protocol error" in str(error)


def is_final(error: Exception, *, answered: bool) -> bool:
    """Whether trying again can't help: wrong address or password, or not Redis. A server still loading is not final."""
    refused = (redis_errors.AuthenticationError, redis_errors.AuthorizationError, redis_errors.InvalidResponse)
    return isinstance(error, refused) or not (answered or isinstance(error, redis_errors.BusyLoadingError))


def result_of(op: Op[T], reply: Any, target: Target | None) -> T:
    """An op's result from its reply in a pipeline, where an error from the server is a reply, too."""
    if isinstance(reply, redis_errors.ResponseError):
        raise translate(reply, target) from None
    return op.result(reply)


def translate(error: Exception, target: Target | None) -> MLQError:
    """The error for the user, which names the server and says what to do."""
    where = str(target)
    message = str(error).rstrip(".")
    if isinstance(error, (redis_errors.AuthenticationError, redis_errors.NoPermissionError)) or message.startswith(
        "NOAUTH"
    ):
        return ServerError(
            f"the server at {where} refused access: {message}. Give user and password in the URL "
            "(redis://user:password@host:port) or in MLQ_URL"
        )
    if isinstance(error, redis_errors.InvalidResponse):
        return NoServer(f"the server at {where} is not Redis or Valkey: {message}. Check host and port")
    if isinstance(error, LOST):
        return NoServer(f"can't reach the server at {where}: {message}. Is it running, and are host and port right?")
    if isinstance(error, redis_errors.OutOfMemoryError) or message.startswith(
        ("OOM", "command not allowed when used memory")
    ):
        return OutOfMemory(
            f"the server at {where} has reached its maxmemory, so nothing was written: delete jobs or raise the limit"
        )
    if is_about_value(error):
        return ValueRefused(
            f"the server at {where} does not accept this value: {message}. Raise its limit, or store the data elsewhere"
        )
    if "unknown command" in message.lower():
        return Unsupported(
            f"the server at {where} lacks a command that MLQ needs ({message}): use Redis 6.2+ or Valkey 7.2+"
        )
    return ServerError(f"the server at {where} replied with an error: {message}")


def check_features(reply: object, target: Target | None) -> None:
    """Raises Unsupported if the reply to COMMAND INFO shows that a command of `NEEDED` is missing."""
    missing = [name for name, info in zip(NEEDED, reply, strict=False) if not info] if isinstance(reply, list) else []
    if missing:
        raise Unsupported(f"the server at {target} lacks {', '.join(missing)}: MLQ needs Redis 6.2+ or Valkey 7.2+")
