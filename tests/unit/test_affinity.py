"""What a worker tells of the models that it holds, and when."""

import pytest

from mlq.core.job import Claimed
from mlq.running.listeners import Listener
from mlq.running.loads import Load
from mlq.worker.affinity import AGAIN, Affinity
from mlq.worker.attempt import Attempt


def listener(name, about="{}"):
    return Listener(name, None, about=about)


IRIS, SPAM, PLAIN, ODD = listener("iris@1"), listener("spam@1"), listener("plain", ""), listener("odd@x", "")
READY = {"iris@1": Load("ready", 0.0)}


def hosting(*listeners, wait=1.0):
    made = Affinity(wait, lambda _, high: high)
    made.declare(listeners or (IRIS, SPAM, PLAIN, ODD))
    return made


def attempt(*listeners):
    made = Attempt(Claimed("1", 1, "w.1", "w", 0.0, b""))
    made.listeners = listeners
    return made


def tell(affinity, loads=(), attempts=(), now=0.0):
    """What it would tell; it is told."""
    news = affinity.news(loads, attempts, now)
    if news is not None:
        affinity.told(news, now)
    return news and tuple(map(set, news))


def test_a_claim_waits_a_little_more_or_less():
    assert hosting().wait() == 1.25
    by_chance = Affinity(1.0)
    by_chance.declare([IRIS])
    assert all(0.75 <= by_chance.wait() <= 1.25 for _ in range(100))


@pytest.mark.parametrize("made", [hosting(PLAIN), hosting(ODD), hosting(wait=0.0)])
def test_without_models_or_a_wait_nothing_is_to_be_done(made):
    assert not made
    assert made.wait() == 0
    made.claimed([IRIS])
    assert not made


def test_it_tells_what_is_loaded_in_any_process_or_being_loaded():
    """Not what is broken, or no model of its own."""
    there = {"spam@1": Load("broken", 0.0), "odd@x": Load("ready", 0.0), "gone@1": Load("ready", 0.0)}
    assert tell(hosting(), [there, {"iris@1": Load("loading", 0.0)}]) == ({"iris@1"}, set())
    assert tell(hosting(), [there]) is None


def test_it_tells_of_jobs_that_it_has():
    """Their model may not be loaded yet."""
    assert tell(hosting(), [], [attempt(PLAIN), attempt(SPAM, ODD)]) == ({"spam@1"}, set())


def test_it_tells_changes_alone():
    affinity = hosting()
    assert tell(affinity, [READY]) == ({"iris@1"}, set())
    assert tell(affinity, [READY]) is None
    assert tell(affinity, [{}]) == (set(), {"iris@1"})
    assert tell(affinity, [{}]) is None


def test_it_tells_everything_from_time_to_time():
    """The server forgets."""
    affinity = hosting()
    assert tell(affinity, [READY], now=5.0)
    assert tell(affinity, [READY], now=4.9 + AGAIN) is None
    assert tell(affinity, [READY], now=5.1 + AGAIN) == ({"iris@1"}, set())


def test_what_could_not_be_told_is_told_next_time():
    affinity = hosting()
    assert affinity.news([READY], [], 0.0) == affinity.news([READY], [], 0.0) == ({"iris@1"}, set())


def test_the_server_is_told_of_what_a_claim_said_and_is_not_so():
    """A load that failed, a model that was unloaded before anybody was told of it, a listener with an odd name."""
    affinity = hosting()
    affinity.claimed([PLAIN, ODD, IRIS])
    assert tell(affinity, [{}]) == (set(), {"iris@1", "odd@x"})


def test_a_worker_that_ends_holds_nothing():
    affinity = hosting()
    affinity.claimed([SPAM])
    tell(affinity, [READY], [attempt(SPAM)])
    assert affinity.end() == (set(), {"iris@1", "spam@1"})
    affinity.claimed([IRIS])
    assert not affinity
    assert affinity.wait() == 0
