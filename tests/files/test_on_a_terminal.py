"""What `mlq predict` shows on a terminal."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.programs import ROOT

pytestmark = pytest.mark.slow


def test_that_it_was_stopped_is_told_on_a_line_of_its_own(work, rows, namespace, server_url, tmp_path):
    """Not behind the line that shows the progress."""
    rows(100_000)
    work(ROWS_TAKE="0.002")
    ours, theirs = pty.openpty()
    environment = os.environ | {"MLQ_URL": server_url, "MLQ_NAMESPACE": namespace, "PYTHONPATH": str(ROOT)}
    words = (sys.executable, "-m", "mlq.cli", "predict", "double", "in.csv", "-o", "out.csv")
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs) as client:
        os.close(theirs)
        told = b""
        try:
            while b"rows/s" not in told:
                told += os.read(ours, 65536)
            client.send_signal(signal.SIGINT)
            while more := os.read(ours, 65536):
                told += more
        except OSError:  # how Linux tells that the other end is closed
            pass
        os.close(ours)
    assert client.returncode == 130
    assert b"\r\x1b[Kmlq: stopped; run the same again to go on" in told
