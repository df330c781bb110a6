"""What each new connection asks first: the server's run id, and once per shell, whether the server is suitable."""

import logging
import re
from typing import Any

from redis import exceptions as redis_errors

from mlq.shell import trouble
from mlq.shell.target import Target

log = logging.getLogger("mlq.server")

_RUN: tuple[str, ...] = ("INFO", "server")
_ONCE: tuple[tuple[str, ...], ...] = (("COMMAND", "INFO", *trouble.NEEDED), ("INFO", "memory"))
_warned: set[tuple[str, str]] = set()  # the warnings that this process has logged, with the server


def questions(*, first: bool) -> tuple[tuple[str, ...], ...]:
    """The commands to send; `first` for a shell's first connection."""
    return (_RUN, *_ONCE) if first else (_RUN,)


def learn(replies: list[Any], target: Target | None) -> str:
    """The server's run id, empty if unknown, from its replies, which may be errors. Raises Unsupported."""
    if len(replies) > 1:
        _permitted(replies[1])
        trouble.check_features(replies[1], target)
        policy = _field(replies[2], "maxmemory_policy")
        if policy not in ("", "noeviction"):
            _warn(
                "policy", target,
                "the server at %s has maxmemory-policy %s: when its memory is full, it silently removes jobs, results "
                "and the counter of ids. Set it to noeviction", target, policy,
            )  # fmt: skip
    run = _field(replies[0], "run_id")
    if not run:
        _warn(
            "run", target,
            "the server at %s does not report its run id: after a failover, or a restart with old data, ids may be "
            "assigned twice. Allow the command INFO", target,
        )  # fmt: skip
    return run


def _permitted(reply: Any) -> None:
    """Raises the server's error, unless we may not ask: commands that are missing then fail when they are needed."""
    if isinstance(reply, redis_errors.ResponseError) and not isinstance(reply, redis_errors.NoPermissionError):
        raise reply


def _field(info: Any, name: str) -> str:
    found = re.search(rb"^%b:([!-~]+)" % name.encode(), info, re.MULTILINE) if isinstance(info, bytes) else None
    return found[1].decode() if found else ""


def _warn(what: str, target: Target | None, words: str, *args: object) -> None:
    """Log a warning once per process and server."""
    url = "" if target is None else target.url
    if (what, url) not in _warned:
        _warned.add((what, url))
        log.warning(words, *args)


def run_of(connection: Any) -> str:
    """The run id of the server that a connection of redis-py leads to."""
    if connection._sock is None:  # noqa: SLF001 - it broke; the run id may be another one from now on
        connection.connect()
    run: str = connection.server_run
    return run
