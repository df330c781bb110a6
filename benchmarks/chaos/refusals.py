"""Ways in which a server that answers refuses to work for a while, and their remedy."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

NO_TROUBLE: dict[str, str | int] = {"maxclients": 10_000, "maxmemory": 0, "min-replicas-to-write": 0, "save": ""}
SNAPSHOT = "dump.rdb"  # the file that a snapshot is renamed to; a folder of that name makes each snapshot fail


class Refusals:
    """Makes one server refuse. A restart of the server ends it, too."""

    def __init__(self, url: str, home: Path) -> None:
        """`home` is the server's own folder."""
        self._client = redis.Redis.from_url(url, retry=Retry(ConstantBackoff(0.05), 3))
        self._snapshot = home / SNAPSHOT
        self._begins: dict[str, Callable[[], None]] = {
            "misconf": self._fail_snapshots,
            "noreplicas": lambda: self._set("min-replicas-to-write", 1),
            "full": lambda: self._set("maxmemory", 1),
            "crowd": self._let_nobody_in,
            "noperm": lambda: self._allow("-evalsha"),
        }

    def begin(self, way: str) -> bool:
        """Whether the server could be brought to it, all or in part; it may be away."""
        try:
            self._begins[way]()
        except redis.ConnectionError:
            return False
        return True

    def end(self) -> bool:
        """Undo all of it; whether that was possible. A server that is started anew comes back without it."""
        with contextlib.suppress(OSError):
            self._snapshot.rmdir()
        try:
            for name, value in NO_TROUBLE.items():
                self._set(name, value)
            self._allow("+evalsha")
        except redis.RedisError:
            return False
        return True

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _set(self, name: str, value: str | int) -> None:
        self._client.config_set(name, value)

    def _allow(self, rule: str) -> None:
        self._client.execute_command("ACL", "SETUSER", "default", rule)

    def _fail_snapshots(self) -> None:
        """The last snapshot failed, so a server that is to make some takes no writes."""
        self._snapshot.mkdir(exist_ok=True)
        self._set("save", "3600 1000000")
        self._client.bgsave()
        give_up = time.monotonic() + 2
        while self._client.info("persistence")["rdb_bgsave_in_progress"] and time.monotonic() < give_up:
            time.sleep(0.01)

    def _let_nobody_in(self) -> None:
        """Too many clients: those that are there are thrown out, and can't come back."""
        self._set("maxclients", 1)
        self._client.client_kill_filter(_type="normal", skipme=True)
