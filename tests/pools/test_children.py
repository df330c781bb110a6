"""Child processes that live: started afresh, warm between jobs, replaced when worn."""

import signal
from pathlib import Path

import pytest

from mlq import JobFailed

pytestmark = pytest.mark.slow

MODEL = """
import os
from mlq import MLQ
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])
x, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=500).fit(x, y)

@mlq.listener
def predict(row):
    return "", [int(model.predict([row])[0]), os.getpid()]
"""


def test_children_are_started_afresh(begin, mlq):
    """Not forked: their command line is their own, and they hold one socket of their worker, and no other."""
    worker = begin("process", "--concurrency", "2")
    pid, imports, _ = mlq.submit(None, functions=["identity"]).result(60)
    assert pid in worker.children()
    assert b"mlq.cli.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"mlq.cli.child" not in Path(f"/proc/{worker.pid}/cmdline").read_bytes()
    assert imports <= 2  # the worker itself imports no user code


def test_a_model_stays_loaded(begin, mlq, tmp_path):
    """Many predictions from one process."""
    (tmp_path / "model.py").write_text(MODEL)
    begin(None, target="model.py")  # the process pool is the default
    ids = mlq.post_many([[5.1, 3.5, 1.4, 0.2]] * 100)
    results = [mlq.wait(job_id, 30) for job_id in ids]
    assert {label for label, _ in results} == {0}
    assert len({pid for _, pid in results}) == 1


def test_max_jobs_replaces_a_child(begin, mlq, tell):
    begin("process", "--max-jobs", "3")
    pids = [mlq.submit(None, functions=["identity"]).result(60)[0] for _ in range(9)]
    assert [pids[i] == pids[i + 1] for i in range(8)] == [i % 3 != 2 for i in range(8)]
    assert tell.number("imports") >= 3  # one for each child: warm in between


def test_max_memory_replaces_a_child(begin, mlq):
    worker = begin("process", "--max-memory", "200M")
    assert len({mlq.submit(1, functions=["leaks"]).result(60) for _ in range(3)}) == 1
    leaked = [mlq.submit(60_000_000, functions=["leaks"]).result(60) for _ in range(9)]
    assert 2 <= len(set(leaked)) <= 5
    assert leaked == sorted(leaked, key=leaked.index)  # each child's jobs follow each other
    worker.logs("above its limit")


def test_sighup_replaces_children_one_by_one(begin, mlq, tell, eventually):
    """While jobs go on, none of which is lost."""
    worker = begin("process", "--concurrency", "2")
    worker.logs(" is ready", times=2)
    before = set(worker.children())
    running = mlq.submit("on", functions=["waits"])
    busy = int(tell.heard("begun"))
    worker.signal(signal.SIGHUP)
    (idle,) = before - {busy}
    eventually(lambda: idle not in worker.children() and len(worker.children()) == 2)
    worker.logs("is ready", times=3)
    ids = mlq.post_many(range(20), functions=["echo"])
    assert [mlq.wait(job_id, 10) for job_id in ids] == list(range(20))
    assert busy in worker.children()
    tell.say("end on")
    assert running.result(60) == "on"
    worker.logs("is ready", times=4)
    eventually(lambda: busy not in worker.children())
    assert not before & set(worker.children())
    assert {mlq.get_job(job_id)["retries"] for job_id in (*ids, running.id)} == {0}


SLOW_TO_IMPORT = """
import os, time
from mlq import MLQ

open("importing", "w").close()
while os.path.exists("hold"):
    time.sleep(0.01)
mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])


@mlq.listener
def where(_):
    return os.getpid()
"""


