"""The paths of whoever watches: alive, ready, metrics, and the number to scale on."""

import pytest
import redis
from flask import Flask
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from mlq import MLQ, server
from mlq.core.keys import Keys
from mlq.http import health, problems
from mlq.http.settings import Settings
from mlq.ops import presence as presence_ops
from mlq.ops import stats as stats_ops
from mlq.ops.stats import COUNTERS, KINDS, OTHER, OUTCOMES, TRIES

LABELS = {"queue", "state", "outcome", "kind", "le"}
HOSTILE = ['"', "\\", '\\"', "a b", "{x}", "a#", "é☃\U0001f600", "=", "\\n", "'}", "(other)", "-", "x" * 100]
SCALE = {"queue": None, "waiting": 0, "scheduled": 0, "running": 0, "workers": 0, "capacity": 0, "wanted": 0}


def application(mlq):
    app = Flask("test")
    for route in health.routes(mlq, Settings()):
        app.add_url_rule(route.path, route.path, route.view, methods=[route.method])
    problems.handle_all(app, mlq)
    return app.test_client()


@pytest.fixture
def client(mlq):
    return application(mlq)


@pytest.fixture
def nowhere():
    """The paths of a queue whose server is not there."""
    return application(MLQ("x", url="redis://:secret@127.0.0.1:1"))


@pytest.fixture
def worker(mlq, shell):
    """One that says of itself what it is told to, and does nothing."""

    def live(**about):
        shell.run(presence_ops.alive(Keys(mlq.namespace), f"w{len(mlq.workers())}", 10.0, about))

    return live


@pytest.fixture
def count(mlq, shell):
    """Counts something of a queue."""
    numbers = iter(range(1, 1000))

    def tell(queue, **counts):
        row = [counts.get(what.replace(":", "_"), 0) for what in COUNTERS]
        shell.run(stats_ops.tally(Keys(mlq.namespace), "w", next(numbers), [(queue, row)]))

    return tell


def scraped(client, accept=""):
    """All samples: (name, labels) and value."""
    given = client.get("/metrics", headers={"Accept": accept})
    assert given.status_code == 200
    families = list((parse_openmetrics if "openmetrics" in accept else parse)(given.text))
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def value(found, name, **labels):
    return found[name, tuple(sorted(labels.items()))]


# --- probes


@pytest.mark.parametrize("path", ["client", "nowhere"])
def test_alive_touches_no_server(request, path):
    given = request.getfixturevalue(path).get("/healthz")
    assert (given.status_code, given.text) == (200, "ok")


def test_ready_with_a_worker(client, worker):
    worker(slots=1)
    given = client.get("/readyz")
    assert (given.status_code, given.text) == (200, "ready")
    assert client.get("/readyz", headers={"Accept": "application/json"}).json == {"ready": True, "reason": None}


def test_not_ready_without_a_worker(client):
    given = client.get("/readyz")
    assert given.status_code == 503
    assert "no worker" in given.text
    given = client.get("/readyz", headers={"Accept": "application/json"})
    assert given.status_code == 503
    assert given.json == {"ready": False, "reason": client.get("/readyz").text}


def test_not_ready_without_a_server(nowhere):
    """Who needs no token learns no address."""
    given = nowhere.get("/readyz")
    assert (given.status_code, given.text) == (503, "the server does not respond")


# --- scale


def test_scale_of_an_empty_namespace(client):
    given = client.get("/scale")
    assert given.content_type == "application/json"
    assert given.json == SCALE


def test_scale_counts_what_waits_and_runs(mlq, client, worker):
    mlq.post_many([1, 2], queue="gpu")
    mlq.post_many([1, 2, 3], functions=["f"])
    worker(slots=4, busy=0, queues="default")
    worker(slots=2, busy=0, queues="default,gpu")
    assert client.get("/scale").json == SCALE | {"waiting": 5, "workers": 2, "capacity": 6, "wanted": 5}
    gpu = {"queue": "gpu", "scheduled": None, "waiting": 2, "workers": 1, "capacity": 2, "wanted": 2}
    assert client.get("/scale?queue=gpu").json == SCALE | gpu
    assert client.get("/scale?queue=unknown").json == SCALE | {"queue": "unknown", "scheduled": None}


@pytest.mark.parametrize("queue", ["", "a,b", "a:b", "x" * 101, "%00"])
def test_scale_of_what_is_no_queue_is_refused(client, queue):
    assert client.get(f"/scale?queue={queue}").status_code == 400


@pytest.mark.parametrize("path", ["/scale", "/metrics"])
def test_numbers_without_a_server_are_503(nowhere, path):
    given = nowhere.get(path)
    assert given.status_code == 503
    assert "secret" not in given.text


# --- metrics

ACCEPTED = ["", "application/openmetrics-text; version=1.0.0", "text/plain; version=0.0.4"]


