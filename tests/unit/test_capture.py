"""Which records are kept with a job: those that a handler of the root logger would see, as it would see them."""

import contextlib
import io
import logging
import logging.config
import logging.handlers
import queue
import subprocess
import sys

import pytest

from mlq.system import capture


class Kept:
    """A voice that keeps what it says."""

    job_id = "7"

    def __init__(self):
        self.words = ""

    def log(self, words):
        self.words += words


@pytest.fixture
def logger(request):
    """One of the test's own; it is gone afterwards."""
    name = f"test.{request.node.name}"
    yield logging.getLogger(name)
    del logging.Logger.manager.loggerDict[name]


@contextlib.contextmanager
def capturing(*handlers):
    """A job speaks; what is kept of it. The root logger has these handlers: pytest's own fill records in."""
    kept, root = Kept(), logging.getLogger()
    before, root.handlers = root.handlers, list(handlers)
    capture.begin()
    try:
        with capture.capturing(kept):
            yield kept
    finally:
        capture.end()
        root.handlers = before


def test_records_can_be_made_without_a_name():
    """`logging.makeLogRecord` calls the factory so; those that are handled are kept."""
    with capturing() as kept:
        record = logging.makeLogRecord(
            {"msg": "from %s", "args": ("afar",), "name": "other", "levelno": 20, "levelname": "INFO"}
        )
        assert kept.words == ""
        logging.getLogger("other").handle(record)
    assert kept.words == "INFO other: from afar\n"


def test_loggers_that_do_not_propagate_are_not_kept(logger):
    """Nor what their handlers print, nor those below them."""
    with capturing() as kept:
        handler = logging.StreamHandler()  # to what sys.stderr is while a job runs
        logger.addHandler(handler)
        logger.propagate = False
        logger.warning("card number 4111")
        logger.getChild("below").warning("card number 4111")
        logger.removeHandler(handler)
    assert kept.words == ""


def test_filters_and_levels_hold_for_what_is_kept(logger):
    def redact(record):
        record.msg, record.args = record.getMessage().replace("hunter2", "***"), ()
        return "drop" not in record.msg

    logger.addFilter(redact)
    logger.setLevel(logging.WARNING)
    with capturing() as kept:
        logger.warning("password is %s", "hunter2")
        logger.warning("drop me")
        logger.info("a detail")
    assert kept.words == f"WARNING {logger.name}: password is ***\n"


def test_what_a_handler_of_the_root_logger_redacts_in_place_is_kept_so():
    """Such filters hold for all loggers, where those of loggers hold for their own records alone."""

    def redact(record):
        record.msg, record.args = record.getMessage().replace("hunter2", "***"), ()
        return True

    handler = logging.StreamHandler(io.StringIO())
    handler.addFilter(redact)
    with capturing(handler) as kept:
        logging.getLogger("any").warning("password is %s", "hunter2")
    assert kept.words == "WARNING any: password is ***\n"


def test_a_formatter_sees_a_record_as_it_is_without_a_job(logger):
    """Its own way to tell an exception is used, and is what is kept."""

    class OneLine(logging.Formatter):
        def formatException(self, info):  # noqa: N802 - what logging calls
            return f"ONELINE {info[1]!r}"

    shown = io.StringIO()
    handler = logging.StreamHandler(shown)
    handler.setFormatter(OneLine("%(message)s"))
    later = logging.handlers.QueueHandler(queue.SimpleQueue())
    later.prepare = lambda record: record
    with capturing() as kept:
        try:
            raise ValueError("bad")
        except ValueError:
            logger.addHandler(later)
            logger.exception("before")
            logger.addHandler(handler)
            logger.exception("it broke", stack_info=True)
    assert later.queue.get().exc_text is None
    assert "ONELINE ValueError('bad')" in shown.getvalue()
    assert "ValueError: bad" in kept.words.partition("it broke")[0]
    assert "ONELINE ValueError('bad')\nStack (most recent call last)" in kept.words.partition("it broke")[2]


@pytest.mark.parametrize(
    "configure",
    [
        lambda: logging.basicConfig(force=True),
        lambda: logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {"handlers": []}}),
        lambda: logging.getLogger().handlers.clear(),  # noqa: PLW0108 - those of that time
        lambda: setattr(logging.getLogger(), "handlers", [logging.NullHandler()]),
        lambda: setattr(logging.getLogger(), "propagate", False),
        lambda: logging.setLogRecordFactory(logging.LogRecord),
        lambda: logging.setLoggerClass(type("Own", (logging.Logger,), {})),
    ],
)
def test_capturing_survives_any_configuration(configure, logger):
    """Of the module, a library, or the job itself."""
    with capturing() as kept:
        configure()
        try:
            logger.warning("before")
            logger.getChild("new").warning("after")
        finally:
            logging.getLogger().propagate = True
            logging.setLoggerClass(logging.Logger)
    assert kept.words == f"WARNING {logger.name}: before\nWARNING {logger.name}.new: after\n"


def test_basic_config_works_while_jobs_run(logger):
    """No handler of ours stands in its way; where there is none, Python's last resort speaks."""
    root = logging.getLogger()
    with capturing() as kept:
        assert not logger.hasHandlers()
        logger.warning("once")
        logging.basicConfig(format="MINE %(message)s")
        assert len(root.handlers) == 1
        logger.warning("twice")
    assert kept.words == f"WARNING {logger.name}: once\nWARNING {logger.name}: twice\n"


def test_a_record_whose_arguments_do_not_fit(logger, capsys):
    with capturing() as kept:
        logger.warning("%d", "text")
    assert kept.words == ""


def test_who_puts_something_in_the_same_place_keeps_it(logger):
    """As tools that watch for errors do; a worker that ends and starts again doubles nothing."""
    kept = Kept()
    capture.begin()
    ours = logging.Logger.callHandlers
    seen = []
    theirs = lambda self, record: (seen.append(record.msg), ours(self, record))  # noqa: E731
    logging.Logger.callHandlers = theirs
    capture.end()
    assert logging.Logger.callHandlers is theirs
    capture.begin()
    with capture.capturing(kept):
        logger.warning("x")
    capture.end()
    assert (seen, kept.words) == (["x"], f"WARNING {logger.name}: x\n")
    logging.Logger.callHandlers = ours
    capture.begin()
    capture.end()
    assert logging.Logger.callHandlers is not ours


def test_what_is_no_text_is_refused_by_the_stream_alone():
    with capturing() as kept, pytest.raises(TypeError):
        sys.stdout.write(b"bytes")
    assert kept.words == ""


PRINTS_AMID_THE_END = """
import gc, sys, threading
from mlq.system import capture

class Slow:
    def write(self, words):
        began.set()
        go_on.wait(10)
        return len(words)

    def flush(self):
        pass

began, go_on = threading.Event(), threading.Event()
sys.stdout = Slow()
capture.begin()
thread = threading.Thread(target=print, args=("a", "b"))
thread.start()
began.wait(10)
capture.end()
gc.collect()
junk = [bytearray(64) for _ in range(10_000)]
go_on.set()
thread.join()
"""


def test_a_print_amid_the_end_crashes_nothing():
    """Python's own `print` may hold no reference to the stream that it writes to."""
    done = subprocess.run([sys.executable, "-c", PRINTS_AMID_THE_END], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
