"""Uploaded listeners reach every worker that accepts them, at once, and nothing else does."""

import contextlib
import logging
import pickle
import signal
import time

import pytest

from mlq import MLQ
from mlq.core.keys import Keys
from mlq.ops import uploads as upload_ops
from mlq.uploads import sealed, secret

pytestmark = pytest.mark.slow

SOON = 1.0  # seconds in which every worker has to know


def made(source, name="f"):
    """A function that travels by value, as those of a main program do."""
    space = {"__name__": "__main__"}
    exec(source, space)  # noqa: S102 - as a main program is
    return space[name]


def until(holds, seconds=10):
    """For what a worker says of itself: how long it took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, "that did not come about"
        time.sleep(0.005)
    return time.monotonic() - begun


def having(mlq, name):
    """How many living workers have a listener."""
    return sum(name in one["functions"].split(",") for one in mlq.workers())


@pytest.fixture
def put(mlq, shell, keys):
    """Stores code under a name, signed or with another head, as somebody with a way to Redis may."""

    def store(name, code, head=None):
        shell.run(upload_ops.put(keys, name, head or sealed.seal(mlq.namespace, name, code), code))

    return store


@pytest.fixture
def logged(caplog):
    """Waits for words in the log of a worker in this process."""
    caplog.set_level(logging.INFO)
    return lambda words: until(lambda: words in caplog.text)


def test_every_worker_runs_an_upload_at_once_and_one_that_starts_later_too(mlq, start):
    workers = [start(), start()]
    until(lambda: having(mlq, "run") == 2)
    mlq.upload(made("import os\ndef f(value): return value, os.getpid()"))
    assert until(lambda: having(mlq, "f") == 2) < SOON
    for worker in workers:
        worker.signal(signal.SIGKILL)
    later = start()
    assert mlq.submit("there", functions=["f"]).result(60) == later.pid
    assert mlq.remove_upload("f")
    until(lambda: having(mlq, "f") == 2)  # by the dead, until their sign of life lapses
    waiting = mlq.submit("nowhere", functions=["f"])
    assert mlq.submit(["echo", "here"], functions=["run"]).result(60) == "here"
    assert waiting.progress() is None


def test_a_worker_without_listeners_of_its_own_gets_them(mlq):
    mlq.create_listener()
    until(mlq.workers)
    assert mlq.upload(made("def f(value): return value * 2")) == "f"
    begun = time.monotonic()
    assert mlq.submit(4).result(60) == 8
    assert time.monotonic() - begun < SOON


def test_a_worker_that_is_never_idle_hears_of_it(mlq):
    """Its next claim tells."""
    mlq.create_listener(made("import time\ndef brief(value): time.sleep(0.001)", "brief"))
    ids = mlq.post_many(range(3000), functions=["brief"])
    until(lambda: mlq.job_count() < 2990)
    mlq.upload(made("def f(value): return value * 2"))
    assert until(lambda: "f" in mlq.listeners.names()) < SOON
    assert mlq.get_state(ids[-1]) == "queued"
    mlq.clear()


def test_a_missed_word_is_made_good_by_the_next_sign_of_life(mlq, raw, keys):
    mlq.create_listener()
    until(mlq.workers)
    name = mlq.workers()[0]["name"]
    raw.hset(keys.worker + name, "uploads", "refused")  # so that nobody tells it
    mlq.upload(made("def f(value): return value * 2"))
    until(lambda: "f" in mlq.listeners.names(), 6)


def test_a_newer_one_replaces_an_older_one(mlq, raw):
    mlq.create_listener()
    for factor in (2, 3):
        mlq.upload(made(f"def f(value): return value * {factor}"))
        until(lambda factor=factor: mlq.submit(1, functions=["f"]).result(60) == factor)
    assert mlq.listeners.names() == ("f",)
    assert len(mlq.uploads()) == 1


def test_an_upload_hides_the_programs_own_listener_until_it_is_removed(mlq):
    mlq.create_listener(made("def f(value): return 'own'"))
    assert mlq.submit(1).result(60) == "own"
    mlq.upload(made("def f(value): return 'uploaded'"))
    until(lambda: mlq.submit(1).result(60) == "uploaded")
    mlq.remove_upload("f")
    until(lambda: mlq.submit(1).result(60) == "own")


def test_a_worker_that_stops_leaves_the_programs_own_listeners(mlq):
    mlq.create_listener(made("def f(value): return 'own'"))
    mlq.upload(made("def f(value): return 'uploaded'"))
    until(lambda: mlq.submit(1).result(60) == "uploaded")
    mlq.shutdown()
    assert mlq.listeners.all()[0].function(1) == "own"
    mlq.remove_upload("f")
    mlq.create_listener()
    assert mlq.submit(1).result(60) == "own"


def test_what_waits_gets_the_uploads_of_before_the_start(mlq):
    """A worker takes no job before it knows what was uploaded: one that names no listeners gets all of them."""
    mlq.upload(made("def f(value): return 'last'"))
    waiting = [mlq.submit(1) for _ in range(5)]
    mlq.create_listener(made("def g(value): return 'first'", "g"))
    assert {handle.result(60) for handle in waiting} == {"last"}


def test_clear_removes_uploads_and_workers_notice(mlq):
    mlq.create_listener()
    mlq.upload(made("def f(value): return value"))
    until(lambda: "f" in mlq.listeners.names())
    mlq.clear()
    until(lambda: "f" not in mlq.listeners.names(), 6)


def test_forged_code_is_never_loaded_and_said_once(mlq, put, logged, caplog, tmp_path):
    trap = tmp_path / "trap"
    code = pickle.dumps(Loads(trap))
    honest = sealed.seal(mlq.namespace, "f", b"other code")
    mlq.create_listener(made("def g(value): return value", "g"))
    for name, head in (("f", honest), ("h", sealed.seal("other", "h", code)), ("i", b"junk"), ("bad\nname", honest)):
        put(name, code, head)
    logged("'bad\\nname' is not run")
    mlq.upload(made("def j(value): return value", "j"))
    logged("'j' is run from now on")
    assert caplog.text.count("is not run by worker") == 4
    assert caplog.text.count("signature is wrong") == 3
    assert not trap.exists()
    assert set(mlq.listeners.names()) == {"g", "j"}


class Loads:
    """Leaves a trace when it is loaded."""

    def __init__(self, trap):
        self.trap = trap

    def __reduce__(self):
        return exec, (f"open({str(self.trap)!r}, 'w').close()",)


def test_a_forgery_over_an_upload_takes_that_away(mlq, put, logged):
    mlq.create_listener()
    mlq.upload(made("def f(value): return value"))
    logged("'f' is run from now on")
    put("f", b"other code", sealed.seal("other", "f", b"other code"))
    logged("signature is wrong")
    until(lambda: "f" not in mlq.listeners.names())


def test_another_secret_is_no_secret(mlq, logged, monkeypatch):
    monkeypatch.setenv(secret.VARIABLE, "the secret of another deployment")
    mlq.upload(made("def f(value): return value"))
    monkeypatch.setenv(secret.VARIABLE, "the secret of this deployment")
    mlq.create_listener()
    logged("signed with another MLQ_UPLOAD_SECRET")
    assert mlq.listeners.names() == ()


def test_code_of_another_python_is_refused_in_words(mlq, put, logged, tmp_path):
    trap = tmp_path / "trap"
    code = pickle.dumps(Loads(trap))
    mlq.create_listener()
    put("f", code, sealed.seal(mlq.namespace, "f", code, "3.1"))
    logged(f"it was uploaded from Python 3.1, and this Python {sealed.PYTHON} can't run its code")
    assert not trap.exists()


def test_code_that_raises_in_the_worker_costs_only_itself(mlq, put, logged):
    code = pickle.dumps(Raises())
    mlq.create_listener(made("def g(value): return value", "g"))
    put("f", code)
    logged("'f' is not run by worker")
    logged("ModuleNotFoundError: only_where_it_was_uploaded")
    assert mlq.submit(3).result(60) == 3


class Raises:
    """Fails where it is loaded."""

    def __reduce__(self):
        return exec, ("raise ModuleNotFoundError('only_where_it_was_uploaded')",)


def test_a_server_that_was_away_is_asked_again(mlq, server_url, logged):
    from mlq import server

    with server.scratch(appendfsync=None) as scratch, contextlib.closing(MLQ("away", url=scratch.url)) as queue:
        queue.create_listener()
        until(queue.workers)
        scratch.stop()
        scratch.restart()
        queue.upload(made("def f(value): return value * 2"))
        assert queue.submit(2, functions=["f"]).result(60) == 4
        queue.shutdown(0)


def test_a_namespace_has_its_own_uploads(mlq, server_url, namespace):
    neighbour = f"{namespace}_b"
    with contextlib.closing(MLQ(neighbour, url=server_url)) as other:
        other.upload(made("def f(value): return value"))
        assert mlq.uploads() == []
        mlq.create_listener()
        until(mlq.workers)
        assert mlq.listeners.names() == ()
        other.clear()
    assert Keys(neighbour).uploads != Keys(namespace).uploads
