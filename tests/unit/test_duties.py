"""The small parts of a worker: pool, slots, attempts, and the contract of its threads."""

import subprocess
import sys
import threading

import pytest

from mlq.core.job import Claimed
from mlq.pools.aio import AsyncioPool
from mlq.pools.thread import ThreadPool
from mlq.running.spare_threads import Threads
from mlq.system.service import Service
from mlq.worker.attempt import Attempt, Stage
from mlq.worker.slots import Slots

SOON = 10.0  # seconds until a test gives up


# --- the thread pool


@pytest.fixture
def pool():
    """Stopped afterwards."""
    made = Threads("test")
    yield made
    made.stop()


def held(pool, count):
    """Tasks that wait for an event, all of them begun; the event, and the threads that they are on."""
    go, begun, threads = threading.Event(), threading.Semaphore(0), []

    def task():
        threads.append(threading.current_thread())
        begun.release()
        go.wait(SOON)

    for _ in range(count):
        pool.submit(task)
    for _ in range(count):
        assert begun.acquire(timeout=SOON)
    return go, threads


def test_tasks_run_side_by_side(pool):
    """A thread per task that runs."""
    go, threads = held(pool, 5)
    assert len(set(threads)) == 5
    go.set()


def test_threads_are_used_again(pool):
    """One after the other needs one thread."""
    names = []
    for _ in range(20):
        done = threading.Event()
        pool.submit(lambda done=done: (names.append(threading.current_thread().name), done.set()))
        assert done.wait(SOON)
    assert len(set(names)) <= 2  # the first may still be on its way back


def test_stuck_thread_does_not_hold_up_others(pool):
    """A new one takes its place."""
    go, _ = held(pool, 1)
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(SOON)
    go.set()


def test_stopped_threads_end(pool):
    """When their task is through."""
    go, threads = held(pool, 3)
    pool.stop()
    assert all(thread.is_alive() for thread in threads)
    go.set()
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


def test_threads_do_not_keep_the_process(pool):
    """What does is said elsewhere."""
    go, threads = held(pool, 1)
    assert threads[0].daemon
    go.set()


# --- slots


def claimed(count=None):
    """An attempt that was claimed just now, or so many."""
    made = [Attempt(Claimed(str(i), 1, f"w.{i}", "w", 0.0, b"")) for i in range(count or 1)]
    return made if count else made[0]


def of(count):
    """So many slots."""
    slots = Slots()
    slots.resize(count)
    return slots


def test_slots_are_counted():
    """Never more than there are."""
    slots = of(3)
    assert [slots.take(2), slots.take(5), slots.take(1)] == [2, 1, 0]
    slots.give(2)
    assert (slots.free(), slots.take(9), slots.free()) == (2, 2, 0)


def test_listener_that_goes_on_comes_before_new_jobs():
    """A slot that becomes free is its own."""
    slots, attempt = of(1), claimed()
    slots.take(1)
    slots.admit([attempt])
    attempt.begin()
    slots.leave(attempt)
    assert slots.take(1) == 1
    back = threading.Event()
    thread = threading.Thread(target=lambda: (slots.go_on(attempt, at_once=False), back.set()))
    thread.start()
    while slots._returning == 0:
        assert thread.is_alive()
    slots.give()
    assert slots.take(1) == 0
    assert back.wait(SOON)
    thread.join()
    assert slots.free() == 0


@pytest.mark.parametrize("wake", [Slots.give, Slots.wake])
def test_wait_ends_when_something_changes(wake):
    """A slot that became free, or a nudge."""
    slots = of(1)
    slots.take(1)
    ended = threading.Event()
    thread = threading.Thread(target=lambda: (slots.wait(SOON * 2), ended.set()))
    thread.start()
    while not ended.wait(0.005):
        wake(slots)
    thread.join()


def test_wait_with_a_free_slot_returns():
    """At once."""
    assert of(1).wait(1000)


def test_as_many_attempts_run_as_there_are_slots_in_the_order_of_coming():
    """Those that were claimed ahead wait for one that is finished; finishing twice makes no room twice."""
    slots, attempts = of(2), claimed(5)
    assert slots.admit(attempts) == attempts[:2]
    assert slots.finish(attempts[1]) is attempts[2]
    assert slots.finish(attempts[1]) is None
    assert slots.resize(1) == attempts[3:4]
    assert [slots.finish(attempt) for attempt in (attempts[0], *attempts[2:])] == [attempts[4], None, None, None]


def test_an_attempt_that_waits_for_another_job_makes_room_once():
    """Until it goes on; what ends it meanwhile makes no more room, and it gets no slot again."""
    slots, attempts = of(1), claimed(3)
    slots.take(1)
    slots.admit(attempts)
    assert attempts[0].begin()
    assert slots.leave(attempts[0]) == [attempts[1]]
    assert slots.leave(attempts[0]) == []
    assert attempts[0].end(Stage.ENDED)
    assert slots.finish(attempts[0]) is None
    slots.go_on(attempts[0], at_once=True)
    assert (attempts[0].runs, attempts[0].holds_slot, slots.free()) == (False, False, 1)
    assert slots.finish(attempts[1]) is attempts[2]


def test_attempts_that_were_handed_back_are_passed_over():
    """They wait for no slot any more."""
    slots, attempts = of(1), claimed(3)
    slots.admit(attempts)
    attempts[1].end(Stage.HANDED_BACK)
    assert slots.finish(attempts[0]) is attempts[2]


