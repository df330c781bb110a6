"""What becomes of a watched worker whose watcher can't tell it to stop any more."""

import signal

import pytest

from tests.pools.conftest import LISTENERS, children_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["process", "thread"])
def test_a_watched_worker_ends_in_order_when_its_watcher_is_killed(kind, begin, mlq, tell, tmp_path, eventually, lives):
    words = f"import sys\nsys.path.insert(0, {str(LISTENERS.parent)!r})\nfrom listeners import mlq\n"
    (tmp_path / "watched.py").write_text(words)
    watcher = begin(kind, "--watch", "--concurrency", "1", "--grace", "0.5", target="watched.py")
    job = mlq.submit("this", functions=["waits"], retries=0)
    tell.heard("begun")
    [worker] = watcher.children()
    below = children_of(worker)
    assert len(below) == (kind == "process")
    watcher.signal(signal.SIGKILL)
    eventually(lambda: not any(map(lives, (worker, *below))), 20)
    assert [run["reason"] for run in mlq.get_job(job.id)["attempts"]] == ["handed back"]
    assert mlq.workers() == []
    begin("thread")
    tell.heard("begun")
    tell.say("end this")
    assert job.result(60) == "this"
