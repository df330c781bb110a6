"""What an attempt says on its way to the settler: in order, counted, and whoever interrupts whom."""

import gc
import threading

import pytest

from mlq.core.job import Claimed, Outcome
from mlq.core.states import State
from mlq.shell.fair_semaphore import FairSemaphore
from mlq.system.turn import Turn
from mlq.worker.attempt import Attempt, Reports
from mlq.worker.outbox import LIMIT, Ended, Outbox, Reported
from tests.unit import interrupted

pytestmark = pytest.mark.slow

INTERRUPTED = """
from mlq.system.turn import Turn

turn, interrupted = Turn(), 0
every(0.00005)
while interrupted < 20_000:
    try:
        armed = True
        while armed:
            turn.run(list)
    except Interrupted:
        interrupted += 1
        assert turn.run(list), interrupted
every(0)
print(turn.run(list))
"""


@pytest.fixture
def attempt():
    """That says something."""
    return Attempt(Claimed("7", 1, "w.1", "w", 1000.0, b""))


@pytest.fixture
def collecting():
    """The collector runs at every allocation."""
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


def test_a_turn_is_for_one():
    """Not for what comes meanwhile, in the same thread or another."""
    turn = Turn()
    ran = []

    def work():
        assert turn.is_mine()
        ran.append(turn.run(lambda: ran.append("never")))
        other = threading.Thread(target=lambda: ran.append((turn.is_mine(), turn.run(lambda: ran.append("never")))))
        other.start()
        other.join()

    assert turn.run(work)
    assert ran == [False, (False, False)]
    assert not turn.is_mine()
    with pytest.raises(ZeroDivisionError):
        turn.run(lambda: 1 // 0)
    assert turn.run(list)


def test_no_handler_that_raises_keeps_a_turn():
    assert interrupted.run(INTERRUPTED) == "True\n"


def test_entries_are_numbered_in_the_order_in_which_they_were_said():
    speech = Reports()
    assert speech.add_entry("chunk", b"a")
    assert not speech.add_entry("log", b"b"), "the settler knows already"
    assert not speech.report(b"1")
    assert not speech.report(b"2")
    assert speech.take() == (b"2", [(1, "chunk", b"a"), (2, "log", b"b")])
    assert speech.add_entry("chunk", b"c"), "it must be told anew"
    assert speech.take() == (b"", [(3, "chunk", b"c")])


def test_a_finaliser_may_speak_amid_its_own_attempt(attempt, collecting):
    """Also before that has said anything, and while the settler takes it."""
    outbox = Outbox()

    class Ending:
        def __init__(self):
            self.me = self

        def __del__(self):
            outbox.add_entry(attempt, "log", b"end")
            outbox.report(attempt, b"end")

    taken = []
    for _ in range(1000):
        Ending()
        outbox.add_entry(attempt, "chunk", b"said")
        taken += attempt.reports.take()[1]
    gc.collect()
    taken += attempt.reports.take()[1]
    assert [number for number, *_ in taken] == list(range(1, 2001))
    assert [kind for _, kind, _ in taken].count("log") == 1000


def test_an_outbox_knows_how_much_is_on_its_way(attempt, collecting):
    """Exactly, though many threads and finalisers change it."""
    outbox = Outbox()

    class Ending:
        def __init__(self):
            self.me = self

        def __del__(self):
            outbox.gone(1)

    def say():
        for _ in range(300):
            Ending()
            outbox.add_entry(attempt, "chunk", b"x" * 100)

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert not outbox.full()
    outbox.gone(1200 * 300 - 1200 - (LIMIT + 1))
    assert outbox.full(), "one byte above the limit"
    outbox.gone(1)
    assert not outbox.full()


def test_an_outbox_keeps_the_order(attempt):
    outbox = Outbox()
    outbox.add_entry(attempt, "chunk", b"a")
    outbox.add_entry(attempt, "chunk", b"b")
    ended = Ended(attempt, Outcome(State.SUCCEEDED))
    outbox.end(ended)
    assert [outbox.take(block=False), outbox.take(block=False)] == [Reported(attempt), ended]
    assert not outbox.busy()


def test_a_call_within_a_call_needs_no_room():
    """A finaliser's, amid a call of the thread that has the only place, or waits for it."""
    room = FairSemaphore(1)
    entered, go = threading.Event(), threading.Event()

    def hold():
        with room, room:
            entered.set()
            go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(20)
    through = threading.Event()
    waiter = threading.Thread(target=lambda: room.__enter__() or room.__exit__(None, None, None) or through.set())
    waiter.start()
    assert not through.wait(0.05)
    go.set()
    assert through.wait(20)
    with room:
        assert room.alone


def test_who_waits_only_so_long_leaves_the_line():
    """And comes again like anybody else, also where the place was given in the last moment."""
    room, go = FairSemaphore(1), threading.Event()
    entered = threading.Event()

    def hold():
        with room:
            entered.set()
            go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(20)
    assert [room.acquire(0.01) for _ in range(3)] == [False] * 3
    go.set()
    assert room.acquire(20)
    assert room.alone
    assert room.acquire(0)  # within its own
    room.__exit__(None, None, None)
    room.__exit__(None, None, None)
    holder.join()
    with room:
        assert room.alone