@pytest.mark.parametrize("accept", ACCEPTED)
def test_metrics_are_what_is_there(mlq, client, worker, count, accept):
    mlq.post_many([1, 2], queue="gpu")
    worker(slots=4, busy=3, queues="gpu")
    count("gpu", attempts_succeeded=7, attempts_oom=1, run_3=5, run_14=3, run_sum=1.5, wait_0=1)
    found = scraped(client, accept)
    assert value(found, "mlq_jobs", queue="gpu", state="queued") == 2
    assert value(found, "mlq_jobs", queue="gpu", state="running") == 0
    assert value(found, "mlq_jobs", queue="", state="failed") == 0
    assert 0 <= value(found, "mlq_oldest_job_age_seconds", queue="gpu") < 60
    assert value(found, "mlq_attempts_total", queue="gpu", outcome="succeeded") == 7
    assert value(found, "mlq_attempts_total", queue="gpu", outcome="oom") == 1
    assert value(found, "mlq_attempts_total", queue="gpu", outcome="handed back") == 0
    assert value(found, "mlq_job_run_seconds_bucket", queue="gpu", le="0.1") == 5
    assert value(found, "mlq_job_run_seconds_bucket", queue="gpu", le="14400.0") == 5
    assert value(found, "mlq_job_run_seconds_bucket", queue="gpu", le="+Inf") == 8
    assert value(found, "mlq_job_run_seconds_count", queue="gpu") == 8
    assert value(found, "mlq_job_run_seconds_sum", queue="gpu") == 1.5
    assert value(found, "mlq_job_wait_seconds_count", queue="gpu") == 1
    totals = {"mlq_workers": 1, "mlq_slots": 4, "mlq_slots_busy": 3, "mlq_slots_wanted": 2}
    assert {name: value(found, name) for name in totals} == totals
    assert value(found, "mlq_deliveries_pending", kind="webhook") == 0


def test_the_format_is_named(client):
    assert client.get("/metrics").content_type.startswith("text/plain; version=0.0.4")
    given = client.get("/metrics", headers={"Accept": ACCEPTED[1]})
    assert given.content_type.startswith("application/openmetrics-text")


@pytest.mark.parametrize("accept", ACCEPTED[:2])
def test_hostile_names_of_queues_come_through(mlq, client, count, accept):
    for number, queue in enumerate(HOSTILE, 1):
        mlq.post_many(list(range(number)), queue=queue)
        count(queue, attempts_error=number)
    found = scraped(client, accept)
    for number, queue in enumerate(HOSTILE, 1):
        assert value(found, "mlq_jobs", queue=queue, state="queued") == number
        assert value(found, "mlq_attempts_total", queue=queue, outcome="error") == number


def test_labels_hold_no_ids_and_no_workers(mlq, client):
    mlq.create_listener(lambda message: message, concurrency=2)
    for message in range(20):
        mlq.submit(message, functions=["<lambda>"]).result(60)
    mlq.shutdown()
    found = scraped(client)
    labels = {name for _, pairs in found for name, _ in pairs}
    values = {value for _, pairs in found for name, value in pairs if name != "le"}
    assert labels <= LABELS
    assert values <= {"", "default", *OUTCOMES, *TRIES, *KINDS, "queued", "running", "scheduled", "blocked", "failed"}
    assert value(found, "mlq_attempts_total", queue="default", outcome="succeeded") == 20


def test_the_number_of_series_is_bounded(mlq, client, count):
    """However many queues there are; their jobs are all counted, and those that run something are told apart."""
    for i in range(230):
        mlq.post(i, queue=f"q{i:03}")
    count("q229", attempts_succeeded=1)
    found = scraped(client)
    queued = {dict(pairs)["queue"]: v for (name, pairs), v in found.items() if ("state", "queued") in pairs}
    assert len(queued) <= health.MOST_QUEUES + 1
    assert sum(queued.values()) == 230
    assert queued[OTHER] == 230 - health.MOST_QUEUES
    assert queued["q229"] == 1


def test_two_servers_tell_the_same(mlq, server_url, client, count):
    count("default", attempts_succeeded=3)
    other = MLQ(mlq.namespace, url=server_url)
    found = [scraped(one) for one in (client, application(other), client)]
    assert found[0] == found[1] == found[2]
    other.close()


def test_one_look_is_one_call_whatever_waits(isolated_environment, chosen_server_program):
    """So a scrape costs the same for ten thousand jobs as for ten: it asks for the numbers, and for the shadows.

    On a server that no other test uses.
    """
    with (
        server.scratch(appendfsync=None, port=0) as own,
        MLQ("looks", url=own.url) as mlq,
        redis.Redis.from_url(own.url) as raw,
    ):
        client = application(mlq)
        client.get("/metrics")
        mlq.post_many(range(1000))

        def calls():
            return {name: stat["calls"] for name, stat in raw.info("commandstats").items()}

        before = calls()
        client.get("/metrics")
        after = calls()
        assert after["cmdstat_evalsha"] - before["cmdstat_evalsha"] == 2
        assert sum(after.values()) - sum(before.values()) < 30
