"""No job's words steer a terminal, whichever command shows them; through a pipe they are what they were."""

import os
import pty
import subprocess
import sys
import time

import pytest

from tests.unit.test_terminal import EVIL, steers

pytestmark = pytest.mark.slow


@pytest.fixture
def job_ids(mlq):
    """Jobs whose results, errors, logs and chunks are hostile."""

    def answers(value, job):
        print(EVIL)
        job.emit(EVIL)
        return EVIL

    def fails(value):
        raise ValueError(EVIL)

    mlq.listener(answers)
    mlq.listener(fails)
    mlq.create_listener()
    made = {name: mlq.post(EVIL, functions=[name]) for name in ("answers", "fails")}
    for job_id in made.values():
        give_up = time.monotonic() + 20
        while mlq.get_state(job_id) not in ("succeeded", "failed"):
            assert time.monotonic() < give_up
            time.sleep(0.01)
    return made


def command(mlq, words):
    environment = os.environ | {
        "MLQ_URL": mlq.url,
        "MLQ_NAMESPACE": mlq.namespace,
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
    }
    return {"args": [sys.executable, "-m", "mlq.cli", *words], "env": environment, "stdin": subprocess.DEVNULL}


def on_a_terminal(mlq, words):
    """What a command writes to a terminal that is its stdout and stderr."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(stdout=theirs, stderr=theirs, **command(mlq, words)) as process:
        os.close(theirs)
        told = b""
        try:
            while more := os.read(ours, 65536):
                told += more
        except OSError:  # how Linux tells that the other end is closed
            pass
        os.close(ours)
        process.wait()
    # the terminal itself makes CR LF of a newline; and on a slow machine, MLQ shows and removes a line while it waits
    return told.decode().replace("\r\n", "\n").replace("\r\x1b[K", "\n")


@pytest.mark.parametrize(
    "words",
    ["wait answers", "wait answers --json", "stream answers", "stream answers --json", "logs answers", "job answers",
     "logs -f answers", "status",
     "job answers --json", "jobs", "wait fails", "job fails", "job fails --json", "dead list", "dead list --json",
     "wait \x1b[31m", "post 1 --callback http://x/\x9b2J"],
)  # fmt: skip
def test_on_a_terminal(mlq, job_ids, words):
    told = on_a_terminal(mlq, [job_ids.get(word, word) for word in words.split()])
    assert told
    assert not steers(told), told


@pytest.mark.parametrize("words", ["wait", "stream", "logs"])
def test_through_a_pipe(mlq, job_ids, words):
    result = subprocess.run(stdout=subprocess.PIPE, check=True, **command(mlq, [words, job_ids["answers"]]))
    assert result.stdout == EVIL.encode() + b"\n"
