"""Models in another interpreter, asked from this process: they must do what they would do in this one."""

import math
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlq import MLQ, InputError, ValidationError, WrongOutput
from mlq.models.testing import TestClient
from mlq.running.answers import WrongNumber
from mlq.running.outcomes import failure
from tests.models import zoo
from tests.models.interpreters import bare, client, is_alive, pid_of, place, python, raised
from tests.programs import ROOT, until

__all__ = ["bare", "python"]


FORKING = """
import os, sys
from mlq.models.testing import TestClient
client = TestClient({model!r}, python=sys.executable)
print(client.predict("pid"), flush=True)
if os.fork() == 0:
    print(client.predict("pid"), flush=True)
    sys.exit()
os.wait()
print(client.predict("pid"), flush=True)
"""


def test_it_runs_there(python):
    where = client("Where", python)
    found = where.predict({"n": 1})
    asked = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, check=True)
    assert tuple(found["python"]) == eval(asked.stdout)  # noqa: S307 - two numbers
    assert found["pid"] != os.getpid()
    assert (found["device"], found["path"]) == ("cpu", str(ROOT / "tests" / "models"))
    assert where.predict({"n": 2})["pid"] == found["pid"]


def test_the_description_is_the_docstrings_first_paragraph(python):
    info = client("Where", python)._declared.info
    assert (info.name, info.version, info.about, info.queue) == ("where", "1", "Says where it runs.", "where")