# --- attempts


@pytest.fixture
def attempt():
    """Just claimed."""
    return claimed()


def test_attempt_runs_and_ends(attempt):
    """Once each."""
    assert attempt.begin()
    assert not attempt.begin()
    assert attempt.end(Stage.ENDED) is Stage.BEGUN
    assert attempt.end(Stage.LOST) is None
    assert attempt.stage is Stage.ENDED


@pytest.mark.parametrize("stage", [Stage.HANDED_BACK, Stage.LOST])
def test_attempt_that_is_not_ours_any_more_does_not_begin(attempt, stage):
    """Handed back or lost before a thread took it."""
    assert attempt.end(stage) is Stage.CLAIMED
    assert not attempt.begin()


def test_one_of_many_threads_ends_an_attempt(attempt):
    """The first; there is one outcome."""
    attempt.begin()
    barrier, won = threading.Barrier(8), []

    def end(stage):
        barrier.wait(SOON)
        if attempt.end(stage) is not None:
            won.append(stage)

    threads = [threading.Thread(target=end, args=(stage,)) for stage in [Stage.ENDED, Stage.LOST] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [attempt.stage]


# --- services


class Counter(Service):
    """Counts its turns, and fails in the one asked for."""

    def __init__(self, fail_in=None):
        self.died = threading.Event()
        super().__init__("counter", self.died.set)
        self.turns = 0
        self.fail_in = fail_in
        self.turned = threading.Event()

    def turn(self):
        """One more."""
        self.turns += 1
        if self.turns == self.fail_in:
            raise ZeroDivisionError
        self.turned.set()


def test_service_turns_until_stopped():
    """And stopping is done when it returns; twice is once."""
    service = Counter()
    service.start()
    assert service.turned.wait(SOON)
    service.stop(SOON)
    turns = service.turns
    service.stop(SOON)
    assert service.turns == turns
    assert not service.died.is_set()


def test_service_that_was_not_started_can_be_stopped():
    """Nothing happens."""
    Counter().stop(SOON)


def test_service_that_fails_says_so(caplog):
    """A worker without one of its duties must not look alive."""
    service = Counter(fail_in=3)
    service.start()
    assert service.died.wait(SOON)
    assert service.turns == 3
    assert "counter" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_service_may_stop_itself():
    """From its own thread, without waiting for itself."""

    class Once(Counter):
        def turn(self):
            super().turn()
            self.stop()

    service = Once()
    service.start()
    assert service.turned.wait(SOON)
    service.stop(SOON)
    assert service.turns == 1


# --- what is broken ends the worker, which would else look alive


class Broken:
    """A supervisor that can't record how a run ended."""

    def __init__(self):
        self.told = threading.Event()

    def resize(self, change):
        pass

    def begin(self, run):
        raise MemoryError

    def broken(self):
        self.told.set()


def test_a_thread_of_the_pool_that_dies_ends_the_worker():
    pool, supervisor = ThreadPool(1), Broken()
    pool.start(supervisor)
    pool.submit([claimed()])
    assert supervisor.told.wait(SOON)
    pool.close()


def test_an_event_loop_that_dies_ends_the_worker(monkeypatch):
    pool, supervisor = AsyncioPool(1), Broken()
    monkeypatch.setattr(pool._loop, "run_forever", lambda: 1 / 0)
    pool.start(supervisor)
    assert supervisor.told.wait(SOON)


def test_a_child_that_can_not_read_on_ends():
    """A deaf one would hold its jobs for ever; its worker has them run again."""
    code = """
import time
from mlq.running.listeners import Listeners
from mlq.pools.child import Child
class Wire:
    def receive(self):
        raise MemoryError
Child(Wire(), Listeners(), weigh=False).read_from_now_on()
time.sleep(20)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MemoryError" in done.stderr


def test_a_finaliser_of_a_run_that_is_over_does_not_hang_its_child():
    """On the main thread, amid the reading of what the worker sends: nobody could read an answer."""
    code = """
import socket
from mlq.errors import LeaseLost
from mlq.core.job import Claimed
from mlq.running.listeners import Listeners
from mlq.pools.child import Child
from mlq.pools.child_run import ChildRun
from mlq.pools.frames import Wire
class Interrupted(Wire):
    def receive(self):
        try:
            over.fetch("key")
        except LeaseLost as error:
            print(error)
        return super().receive()
ours, theirs = socket.socketpair()
child = Child(Interrupted(theirs), Listeners(), weigh=False)
over = ChildRun(child, 1, Claimed("1", 1, "", "w", 0.0, b""))
Wire(ours).send("stop")
child.serve()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout == "this attempt is through, and may ask nothing more\n", done.stderr


def test_closed_slots_let_no_new_jobs_come():
    """Whatever is free, or becomes so; one may be taken all the same by who closed them."""
    slots = Slots()
    slots.resize(2)
    assert not slots.close()
    assert slots.close()
    assert (slots.take(5), slots.exchange(0, 5), slots.free(), slots.wait(0)) == (0, 0, 0, False)
    assert [slots.take_one() for _ in range(3)] == [True, True, False]
    slots.give(2)
    assert slots.open()
    assert not slots.open()
    assert (slots.free(), slots.take(5)) == (2, 2)