def test_sighup_leaves_a_child_at_work_while_the_new_ones_load(begin, mlq, tmp_path, eventually):
    (tmp_path / "slow_to_import.py").write_text(SLOW_TO_IMPORT)
    worker = begin("process", "--concurrency", "2", target="slow_to_import.py")
    worker.logs(" is ready", times=2)
    worker.logs("started, with the process pool")
    before = set(worker.children())
    (tmp_path / "hold").touch()
    worker.signal(signal.SIGHUP)
    eventually(lambda: len(before & set(worker.children())) == 1 and len(worker.children()) == 2)
    for _ in range(20):
        assert mlq.submit(None).result(60) in before
    (tmp_path / "hold").unlink()
    eventually(lambda: not before & set(worker.children()), 20)
    assert mlq.submit(None).result(60) not in before


def test_sighup_while_the_first_child_loads(begin, mlq, tmp_path, eventually):
    """The worker begins all the same, and the child is replaced when it is ready."""
    (tmp_path / "slow_to_import.py").write_text(SLOW_TO_IMPORT)
    (tmp_path / "hold").touch()
    worker = begin("process", target="slow_to_import.py")
    eventually((tmp_path / "importing").exists, 20)
    (first,) = worker.children()
    worker.signal(signal.SIGHUP)
    (tmp_path / "hold").unlink()
    worker.logs("started, with the process pool")
    eventually(lambda: first not in worker.children() and len(worker.children()) == 1, 20)
    assert mlq.submit(None).result(60) == worker.children()[0]


def test_sighup_with_code_that_can_not_be_imported_leaves_the_others_at_work(begin, mlq, tmp_path, eventually):
    module = tmp_path / "breaks_later.py"
    module.write_text(SLOW_TO_IMPORT)
    worker = begin("process", "--concurrency", "2", target="breaks_later.py")
    worker.logs(" is ready", times=2)
    worker.logs("started, with the process pool")
    before = set(worker.children())
    module.write_text("1 / 0")
    worker.signal(signal.SIGHUP)
    worker.logs("a child can't start", times=3)
    assert mlq.submit(None).result(60) in before
    module.write_text(SLOW_TO_IMPORT)
    eventually(lambda: not before & set(worker.children()) and len(worker.children()) == 2, 40)
    assert mlq.submit(None).result(60) not in before


def test_grandchildren(begin, mlq):
    """Programs and multiprocessing's own processes work as they do elsewhere."""
    begin("process")
    assert mlq.submit(21, functions=["has_grandchildren"]).result(60) == [42, 21]


def test_a_listener_reads_no_input(begin, mlq, tmp_path):
    (tmp_path / "asks.py").write_text(
        "import os\nfrom mlq import MLQ\nmlq = MLQ(os.environ['MLQ_TEST_NAMESPACE'])\n"
        "@mlq.listener\ndef asks(_):\n    return input()\n"
    )
    begin("process", target="asks.py")
    job = mlq.submit(1)
    with pytest.raises((EOFError, JobFailed)):
        job.result(60)
    assert mlq.get_job(job.id)["error_type"] == "builtins.EOFError"


def test_a_worker_outlives_a_module_that_is_broken_for_a_while(begin, mlq, tmp_path):
    """It says why, and goes on when the next child can be started."""
    module = tmp_path / "breaks.py"
    module.write_text(
        "import os\nfrom mlq import MLQ\nmlq = MLQ(os.environ['MLQ_TEST_NAMESPACE'])\n"
        "@mlq.listener\ndef works(v):\n    return v\n"
    )
    good = module.read_text()
    worker = begin("process", "--max-jobs", "1", target="breaks.py")
    worker.logs("started, with the process pool")
    module.write_text("1 / 0")
    assert mlq.submit(7).result(60) == 7
    assert "ZeroDivisionError" in worker.logs("child can't start")
    module.write_text(good)
    assert mlq.submit(8).result(60) == 8


def test_jobs_go_on_in_a_crowd(begin, mlq, tell):
    """A thousand sleepers at once on one event loop."""
    begin("asyncio", "--concurrency", "1000")
    ids = mlq.post_many([None] * 1000, functions=["crowds"])
    for _ in range(1000):
        tell.heard("begun")
    tell.say("open")
    for job_id in ids:
        mlq.wait(job_id, 20)
