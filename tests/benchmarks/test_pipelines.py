"""MLQ's part of the benchmark of pipelines, in small: each case gives its figures, and no join is lost."""

import pytest

from benchmarks.pipelines import kill
from benchmarks.pipelines.__main__ import CASES, measure
from benchmarks.pipelines.kill import Plan
from benchmarks.pipelines.report import Book, table

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    """The test's own process and what it starts later stay on all cores."""
    monkeypatch.setattr("benchmarks.pipelines.running.pin", lambda pid, core: None)


@pytest.mark.parametrize("case", [name for name in CASES if name != "kill"])
@pytest.mark.parametrize("system", ["mlq", "mlq-process"])
def test_a_case_gives_figures(case, system):
    figures = measure(case, system, 1, quick=True)
    assert all(value > 0 for value in figures.values())
    book = Book()
    book.figures[case, system].append(figures)
    shown = table(book, case, "title", summed=False)
    assert f"| {system} | " in shown
    assert all(name in shown for name in figures)


def test_joins_run_while_workers_are_killed(monkeypatch):
    monkeypatch.setattr(kill, "PAUSES", (0.5, 1.0))
    figures = kill.kill("mlq", Plan(seed=1, fans=10, parts=5, seconds=4))
    assert figures["kills"] >= 3
    assert figures["never ran"] == figures["parts that never ran"] == 0
    assert figures["of these not cut off by a kill"] == figures["ran with too few results"] == 0
