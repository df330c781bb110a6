"""What a step of a pipeline costs beside a plain job: `python -m benchmarks --cases pipelines`."""

import time

import redis

from benchmarks.stage import Stage

ROOTS, PARTS, FANS, CHAINS, DEPENDENTS = 5000, 1000, 10, 200, 1000


def _seconds(stage: Stage, listener: str, messages: list[int]) -> float:
    """From the post of these jobs until all of them, and all that they became, have ended."""
    began = time.perf_counter()
    stage.mlq.post_many(messages, functions=[listener])
    while stage.mlq.job_count():
        time.sleep(0.002)
    return time.perf_counter() - began


def pipelines(stage: Stage) -> dict[str, float]:
    """Forwards, fan-outs and fan-ins, chains; and what a job that waits for another one costs the server."""
    with stage.worker(10):
        plain = _seconds(stage, "work", list(range(2 * ROOTS)))
        forwards = _seconds(stage, "forward", list(range(ROOTS)))
        parts = _seconds(stage, "work", list(range(FANS * (PARTS + 1))))
        fans = _seconds(stage, "scan", [PARTS] * FANS)
        one = _seconds(stage, "scan", [PARTS])
        chain = _seconds(stage, "chain", [9])
        chains = _seconds(stage, "chain", [9] * CHAINS)
    return {
        "a forward ÷ two plain jobs, time": forwards / plain,
        f"{FANS} fan-ins of {PARTS:,} ÷ as many plain jobs, rate": parts / fans,
        f"a fan-in of {PARTS:,}, ms": 1000 * one,
        "a chain of 10, ms": 1000 * chain,
        f"{CHAINS} chains of 10, steps/s": 10 * CHAINS / chains,
        **_memory(stage),
    }


def _memory(stage: Stage) -> dict[str, float]:
    client = redis.Redis.from_url(stage.server.url)

    def used() -> int:
        return int(client.info("memory")["used_memory"])

    needed = stage.mlq.submit(0)
    before = used()
    stage.mlq.post_many(list(range(DEPENDENTS)))
    between = used()
    stage.mlq.post_many(list(range(DEPENDENTS)), after=[needed])
    waiting, dependent = (between - before) / DEPENDENTS, (used() - between) / DEPENDENTS
    stage.mlq.clear()
    return {"server bytes of a plain job that waits": waiting, "of a job that comes after it": dependent}
