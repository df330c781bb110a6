"""Finding the queues in a module that the user named."""

import logging
import re
import sys

from mlq.cli import load


def test_a_slow_import_tells_where_it_is(tmp_path, monkeypatch, caplog):
    """It may load a model, or wait for what never comes."""
    (tmp_path / "slow_one.py").write_text(
        "import time\nfrom mlq import MLQ\nmlq = MLQ('x')\nmlq.listener(abs)\ntime.sleep(1)\n"
    )
    monkeypatch.setattr(load, "SLOW", 0.05)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with caplog.at_level(logging.INFO, "mlq.cli"):
        (queue,) = load.queues_of(str(tmp_path / "slow_one.py"), None)
    monkeypatch.delitem(sys.modules, "slow_one")
    assert queue.listeners.names() == ("abs",)
    assert re.search(r"slow_one.py has taken 0.05 s so far: it is at .*slow_one.py, line 5$", caplog.messages[0])
