"""Attempts that end with their child process are counted, too."""

import os
import signal

from mlq.ops.stats import OUTCOMES


def test_a_killed_childs_attempt_is_counted_as_lost(begin, mlq, tell):
    """Beside the others, which are counted as what they were."""
    worker = begin("process", "--concurrency", "2")
    fails = [mlq.submit(i, functions=["fails"]) for i in range(3)]
    echoes = [mlq.submit(i, functions=["echo"]) for i in range(5)]
    job = mlq.submit("on", functions=["waits"])
    os.kill(int(tell.heard("begun")), signal.SIGKILL)
    tell.heard("begun")
    tell.say("end on")
    assert job.result(60) == "on"
    assert [echo.result(60) for echo in echoes] == list(range(5))
    for one in fails:
        assert one.state() == "failed"
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    found = mlq.stats().queues["default"]
    assert found.attempts == dict.fromkeys(OUTCOMES, 0) | {"succeeded": 6, "error": 3, "lost": 1}
    assert found.run.total == 10
    assert found.wait.total == 9
