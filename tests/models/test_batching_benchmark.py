"""The benchmark of the rules by which a batch leaves: each rule decides as its service does, and serves a real load."""

import pytest

from benchmarks.batching.__main__ import ALL, measure
from benchmarks.batching.report import CELLS, Book, Cell
from benchmarks.batching.rules import TICK, Bento, Waiting, Window, slope
from benchmarks.models.peers import WINDOW
from benchmarks.models.work import MOST, Cheap


def test_a_window_ends_when_the_first_job_is_old_enough_or_the_batch_is_full() -> None:
    rule = Window()
    assert rule.hold(Waiting(1, oldest=0.0, newest=0.0)) == TICK
    assert rule.hold(Waiting(2, oldest=WINDOW - TICK / 4, newest=0.0)) == pytest.approx(TICK / 4)
    assert rule.hold(Waiting(1, oldest=WINDOW, newest=WINDOW)) == 0.0
    assert rule.hold(Waiting(MOST, oldest=0.0, newest=0.0)) == 0.0


def test_bento_holds_a_batch_while_that_costs_less_than_the_usual_wait() -> None:
    rule, waiting = Bento(), Waiting(4, oldest=0.003, newest=0.001)
    assert rule.hold(waiting) == 0.0  # nothing is known yet
    rule.left(Waiting(4, oldest=0.012, newest=0.0))
    for jobs in (1, 4, 9):
        rule.ended(jobs, 0.010 + 0.0005 * jobs)
    assert rule.hold(waiting) == TICK  # 4 * (1 + 1 + 0.5) = 10 ms, below 0.95 * 12 ms
    assert rule.hold(Waiting(5, oldest=0.003, newest=0.001)) == 0.0  # 12.5 ms
    assert rule.hold(Waiting(4, oldest=0.003, newest=0.002)) == 0.0  # 14 ms
    rule.left(Waiting(4, oldest=10.0, newest=0.0))
    assert rule.hold(Waiting(MOST, oldest=0.0, newest=0.0)) == 0.0  # it is full


def test_the_slope_is_that_of_the_points_and_never_below_zero() -> None:
    assert slope([(1, 0.0105), (2, 0.0110), (8, 0.0140)]) == pytest.approx(0.0005)
    assert slope([(1, 0.02), (2, 0.01)]) == 0.0
    assert slope([(3, 0.01), (3, 0.02)]) == pytest.approx(0.0045)  # all of one size: lstsq([[3, 1], [3, 1]], ...)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ALL)
def test_a_rule_serves_a_load(rule: str) -> None:
    """One client alone: only a window has it wait, for its whole length."""
    book, cell = Book(), Cell("cheap", clients=1)
    measure(book, rule, [cell], 0.5)
    assert book.failures == []
    [figures] = book.figures[cell, rule]
    assert figures["rate"] > 1
    assert figures["mean"] > 1000 * (Cheap.fixed + (WINDOW if rule == "window" else 0.0))


def test_a_table_has_a_row_for_each_load_and_a_column_for_each_rule() -> None:
    """A load that failed has no figures."""
    book, cell = Book(), CELLS["cheap"][-1]
    book.figures[cell, "bento"] += [{"rate": rate, "p99": 2.5} for rate in (900.0, 1100.0, 5000.0)]
    rows = book.table("cheap", ["greedy", "bento"]).splitlines()
    assert len(rows) == 7 + len(CELLS["cheap"])
    assert rows[-1] == "| closed, 32 clients | none | 1,100/s, 2.5 |"
