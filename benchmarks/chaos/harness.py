"""One run from start to end: a server, a proxy, workers, posters and the adversary; then peace, and what is left."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import redis

from benchmarks.chaos import features, leftovers
from benchmarks.chaos.adversary import Adversary, Step, schedule
from benchmarks.chaos.evidence import KEYS, Evidence, read_jobs, read_runs, unfinished
from benchmarks.chaos.fleet import Fleet, Place, helpers
from benchmarks.chaos.mix import NAMESPACE, Mix
from benchmarks.chaos.passersby import Passersby
from benchmarks.chaos.pipelines.poster import Pipelines
from benchmarks.chaos.poster import Poster
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.receiver import Receiver
from benchmarks.chaos.rules.poster import Rules
from benchmarks.chaos.rules.told import take_back
from benchmarks.chaos.trouble import Troubles
from mlq import MLQ, MLQError
from mlq.server import Scratch, scratch

SLOTS = {"thread": 6, "process": 2, "asyncio": 8}  # per worker
WORKERS = 4
PATIENCE = (10.0, 0.3)  # seconds, of the posters: one outlasts each restart and cut, the other gives up at most
DRAIN = 75.0  # seconds of peace until everything must be done: three lost leases, or a callback's leases and pauses
TURN = 0.05  # seconds between two looks


class Stage(NamedTuple):
    """All that takes part."""

    server: Scratch
    proxy: Proxy
    receiver: Receiver
    fleet: Fleet
    posters: list[Poster]
    passersby: Passersby
    pipelines: Pipelines
    rules: Rules
    effects: Path
    logs: Path


def run(seed: int, seconds: float, jobs_per_second: float) -> Evidence:
    """A run, and its evidence. Raises nothing for what went wrong: that is in the evidence."""
    has = {"retries": features.RETRIES, "timeouts": features.TIMEOUTS, "batches": features.BATCHES}
    mix = Mix(seed, jobs_per_second, **has)
    began = time.monotonic()
    evidence = Evidence(mix, 0.0, Troubles())
    with _stage(mix, seed, jobs_per_second, evidence.troubles) as stage:
        _wreak(stage, schedule(seed, seconds), seconds, evidence)
        _make_peace(stage, evidence)
        _gather(stage, evidence)
    evidence.seconds = time.monotonic() - began
    return evidence


def places(direct: str, proxied: str) -> list[Place]:
    """Workers of all pools, as many behind the proxy as not; of several pools each is on both sides."""
    pools = features.POOLS
    made = []
    for i in range(max(WORKERS, 2 * len(pools))):
        pool, behind = pools[i % len(pools)], bool((i + i // len(pools) * (len(pools) % 2 == 0)) % 2)
        made.append(Place(pool, SLOTS[pool], proxied if behind else direct, behind))
    return made


@contextmanager
def _stage(mix: Mix, seed: int, jobs_per_second: float, troubles: Troubles) -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="mlq-chaos-"))
        stack.callback(shutil.rmtree, folder)
        server = stack.enter_context(scratch(appendfsync="always", port=0))
        proxy = stack.enter_context(closing(Proxy(urlsplit(server.url).port or 0)))
        receiver = stack.enter_context(closing(Receiver()))
        through = f"redis://127.0.0.1:{proxy.port}"
        effects, logs = folder / "effects", folder / "logs"
        logs.mkdir()
        rules = Rules(server.url, seed, jobs_per_second)
        stack.callback(rules.end)
        fleet = Fleet(places(server.url, through), effects, logs, troubles)
        stack.callback(fleet.end)
        posters = [
            Poster(url, mix, receiver, i, len(PATIENCE), jobs_per_second, patience)
            for i, (url, patience) in enumerate(zip((server.url, through), PATIENCE, strict=True))
        ]
        for poster in posters:
            stack.callback(poster.stop)
        passersby = Passersby(server.url)
        stack.callback(passersby.stop)
        pipelines = Pipelines(server.url, seed, jobs_per_second, receiver, effects)
        stack.callback(pipelines.end)
        yield Stage(server, proxy, receiver, fleet, posters, passersby, pipelines, rules, effects, logs)


def _wreak(stage: Stage, steps: list[Step], seconds: float, evidence: Evidence) -> None:
    """Let the adversary loose while the posters post; afterwards all is healed, and they have stopped."""
    adversary = Adversary(steps, stage.fleet, stage.server, stage.proxy, evidence.troubles)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        adversary.turn()
        stage.fleet.tend()
        time.sleep(TURN)
    adversary.heal()
    stage.pipelines.stop()
    stage.rules.stop()
    stage.passersby.stop()
    evidence.queues = stage.passersby.queues
    for poster in stage.posters:
        poster.stop()
        evidence.acknowledged |= poster.acknowledged
        evidence.unknown |= poster.unknown


def _make_peace(stage: Stage, evidence: Evidence) -> None:
    """Wait until everything is done, then stop the workers."""
    end = time.monotonic() + DRAIN
    with redis.Redis.from_url(stage.server.url) as client:
        while (left := unfinished(client) or stage.pipelines.to_do() or stage.rules.to_do()) and time.monotonic() < end:
            stage.fleet.tend()
            time.sleep(TURN)
    if left:
        evidence.wrong.append(f"not done after {DRAIN:.0f} s of peace: {left}")
    stage.pipelines.end()
    stage.rules.end()
    stage.fleet.stop()
    if orphans := stage.fleet.orphans_left():
        evidence.wrong.append(f"children of killed workers still run: {orphans}")
    if left_over := helpers():
        evidence.wrong.append(f"programs that jobs started outlived them: {left_over}")


def _delete_pipelines(mlq: MLQ, evidence: Evidence) -> Iterator[str]:
    """The last ones first: a job can't be deleted before those that come after it."""
    for root in sorted((int(piece.root) for piece in evidence.pieces.values() if piece.key), reverse=True):
        try:
            mlq.delete(str(root))
        except MLQError as error:
            yield f"a pipeline can't be deleted: {error}"


def _gather(stage: Stage, evidence: Evidence) -> None:
    """All that is left, as evidence."""
    with redis.Redis.from_url(stage.server.url) as client, MLQ(NAMESPACE, url=stage.server.url) as mlq:
        evidence.jobs, evidence.pieces, evidence.turns = read_jobs(mlq, client)
        evidence.fates, evidence.told = stage.pipelines.fates, stage.rules.told
        evidence.dead = {job_id.decode() for job_id in client.zrange(KEYS.dead, 0, -1)}
        evidence.runs = read_runs(stage.effects)
        evidence.calls = dict(stage.receiver.calls)
        evidence.kills, evidence.exits = stage.fleet.kills, stage.fleet.exits
        evidence.wrong += stage.fleet.wrong
        workers = {run.worker for runs in evidence.runs.values() for run in runs}
        evidence.wrong += [f"worker {pid} died of SIGTERM, though it worked" for pid in stage.fleet.unborn & workers]
        evidence.wrong += leftovers.find(client, evidence, in_use=True)
        evidence.keys = leftovers.by_kind(client)
        evidence.wrong += _delete_pipelines(mlq, evidence)
        evidence.wrong += take_back(mlq)
        evidence.wrong += leftovers.find(client, evidence, in_use=False)
    for log in sorted(stage.logs.iterdir()):
        text = log.read_text(errors="replace")
        if (start := text.find("Traceback")) >= 0:
            evidence.wrong.append(f"the worker of {log.name} wrote a traceback: {text[start : start + 1500]}")
