"""The routes for monitoring: alive, ready, metrics for Prometheus, and the number to scale on."""

import logging
from collections.abc import Iterator, Sequence
from functools import partial

from flask import Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from mlq import MLQ, ServerError
from mlq.core.checks import check_queue
from mlq.core.shadow import COUNTED, ShadowState
from mlq.http.answers import as_json, plain_text, wants_json
from mlq.http.routes import Parameter, Role, Route
from mlq.http.settings import Settings
from mlq.http.shapes import Ready, Scale
from mlq.http.turns import ALWAYS, AskedOnce, Turns
from mlq.ops.stats import BOUNDS, OTHER, Histogram, QueueStats, Stats

log = logging.getLogger("mlq.http")

MOST_QUEUES = 201  # with their own label in metrics; lua/shared/count.lua keeps 200 and `(other)`
_EDGES = (*map(str, BOUNDS), "+Inf")
_NOTHING = Histogram((0,) * len(_EDGES), 0.0)


def routes(mlq: MLQ, settings: Settings) -> list[Route]:  # noqa: ARG001 - all modules of routes are alike
    """The routes for one queue."""
    group, stats, shadows = "Monitoring", AskedOnce(partial(MLQ.stats, mlq)), AskedOnce(partial(MLQ.shadows, mlq))
    return [
        Route("GET", "/healthz", lambda: plain_text("ok"), Role.NOBODY, "Alive", {200: "This process responds."}, group,
              about="Does not use the server: for a probe that restarts the process."),
        Route("GET", "/readyz", partial(_ready, AskedOnce(partial(MLQ.workers, mlq))), Role.NOBODY, "Ready",
              {200: "The server responds, and a worker is alive.", 503: "Not ready; the body says why."}, group,
              reply=Ready),
        Route("GET", "/metrics", partial(_metrics, stats, shadows), Role.READ, "Metrics for Prometheus",
              {200: "In Prometheus' text format, or as OpenMetrics if that is asked for."}, group),
        Route("GET", "/scale", partial(_scale, stats), Role.READ, "The number to scale on",
              {200: "`wanted` is how many slots would be busy if there were enough: waiting + running."}, group,
              reply=Scale, parameters=(Parameter("queue", "query", "Only for this queue."),)),
    ]  # fmt: skip


_turns = Turns(most_waiting=50)  # with 200 queues, metrics take 30 ms to write


def lack(workers: AskedOnce[list[dict[str, str]]]) -> str | None:
    """Why jobs would not be run; None if they would."""
    try:
        return None if workers.answer() else "no worker is alive: jobs are accepted, but none is run"
    except ServerError as error:
        log.warning("not ready: %s", error)
        return "the server does not respond"  # without its address, as this route needs no token


def _ready(workers: AskedOnce[list[dict[str, str]]]) -> Response:
    reason = lack(workers)
    status = 503 if reason else 200
    return as_json(Ready(reason is None, reason), status) if wants_json() else plain_text(reason or "ready", status)


def _scale(asked: AskedOnce[Stats]) -> Response:
    name = request.args.get("queue")
    if name is not None:
        check_queue(name)
    stats = asked.answer()
    if name is None:
        scale = Scale(None, stats.waiting, stats.scheduled, stats.running, stats.workers, stats.slots, stats.wanted)
    else:
        queue = stats.queues.get(name) or _EMPTY
        scale = Scale(name, queue.waiting, None, queue.running, queue.workers, queue.slots, queue.wanted)
    return as_json(scale, headers={"Cache-Control": "no-store"})


def _metrics(asked: AskedOnce[Stats], asked_of_shadows: AskedOnce[list[ShadowState]]) -> Response:
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    stats, shadows = asked.answer(), asked_of_shadows.answer()
    with _turns.take(ALWAYS):
        registry = CollectorRegistry()
        registry.register(_Families(stats, shadows))
        return Response(encode(registry), content_type=kind)


_EMPTY = QueueStats(0, 0, None, 0, 0, {}, _NOTHING, _NOTHING, 0, 0)


def _bounded(queues: dict[str, QueueStats]) -> dict[str, QueueStats]:
    """The first 201 queues, beginning with those that have counts; the others are added to `(other)`."""
    ranked = sorted(queues, key=lambda name: (not _is_counted(queues[name]), name))
    rest = [queues[name] for name in ranked[MOST_QUEUES:]]
    kept = {name: queues[name] for name in ranked[:MOST_QUEUES]}
    if rest:
        other = kept.get(OTHER, _EMPTY)
        rest.append(other)
        kept[OTHER] = other._replace(
            waiting=sum(one.waiting for one in rest),
            running=sum(one.running for one in rest),
            oldest=max(one.oldest or 0.0 for one in rest),
        )
    return kept


def _is_counted(queue: QueueStats) -> bool:
    return bool(queue.wait.total or sum(queue.attempts.values()))


