"""What `deploy/` and `docs/monitoring.md` say of metrics is true: each one exists, with the labels asked for."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse

from mlq.core.shadow import ShadowState
from mlq.http.health import _Families
from mlq.ops.stats import KINDS, OUTCOMES, TRIES, DeliveryStats, Histogram, QueueStats, Stats

ROOT = Path(__file__).parents[2]
METRIC = re.compile(r"\bmlq_[a-z_]+")
LABEL = re.compile(r'[{,]\s*(\w+)\s*(=~|!=|=)\s*"([^"]*)"')


@pytest.fixture(scope="module")
def samples():
    """All that /metrics may tell: names, each with its labels and their values."""
    times = Histogram((1,) * 15, 1.0)
    queue = QueueStats(1, 1, 1.0, 1, 1, dict.fromkeys(OUTCOMES, 1), times, times, 1, 1, 1, 1.0, 1)
    deliveries = {kind: DeliveryStats(1, dict.fromkeys(TRIES, 1)) for kind in KINDS}
    registry = CollectorRegistry()
    registry.register(
        _Families(Stats({"default": queue}, 1, 1, 1, 1, deliveries, 1, 1, 1), [ShadowState("iris", "2", 0.1)])
    )
    found = {}
    for family in parse(generate_latest(registry).decode()):
        for one in family.samples:
            for label, value in (one.labels or {"": ""}).items():
                found.setdefault(one.name, {}).setdefault(label, set()).add(value)
    return found


def rules():
    groups = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels():
    return json.loads((ROOT / "deploy/grafana.json").read_text("utf-8"))["panels"]


QUERIES = [
    *(pytest.param(rule["expr"], id=rule["alert"]) for rule in rules()),
    *(pytest.param(target["expr"], id=panel["title"]) for panel in panels() for target in panel["targets"]),
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_there_is(samples, query):
    named = METRIC.findall(query)
    assert named
    for name in named:
        assert name in samples
        told = {label for label in samples[name] if label}
        for grouped in re.findall(r"by \(([\w, ]+)\)", query):
            assert set(grouped.split(", ")) <= told
    for label, how, value in LABEL.findall(query):
        known = set().union(*(samples[name].get(label, set()) for name in named))
        assert set(value.split("|") if how == "=~" else [value]) <= known


def test_alerts_say_what_to_do():
    for rule in rules():
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_panels_lie_beside_one_another():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in panels()})


def test_the_page_tells_of_every_metric(samples):
    page = (ROOT / "docs/monitoring.md").read_text("utf-8")
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in samples}
    assert families == {name for name in METRIC.findall(page) if not name.endswith("_")}
