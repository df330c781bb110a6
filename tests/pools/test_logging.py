"""Who configures logging: the listeners' module, as where it is run by itself, or else the worker."""

import pytest

pytestmark = pytest.mark.slow

MODULE = """
import logging, os
from mlq import MLQ

logging.getLogger("early").info("imported")
{configures}
mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])

@mlq.listener
def logs(message):
    logging.getLogger("app").debug("a detail")
    logging.getLogger("app").info("a fact")
    logging.getLogger("app").warning("a warning")
    root = logging.getLogger()
    return [[type(handler).__name__ for handler in root.handlers], root.level]

@mlq.listener
def configures_late(message):
    import logging.config
    logging.config.dictConfig({{"version": 1, "disable_existing_loggers": False, "root": {{"handlers": []}}}})
    logging.getLogger("app").warning("a warning")
"""
FILE = "logging.basicConfig(filename='app.log', level={level}, format='MINE %(message)s')"


@pytest.fixture
def module(tmp_path):
    """A module that configures logging in this way."""

    def write(configures=""):
        path = tmp_path / "configured.py"
        path.write_text(MODULE.format(configures=configures))
        return str(path)

    return write


def test_a_module_that_configures_nothing(pool, begin, mlq, module):
    """The worker's way is used, from the first line on."""
    worker = begin(pool, target=module())
    job = mlq.submit(1, functions=["logs"])
    assert job.result(60) == [["StreamHandler"], 20]
    assert job.logs() == "INFO app: a fact\nWARNING app: a warning\n"
    assert "INFO early: imported" in worker.logs("early")
    worker.logs("INFO app: a fact")


@pytest.mark.parametrize(("level", "kept"), [("logging.DEBUG", 3), ("logging.INFO", 2), ("None", 1)])
def test_a_module_that_configures_logging(level, kept, pool, begin, mlq, module, tmp_path):
    """As where it is run by itself: its handlers, and its level, or Python's own where it says none."""
    worker = begin(pool, target=module(FILE.format(level=level)))
    job = mlq.submit(1, functions=["logs"])
    handlers, effective = job.result(60)
    assert (handlers, effective) == (["FileHandler"], {3: 10, 2: 20, 1: 30}[kept])
    words = ["DEBUG app: a detail\n", "INFO app: a fact\n", "WARNING app: a warning\n"][-kept:]
    assert job.logs() == "".join(words)
    shown = [line for line in (tmp_path / "app.log").read_text().splitlines() if " a " in line]
    assert shown == [f"MINE {line.partition(': ')[2].strip()}" for line in words]
    worker.logs("INFO early: imported")


def test_a_job_that_configures_logging_is_kept_as_well(pool, begin, mlq, module):
    begin(pool, target=module())
    for name in ("configures_late", "logs"):
        job = mlq.submit(1, functions=[name])
        job.result(60)
        assert "WARNING app: a warning\n" in job.logs()