class _Families(Collector):
    """The metrics of a namespace. Labels are queues, models, states and outcomes: nothing that grows with the jobs."""

    def __init__(self, stats: Stats, shadows: Sequence[ShadowState]) -> None:
        self._stats = stats
        self._shadows = shadows
        self._queues = _bounded(stats.queues)

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield self._jobs()
        oldest = GaugeMetricFamily("mlq_oldest_job_age_seconds", "Since the oldest waiting job was posted; 0 for none.",
                                   labels=["queue"])  # fmt: skip
        attempts = CounterMetricFamily("mlq_attempts", "Attempts that ended, by outcome.", labels=["queue", "outcome"])
        wait = HistogramMetricFamily("mlq_job_wait_seconds", "From the post to the first attempt.", labels=["queue"])
        run = HistogramMetricFamily("mlq_job_run_seconds", "How long attempts took.", labels=["queue"])
        batches = CounterMetricFamily("mlq_batches", "Calls of listeners that take batches.", labels=["queue"])
        batched = CounterMetricFamily("mlq_batched_attempts", "Attempts in these calls.", labels=["queue"])
        for name, queue in self._queues.items():
            batches.add_metric([name], queue.batches)
            batched.add_metric([name], queue.batched)
            oldest.add_metric([name], queue.oldest or 0.0)
            for outcome, number in queue.attempts.items():
                attempts.add_metric([name, outcome], number)
            for family, histogram in ((wait, queue.wait), (run, queue.run)):
                family.add_metric([name], _cumulated(histogram), histogram.seconds)
        yield from (oldest, attempts, wait, run, batches, batched)
        yield from self._models()
        yield self._rows()
        yield self._compared()
        yield from self._totals()

    def _jobs(self) -> Metric:
        family = GaugeMetricFamily("mlq_jobs", "Jobs that have not succeeded, by state; scheduled, blocked and "
                                   "failed ones have no queue.", labels=["queue", "state"])  # fmt: skip
        for name, queue in self._queues.items():
            family.add_metric([name, "queued"], queue.waiting)
            family.add_metric([name, "running"], queue.running)
        family.add_metric(["", "scheduled"], self._stats.scheduled)
        family.add_metric(["", "blocked"], self._stats.blocked)
        family.add_metric(["", "failed"], self._stats.dead)
        return family

    def _models(self) -> Iterator[Metric]:
        loads = CounterMetricFamily("mlq_model_loads", "Loads of models into processes.", labels=["queue"])
        seconds = CounterMetricFamily("mlq_model_load_seconds", "How long these took together.", labels=["queue"])
        evictions = CounterMetricFamily("mlq_model_evictions", "Models unloaded, unused or to make place for others.",
                                        labels=["queue"])  # fmt: skip
        for name, queue in self._queues.items():
            if queue.loads:
                loads.add_metric([name], queue.loads)
                seconds.add_metric([name], queue.load_seconds)
                evictions.add_metric([name], queue.evictions)
        yield from (loads, seconds, evictions)

    def _rows(self) -> Metric:
        family = CounterMetricFamily("mlq_file_rows", "Rows of files that were predicted, by outcome.",
                                     labels=["outcome"])  # fmt: skip
        rows, failed = (
            sum(getattr(one, name) for one in self._stats.queues.values()) for name in ("rows", "rows_failed")
        )
        family.add_metric(["succeeded"], rows - failed)
        family.add_metric(["failed"], failed)
        return family

    def _compared(self) -> Metric:
        family = CounterMetricFamily("mlq_shadow_predictions", "Predictions chosen for shadows, by how these compare.",
                                     labels=["model", "version", "outcome"])  # fmt: skip
        for one in self._shadows:
            for outcome in COUNTED:
                family.add_metric([one.model, one.version, outcome], getattr(one, outcome))
        return family

    def _totals(self) -> Iterator[Metric]:
        stats = self._stats
        for name, about, value in (
            ("mlq_model_memory_bytes", "What the processes hold that have loaded models.", stats.memory),
            ("mlq_workers", "Live workers.", stats.workers),
            ("mlq_slots", "Jobs that these workers can run at a time.", stats.slots),
            ("mlq_slots_busy", "Slots in which a job runs.", stats.busy),
            ("mlq_slots_wanted", "Slots that would be busy if there were enough: jobs that wait or run.", stats.wanted),
        ):
            yield GaugeMetricFamily(name, about, value)
        pending = GaugeMetricFamily("mlq_deliveries_pending", "Callbacks and webhooks to send.", labels=["kind"])
        tries = CounterMetricFamily("mlq_deliveries", "Tries to send them, by outcome.", labels=["kind", "outcome"])
        for kind, deliveries in stats.deliveries.items():
            pending.add_metric([kind], deliveries.pending)
            for outcome, number in deliveries.tries.items():
                tries.add_metric([kind, outcome], number)
        yield from (pending, tries)


def _cumulated(histogram: Histogram) -> list[tuple[str, float]]:
    """Cumulative buckets, as Prometheus expects them."""
    total, found = 0, []
    for edge, number in zip(_EDGES, histogram.buckets, strict=True):
        total += number
        found.append((edge, float(total)))
    return found