SAME = [
    ("Iris", {"length": 1, "width": 2}), ("Iris", {"length": 13, "width": 2}), ("Iris", {"length": 1, "width": 7}),
    ("Iris", {"length": 1}), ("Iris", {"length": "x", "width": []}), ("Iris", {"length": 0, "width": 1}), ("Iris", 5),
    ("Number", 4), ("Number", -3), ("Number", -4), ("Number", -5), ("Number", "x"), ("Number", None),
    ("Numbers", 4), ("Numbers", 404), ("Odd", 3), ("Waiting", 3), ("Words", "a b"), ("Broken", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given"), SAME)
def test_it_answers_as_it_would_here(name, given):
    """And fails with the same type, words, arguments and wrong fields."""

    def told(of):
        try:
            return of.predict(given)
        except BaseException as error:  # noqa: BLE001 - SystemExit, too
            fields = failure(error).fields
            return {key: value for key, value in fields.items() if key != "traceback"}

    here, there = told(TestClient(getattr(zoo, name))), told(client(name, module="zoo"))
    if isinstance(here, dict) and here.get("error_type") == "tests.models.zoo.Unprintable":
        here |= {"error_type": "zoo.Unprintable"}
    assert there == here


def test_schemas_are_those_that_it_would_have_here():
    here, there = TestClient(zoo.Iris)._declared.info, client("Iris", module="zoo")._declared.info
    assert there == here


def test_batches_of_types_of_pydantic():
    """Each input is validated by itself, there."""
    given = [{"length": n, "width": 1} for n in (1, 13, 2)]
    short, failed, long = client("Iris", module="zoo").predict_batch(given)
    assert (short, long) == ({"species": "short"}, {"species": "long on cpu"})
    assert (type(failed), str(failed)) == (ArithmeticError, "thirteen")
    model = client("Iris", module="zoo")._hosted
    fine, wrong = model.many([{"length": 1, "width": 1}, {"length": 1, "width": 7}])
    assert fine == {"species": "short"}
    assert isinstance(wrong, ValidationError)
    assert wrong.faults == (("width", "Value error, seven is for the model alone"),)


def test_batches(python):
    sums = client("Sums", python)
    one, two, failed = sums.predict_batch([[1, 2], [], [14]])
    assert (one, two, str(failed)) == ({"sum": 3, "together": 3}, {"sum": 0, "together": 3}, "fourteen")
    assert sums.predict([5]) == {"sum": 5, "together": 1}
    assert isinstance(raised(lambda: sums.predict_batch([[1], [13]])), ArithmeticError)
    wrong = raised(lambda: sums.predict_batch([[1], [404]]))
    assert isinstance(wrong, WrongNumber)
    assert str(wrong) == "sums.predict_batch returned a list of 1 for 2 messages"


def test_costs_and_groups(python):
    hosted = client("Sums", python)._hosted
    assert hosted.cost([1, 2, 3]) == 3.0
    assert hosted.group([1, 2]) == hosted.group([3, 4]) != hosted.group([1])


def test_streams(python):
    counts = client("Counts", python)
    assert list(counts.stream(3)) == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert counts.predict(2) == "closed [3, 2]"


def test_a_stream_that_nobody_reads_on_is_closed(python):
    """And the next prediction finds the model as it would be here."""
    counts = client("Counts", python)
    chunks = counts.stream(50)
    assert next(chunks) == {"n": 0}
    chunks.close()
    assert counts.predict(1) == "closed [50, 1]"


def test_a_stream_that_raises(python):
    counts = client("Counts", python)
    assert isinstance(raised(lambda: counts.predict(101)), ArithmeticError)
    assert counts.predict(1) == "closed [101, 1]"


def test_coroutines(python):
    assert client("Later", python).predict(1) == 2


@pytest.mark.parametrize(
    ("word", "type_", "text", "args"),
    [
        ("own", "abroad.Own", "('its words', 3)", ["its words", 3]),
        ("richer", "abroad.Richer", "a has 5", None),
        ("key", "builtins.KeyError", "'k'", ["k"]),
        ("os", "builtins.FileNotFoundError", "[Errno 2] No such file: 'weights.bin'", None),
        ("memory", "builtins.MemoryError", "MemoryError", []),
        ("nothing", "abroad.Own", "Own", []),
        ("surrogate", "builtins.ValueError", "?", None),
    ],
)
def test_exceptions_keep_type_words_arguments_and_traceback(python, word, type_, text, args):
    error = raised(lambda: client("Raises", python).predict(word))
    fields = failure(error).fields
    assert (fields["error_type"], fields["error"]) == (type_, text)
    assert 'abroad.py", line' in fields["traceback"]
    assert "program.py" not in fields["traceback"].partition("The above exception")[0]
    if args is not None:
        assert list(error.args) == args


def test_running_out_of_memory_is_known_for_what_it_is():
    """Batches are then made smaller."""
    assert isinstance(raised(lambda: client("Raises").predict("memory")), MemoryError)


def test_inputs_are_checked_against_a_json_schema(python):
    where = client("Where", python)
    error = raised(lambda: where.predict({"n": 101}))
    assert isinstance(error, ValidationError)
    assert error.faults == (("n", "must be at most 100, not 101"),)
    convert = where._declared.convert  # for what was posted without a client's check
    assert isinstance(raised(lambda: convert({"n": "x"})), ValidationError)
    assert isinstance(raised(lambda: convert({})), ValidationError)


def test_outputs_are_checked_against_a_json_schema(python):
    does = client("Does", python)
    with pytest.raises(WrongOutput, match=r"does returned a value that does not match its Output: must be .*no number"):
        does.predict("word")
    with pytest.raises(WrongOutput, match="is nothing that JSON can hold: JSON has no form for object"):
        does.predict("thing")
    with pytest.raises(WrongOutput, match="must be null or integer or number or array, not nan"):
        does.predict("nan")


def test_types_of_pydantic_allow_what_they_allow_here():
    assert math.isnan(client("Halves", module="zoo").predict(0))
    assert math.isinf(client("Halves", module="zoo").predict(1))


def test_what_it_prints_is_printed_here(python, capsys):
    client("Does", python).predict("pid")
    assert capsys.readouterr() == ("does pid\n", "with care\n")


def test_processes_that_it_forks_have_their_own_output_and_signals(python, capfd):
    does = client("Does", python)
    assert does.predict("forked_print") == 0
    assert "from the forked one\n" in capfd.readouterr().out
    assert does.predict("terminate") == signal.SIGTERM
    assert is_alive(pid_of(does))


def test_a_fork_of_this_process_has_an_interpreter_of_its_own():
    """Its end ends only that one."""
    program = FORKING.format(model=place("Does"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    before, forked, after = (line for line in done.stdout.split("\n") if line.isdigit())
    assert before == after != forked


def test_it_is_an_option_of_add_model(bare):
    mlq = MLQ()
    mlq.add_model(place("Sums"), python=bare, batch=8, max_cost=10)
    (listener,) = mlq.listeners.all()
    assert (listener.name, listener.queue, listener.batch) == ("sums@1", "sums", 8)
    assert listener.function([[1, 2], [3]]) == [{"sum": 3, "together": 2}, {"sum": 3, "together": 2}]


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (place("Sums"), {}, "needs python = "),
        ("abroad:Sums", {"python": "x"}, "named as 'folder/file.py:Class'"),
        ("abroad.py:", {"python": "x"}, "named as module:Class"),
        (place("Sums"), {"python": ""}, "python must be the path"),
        (place("Sums"), {"python": 5}, "python must be the path"),
        (zoo.Iris, {"python": sys.executable}, "python is an option of models in another interpreter"),
        (zoo.Iris, {"name": "x"}, "name is an option of models in another interpreter"),
        (place("Sums"), {"python": sys.executable, "bach": 5}, "no option 'bach'.*'batch'"),
        (place("Does"), {"python": sys.executable, "batch": 5}, "needs a method predict_batch"),
    ],
)
def test_options_that_are_refused(model, options, words):
    with pytest.raises(InputError, match=words):
        MLQ().add_model(model, **options)


def test_calls_from_several_threads_wait_for_one_another(monkeypatch, tmp_path):
    """One that the model keeps waiting holds up the others; if it crashes, they go on with the next process."""
    gate = tmp_path / "gate"
    gate.touch()
    monkeypatch.setenv("ABROAD_GATE", str(gate))
    does, loads = client("Does"), []
    does._hosted._loads.report_to(lambda _name, load: loads.append(load.state))
    pid = pid_of(does)
    with ThreadPoolExecutor(5) as threads:
        first = threads.submit(does.predict, "wait")
        until(does._hosted._shared.get()._session._lock.locked)
        others = [threads.submit(pid_of, does) for _ in range(4)]
        assert not any(one.done() for one in others)
        os.kill(pid, 9)
        assert isinstance(first.exception(30), ChildProcessError)
        (new,) = {one.result(30) for one in others}
    assert new != pid
    assert loads == ["loading", "ready", "loading", "ready"]
