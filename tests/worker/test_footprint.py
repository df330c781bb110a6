"""What a worker costs the server."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mlq import MLQ, WaitTimeout, server

pytestmark = pytest.mark.slow


def test_a_worker_takes_three_connections_at_most_and_rests_when_idle(start: Callable[..., Any]) -> None:
    """Whatever its slots; idle it sends at most two commands a second."""
    with server.scratch(appendfsync=None) as scratch:
        mlq = MLQ("small", url=scratch.url)
        with contextlib.suppress(WaitTimeout):  # opens the connections that are ours
            mlq.submit(["sleep", 0]).result(0)
        asking = mlq._redis
        before = {client["id"] for client in asking.client_list()}
        start(url=scratch.url, space="small", concurrency=16)
        handles = [mlq.submit(["sleep", 0.1]) for _ in range(48)]
        for handle in handles:
            handle.result(60)

        def of_the_worker() -> list[dict[str, str]]:
            return [c for c in asking.client_list() if c["id"] not in before and c["name"] != "side"]

        def sent() -> int:  # what scripts call is counted, too: a look of reap.lua is one HMGET and one ZCARD
            calls = Counter({name: stat["calls"] for name, stat in asking.info("commandstats").items()})
            return sum(calls[f"cmdstat_{name}"] for name in ("evalsha", "blpop", "zcard")) - calls["cmdstat_hmget"]

        assert 1 <= len(of_the_worker()) <= 3
        time.sleep(3)  # until what was counted of the jobs is delivered
        before_rest, begun = sent(), time.monotonic()
        time.sleep(6)
        assert sent() - before_rest <= 2 * (time.monotonic() - begun) + 1
        mlq.close()
