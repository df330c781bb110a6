"""What a worker costs the server."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from mlq import MLQ, WaitTimeout, server


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
            handle.result(20)

        def of_the_worker() -> list[dict[str, str]]:
            return [c for c in asking.client_list() if c["id"] not in before and c["name"] != "side"]

        def sent() -> int:  # what scripts call is counted under its own name
            stats = asking.info("commandstats")
            return sum(stats[name]["calls"] for name in ("cmdstat_evalsha", "cmdstat_blpop"))

        assert 1 <= len(of_the_worker()) <= 3
        before_rest, begun = sent(), time.monotonic()
        time.sleep(5.5)  # longer than one wait of the claimer
        assert (sent() - before_rest) / (time.monotonic() - begun) <= 2
        mlq.close()
