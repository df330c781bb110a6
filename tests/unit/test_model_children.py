"""Which child is for which model, and which one ends to make place: decided without processes."""

from types import SimpleNamespace

import pytest

from mlq.pools import model_children
from mlq.pools.child_process import Program
from mlq.pools.model_children import ModelChildren
from mlq.running.listeners import Listener
from mlq.running.loads import Load, LoadCount, LoadCounts, Loads, Residency

MB = 2**20
PROGRAM = Program(["python"])


class Task:
    """A task for some models, none if it is for plain listeners."""

    def __init__(self, *names):
        self.listeners = tuple(Listener(name, None, about="a model") for name in names)
        self.over = False

    def is_over(self):
        return self.over


class Child:
    """A child as the placing sees it."""

    pid = 1
    program = PROGRAM

    def __init__(self, key=None, weight=10 * MB):
        self.key, self.weight = key, weight
        self.ready, self.retiring = True, False
        self.runs, self.away, self.sent = {}, set(), []
        self.loads = Loads()
        self.used = self.met = 0.0

    def room(self):
        return 0 if self.retiring or not self.ready else 1 - len(self.runs) + len(self.away)

    def retire(self):
        self.retiring = True

    def send(self, *frame):
        self.sent.append(frame)


class Pool:
    """Children, a clock, and what waits."""

    def __init__(self, monkeypatch, budget, slots, **residencies):
        self.now = 100.0
        monkeypatch.setattr(model_children, "time", SimpleNamespace(monotonic=lambda: self.now, time=lambda: 0.0))
        self.children, self.counts = [], LoadCounts()
        found = {name: Residency(*one) for name, one in residencies.items()}
        self.placing = ModelChildren([PROGRAM] * slots, found, budget and budget * MB, 100, self.counts)

    def add(self, *names):
        self.placing.add([task := Task(*names)])
        return self.look() and task

    def look(self):
        """What happens without an event: children start, those that must end are gone."""
        while (start := self.placing.missing(self.children)) is not None:
            self.children.append(Child(start.key))
        for child in self.children:
            if (task := self.placing.take(child)) is not None:
                self.begin(child, task)
        return self

    def begin(self, child, task):
        child.runs[1] = task
        for name in child.key:
            if not child.loads.all():
                self.load(child, name)

    def load(self, child, name, took=0.5, weight=None):
        child.weight, child.met = weight or child.weight, self.now
        child.loads.put(name, Load("ready", 0.0, took))
        self.placing.heard(child)

    def end(self, child, weight=None):
        child.runs.clear()
        child.used, child.weight = self.now, weight or child.weight
        self.look()

    def bury(self):
        self.children = [child for child in self.children if not child.retiring]
        self.look()

    def keys(self):
        return [child.key is not None and "".join(child.key) for child in self.children if not child.retiring]


@pytest.fixture
def pool(monkeypatch):
    return lambda budget=None, slots=2, **residencies: Pool(monkeypatch, budget, slots, **residencies)


def test_each_model_has_a_child_of_its_own(pool):
    made = pool(a=(), b=())
    made.children = [Child(), Child()]
    made.add("a"), made.add("b"), made.add()
    assert made.keys() == ["a", "b", ""]
    made.add("a", "b")
    assert made.keys() == ["a", "b", "", "ab"]


def test_the_least_recently_used_ends_and_only_if_it_is_idle(pool):
    made = pool(100, slots=9, a=(None, 40 * MB), b=(None, 40 * MB), c=(None, 40 * MB))
    made.add("a"), made.add("b")
    a, b = made.children
    made.add("c")
    assert made.keys() == ["a", "b"]
    made.end(b)
    made.now += 0.1
    made.end(a)
    assert made.keys() == ["a", "b"]  # each was used just now
    made.now += model_children.TURN
    made.look()
    assert made.keys() == ["a"]
    assert b.retiring
    made.look()
    assert made.keys() == ["a"]  # one that ends counts until it is gone
    made.bury()
    assert made.keys() == ["a", "c"]
    assert made.counts.take() == {"b": LoadCount(evictions=1)}


def test_at_once_if_all_slots_wait(pool):
    made = pool(50, slots=1, a=(None, 40 * MB), b=(None, 40 * MB))
    made.add("a")
    made.end(made.children[0])
    made.add("b")
    made.bury()
    assert made.keys() == ["b"]


def test_a_model_with_waiting_tasks_gives_way_after_its_turn(pool):
    """That is as long as loading it took; until then its tasks are preferred."""
    made = pool(50, slots=3, a=(None, 40 * MB), b=(None, 40 * MB))
    made.add("a")
    (a,) = made.children
    made.load(a, "a", took=5.0)
    made.add("b"), made.add("a")
    made.now += 4.0
    made.end(a)
    assert a.runs  # the second task for it
    made.add("a")
    made.now += 1.0
    made.end(a)
    assert a.retiring
    made.bury()
    assert made.keys() == ["b"]


