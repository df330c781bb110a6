"""What is measured. Each case gets a stage and gives figures by name: rates per second, times in milliseconds."""

import itertools
import time
from collections.abc import Callable

import redis

from benchmarks.peers.probes import Server
from benchmarks.stage import Stage

Figures = dict[str, float]

SMALL = {"number": 1, "text": "x" * 80}  # packs to about 100 bytes


def bare_loop(stage: Stage) -> Figures:
    """The floor: redis-py alone, one RPUSH per round trip."""
    client = redis.Redis.from_url(stage.server.url)
    count = 5000
    began = time.perf_counter()
    for _ in range(count):
        client.rpush("bare", b"x" * 100)
    rate = count / (time.perf_counter() - began)
    client.delete("bare")
    return {"bare redis-py loop, calls/s": rate}


def post_one_by_one(stage: Stage) -> Figures:
    """Posts of 100 bytes, each in a call."""
    count = 5000
    began = time.perf_counter()
    for _ in range(count):
        stage.mlq.post(SMALL)
    rate = count / (time.perf_counter() - began)
    stage.mlq.clear()
    return {"post one by one, jobs/s": rate}


def post_in_bulk(stage: Stage) -> Figures:
    """Posts of 100 bytes in one call of post_many; and what a waiting job costs the server."""
    client = redis.Redis.from_url(stage.server.url)
    before = client.info("memory")["used_memory"]
    count = 50_000
    began = time.perf_counter()
    stage.mlq.post_many([SMALL] * count)
    rate = count / (time.perf_counter() - began)
    used = (client.info("memory")["used_memory"] - before) / count
    stage.mlq.clear()
    return {"post in bulk, jobs/s": rate, "server bytes per waiting job": used}


def drain(stage: Stage) -> Figures:
    """10,000 small jobs by one worker of ten threads, results stored."""
    return {"drain 10,000, 10 threads, jobs/s": _gated_drain(stage, 10_000, 0)}


def backlog(stage: Stage) -> Figures:
    """The same with 5,000 and with 1,000,000 jobs waiting behind."""
    return {
        "drain, 5,000 behind, jobs/s": _gated_drain(stage, 5_000, 5_000),
        "drain, 1,000,000 behind, jobs/s": _gated_drain(stage, 5_000, 1_000_000),
    }


def _gated_drain(stage: Stage, count: int, behind: int) -> float:
    """Jobs per second of a worker that is up before the jobs are there: jobs that sleep hold it until they are."""
    with stage.worker(10):
        return _drain(stage, 1.0 + behind / 100_000, lambda: stage.mlq.post_many([SMALL] * (count + behind))[:count])


def _drain(stage: Stage, seconds: float, post: Callable[[], list[str]]) -> float:
    """Jobs per second, from when the worker is free, after `seconds`, to when the last job that `post` returns ends."""
    gates = stage.mlq.post_many([{"sleep": seconds}] * 10, functions=["work"])
    ids = post()
    stage.mlq.wait(gates[-1], timeout=60)
    began = time.perf_counter()
    stage.mlq.wait(ids[-1], timeout=300)
    return len(ids) / (time.perf_counter() - began)


def ended(stage: Stage) -> Figures:
    """5,000 jobs by a worker, and again when the server holds 1,000,000 that have ended, with their results."""
    with stage.worker(10):
        before = _drain(stage, 1.0, lambda: stage.mlq.post_many([SMALL] * 5_000))
        stage.mlq.wait(stage.mlq.post_many([SMALL] * 1_000_000)[-1], timeout=600)
        after = _drain(stage, 1.0, lambda: stage.mlq.post_many([SMALL] * 5_000))
    return {"drain, nothing has ended, jobs/s": before, "drain, 1,000,000 have ended, jobs/s": after}


def lanes(stage: Stage) -> Figures:
    """10,000 jobs that name two functions each, in 1, 100 and 10,000 lanes; and in one beside 10,000 unserved."""
    figures: Figures = {}
    pairs = list(itertools.combinations([f"echo_{i}" for i in range(ECHOES)], 2))
    for count in (1, 100, 10_000):
        with stage.worker(10, echoes=ECHOES):
            rate = _drain(stage, 4.0, lambda: _spread(stage, pairs[:count], 10_000 // count))  # noqa: B023 - it is called now
        figures[f"drain, {count:,} lanes, jobs/s"] = rate
    for i in range(10_000):
        stage.mlq.post(SMALL, queue=f"unserved-{i}")
    with stage.worker(10, echoes=ECHOES):
        figures["drain, 1 lane beside 10,000 unserved, jobs/s"] = _drain(
            stage, 4.0, lambda: _spread(stage, pairs[:1], 10_000)
        )
    return figures


ECHOES = 142  # functions; 10,011 pairs of them


def _spread(stage: Stage, pairs: list[tuple[str, str]], count: int) -> list[str]:
    """Posts `count` jobs to each lane; returns the ids."""
    return [job_id for pair in pairs for job_id in stage.mlq.post_many([SMALL] * count, functions=list(pair))]


def latency(stage: Stage) -> Figures:
    """From submit to result with an idle worker."""
    with stage.worker(1):
        times = []
        for i in range(600):
            began = time.perf_counter()
            stage.mlq.submit(i).result(timeout=10)
            times.append((time.perf_counter() - began) * 1000)
        time.sleep(3)
        began = time.perf_counter()
        stage.mlq.submit(0).result(timeout=10)
        first = (time.perf_counter() - began) * 1000
    times = sorted(times[100:])
    return {
        "post to result, p50 ms": times[len(times) // 2],
        "post to result, p99 ms": times[int(len(times) * 0.99)],
        "first job after 3 s idle, ms": first,
    }


def large(stage: Stage) -> Figures:
    """A message of 1 MB and a result of 1 MB."""
    payload = b"x" * 1_000_000
    with stage.worker(1):
        times = []
        for _ in range(30):
            began = time.perf_counter()
            stage.mlq.submit(payload).result(timeout=10)
            times.append((time.perf_counter() - began) * 1000)
    return {"1 MB there and back, ms": sorted(times)[len(times) // 2]}


def idle(stage: Stage) -> Figures:
    """What a worker without work costs: commands it sends, its processor time, its memory."""
    seconds = 10
    with stage.worker(10) as process:

        def spent() -> float:
            with open(f"/proc/{process.pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / 100

        time.sleep(1)
        cpu = spent()
        sent, called = Server(stage.server.url).sent_within(seconds)
        cpu_after = spent()
        with open(f"/proc/{process.pid}/statm") as file:
            resident = int(file.read().split()[1]) * 4096 / 1e6
    return {
        "idle worker, commands/s": sent / seconds,
        "idle worker, commands/s with those in scripts": (sent + called) / seconds,
        "idle worker, % of a core": (cpu_after - cpu) / seconds * 100,
        "idle worker, MB": resident,
    }


CASES: dict[str, Callable[[Stage], Figures]] = {
    "post": post_one_by_one,
    "bulk": post_in_bulk,
    "drain": drain,
    "latency": latency,
    "large": large,
    "idle": idle,
    "backlog": backlog,
    "ended": ended,
    "lanes": lanes,
}