def test_a_model_that_is_loading_is_waited_for_and_one_that_is_busy_is_loaded_again(pool):
    made = pool(a=(600,))
    made.add("a")
    (a,) = made.children
    a.loads.put("a", Load("loading", 0.0))
    made.add("a")
    made.now += 100
    made.look()
    assert made.keys() == ["a"]
    made.load(a, "a", took=5.0)
    made.now += 4.9
    assert made.look().keys() == ["a"]
    made.now += 0.2
    assert made.look().keys() == ["a", "a"]


def test_unused_ones_end(pool):
    made = pool(a=(600,), b=())
    made.add("a"), made.add("b")
    a, b = made.children
    made.end(a), made.end(b)
    made.now += 599
    assert made.look().keys() == ["a", "b"]
    made.now += 1
    assert made.look().keys() == ["b"]


def test_one_that_needs_more_than_the_budget_is_refused_and_known_as_broken(pool):
    made = pool(100, a=(None, 101 * MB), b=())
    assert made.placing.broken()["a"].state == "broken"
    task = made.add("a")
    ((refused, outcome),) = made.placing.refused
    assert refused is task
    assert "101 MiB, more than the memory budget of 100 MiB" in outcome.fields["error"]
    made.add("b")
    made.load(made.children[0], "b", weight=150 * MB)
    made.end(made.children[0])
    assert made.children[0].retiring
    assert set(made.placing.broken()) == {"a", "b"}


def test_one_that_grew_is_ended_before_others_and_may_come_back(pool):
    made = pool(100, slots=9, a=(), b=())
    made.add("a"), made.add("b")
    a, b = made.children
    made.end(a), made.end(b, weight=150 * MB)
    assert (a.retiring, b.retiring) == (False, True)
    made.bury()
    made.add("b")
    assert made.keys() == ["a", "b"]
    assert not made.placing.broken()


def test_together_too_much_ends_the_least_recently_used(pool):
    made = pool(100, slots=9, a=(), b=())
    made.add("a"), made.add("b")
    a, b = made.children
    made.end(a, weight=60 * MB)
    made.now += 1
    made.end(b, weight=60 * MB)
    assert (a.retiring, b.retiring) == (True, False)


def test_a_child_that_was_started_for_a_task_runs_it(pool):
    """However long others wait for its place meanwhile."""
    made = pool(50, slots=2, a=(None, 40 * MB), b=(None, 40 * MB))
    made.placing.add([Task("a")])
    made.children.append(a := Child(made.placing.missing(made.children).key))
    a.ready = False
    made.add("b")
    made.now += 100
    a.ready = True
    made.look()
    assert (made.keys(), bool(a.runs)) == (["a"], True)
    made.now += model_children.TURN
    made.end(a)
    made.bury()
    assert made.keys() == ["b"]


def test_a_model_has_a_turn_once_it_is_loaded(pool):
    """Else the tasks that came while it was loaded would end it after its first task, again and again."""
    made = pool(50, slots=3, a=(None, 40 * MB), b=(None, 40 * MB))
    made.add("a")
    (a,) = made.children
    made.add("b")
    made.now += 5.0
    made.load(a, "a", took=5.0)
    made.end(a)
    made.add("a")
    made.now += 4.0
    made.end(a)
    assert not a.retiring
    made.add("a")
    made.now += 1.0
    made.end(a)
    assert a.retiring
    made.bury()
    assert made.keys() == ["b"]


def test_what_others_wait_for_is_let_in(pool):
    """A run that waits for a job which finds no place would wait for ever."""
    made = pool(50, a=(None, 40 * MB), b=(None, 40 * MB))
    made.add("a")
    (a,) = made.children
    made.add("b")
    assert made.keys() == ["a"]
    a.away.add(1)
    made.look()
    assert made.keys() == ["a", "b"]
    b = made.children[1]
    assert b.runs
    made.end(b)
    assert (a.retiring, b.retiring) == (False, True)


def test_nothing_is_loaded_for_a_task_that_is_over(pool):
    made = pool(50, a=(None, 40 * MB), b=(None, 40 * MB))
    made.add("a")
    task = made.add("b")
    task.over = True
    made.end(made.children[0])
    made.now += 10
    assert made.look().keys() == ["a"]
    assert [refused for refused, _ in made.placing.refused] == [task]


def test_warm_ones_get_children_as_long_as_there_is_place(pool):
    made = pool(100, slots=9, a=(None, 60 * MB, True), b=(None, 60 * MB, True), c=())
    made.children = [Child()]
    made.look()
    assert (made.keys(), made.children[0].sent) == (["a"], [])
    made.look()
    assert made.children[0].sent == [("warm", ("a",))]


def test_of_several_programs_the_least_used_is_next(pool):
    made = pool(a=(), b=(), c=())
    others = [Program(["python"], {"GPU": name}) for name in "12"]
    made.placing._programs = others
    found = []
    for name in "abc":
        made.placing.add([Task(name)])
        start = made.placing.missing(made.children)
        made.children.append(child := Child(start.key))
        child.program = start.program
        child.runs[1] = made.placing.take(child)
        found.append(start.program.environment["GPU"])
    assert found == ["1", "2", "1"]
