"""A run that is killed anywhere, again and again: its output is that of an undisturbed one, and nothing runs twice."""

import csv
import io
from contextlib import suppress

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlq import InputError, RunStopped
from mlq.files import prediction, run
from mlq.files.prediction import Wanted, predict_file
from mlq.files.targets import Target
from tests.files.bench import Bench, Killed


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Chunks of a few rows, and no schema."""
    monkeypatch.setattr(prediction, "target_of", lambda client, name: Target(name))
    monkeypatch.setattr(run, "MOST_ROWS", 7)
    monkeypatch.setattr("mlq.files.kept.FIRST", 2)
    monkeypatch.setattr("mlq.files.local.os.fsync", lambda _: None)


values = st.sampled_from(["1", "22", "a,b", "two\nlines", 'a "quote"', "", "odd", "deadly", "é"])
rows = st.lists(st.tuples(values, values), max_size=60)


def written(rows, end):
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([("x", "y"), *rows])
    return text.getvalue()


def expected(rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["prediction"])
    for x, y in rows:
        if x != "odd" and "deadly" not in (x, y):
            writer.writerow([x * 2])
    return text.getvalue().encode()


def finished(folder, bench, kills):
    """Run until it is through; each process lives for so many calls."""
    wanted = Wanted("double", str(folder / "in.csv"), str(folder / "out.csv"))
    for calls in [*kills, None]:
        bench.calls, bench.kill_at = 0, calls
        with suppress(Killed):
            return predict_file(None, wanted, jobs=bench)
    raise AssertionError


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(1, 40), max_size=6), st.integers(0, 9))
def test_killed_anywhere(tmp_path_factory, rows, end, kills, seed):
    folder, bench = tmp_path_factory.mktemp("run"), Bench(seed)
    (folder / "in.csv").write_bytes(written(rows, end).encode())
    report = finished(folder, bench, kills)
    assert (folder / "out.csv").read_bytes() == expected(rows)
    failed = sum(x == "odd" or "deadly" in (x, y) for x, y in rows)
    assert (report.rows, report.failed, report.is_whole) == (len(rows), failed, True)
    left = {"in.csv", "out.csv"} | ({"out.errors.csv"} if failed else set())
    assert {path.name for path in folder.iterdir()} == left
    assert len(bench.jobs) <= len(kills)  # killed between a part and the removal of its job, which then lapses


@pytest.mark.parametrize("kills", [[n] for n in range(2, 60, 5)] + [[30, 30, 30], [9, 40, 25]])
def test_nothing_is_predicted_twice(tmp_path, kills):
    rows = [(str(n), "") for n in range(100)]
    (tmp_path / "in.csv").write_text(written(rows, "\n"))
    finished(tmp_path, bench := Bench(), kills)
    assert (tmp_path / "out.csv").read_bytes() == expected(rows)
    assert bench.posts == dict.fromkeys(range(2, 102), 1)


@pytest.mark.parametrize("kills", [[n] for n in range(2, 60, 7)])
def test_behind_a_url_it_goes_on_as_well(tmp_path, kills):
    memory, rows = fsspec.filesystem("memory"), [(str(n), "") for n in range(100)] + [("odd", "")]
    memory.pipe_file("/runs/in.csv", written(rows, "\n").encode())
    bench, wanted = Bench(), Wanted("double", "memory://runs/in.csv", "memory://runs/out.csv")
    for calls in [*kills, None]:
        bench.calls, bench.kill_at = 0, calls
        with suppress(Killed):
            predict_file(None, wanted, jobs=bench)
    assert memory.cat_file("/runs/out.csv") == expected(rows)
    assert sorted(memory.ls("/runs", detail=False)) == ["/runs/in.csv", "/runs/out.csv", "/runs/out.errors.csv"]
    assert bench.posts == dict.fromkeys(range(2, 103), 1)
    memory.rm("/runs", recursive=True)


def test_a_file_behind_a_url_that_changes_stops_it(monkeypatch):
    monkeypatch.setattr(run, "CHECK", 0.0)
    memory, rows = fsspec.filesystem("memory"), [(str(n), "") for n in range(100)]
    memory.pipe_file("/changes/in.csv", written(rows, "\n").encode())

    def watch(report):
        memory.pipe_file("/changes/in.csv", written(rows[1:], "\n").encode())

    wanted = Wanted("double", "memory://changes/in.csv", "memory://changes/out.csv")
    with pytest.raises(RunStopped, match="was changed or replaced"):
        predict_file(None, wanted, watch, jobs=Bench())
    with pytest.raises(InputError, match="has changed since"):
        predict_file(None, wanted, jobs=Bench())
    assert not memory.exists("/changes/out.csv")
    memory.rm("/changes", recursive=True)


def test_jobs_that_the_server_loses_run_again(tmp_path):
    rows = [(str(n), "") for n in range(100)]
    (tmp_path / "in.csv").write_text(written(rows, "\n"))
    finished(tmp_path, Bench(lose=30), [])
    assert (tmp_path / "out.csv").read_bytes() == expected(rows)
    with pytest.raises(RunStopped, match="again and again"):
        predict_file(None, Wanted("double", str(tmp_path / "in.csv"), str(tmp_path / "2.csv")), jobs=Bench(lose=100))


def test_errors_name_the_physical_line(tmp_path):
    (tmp_path / "in.csv").write_text('x,"y\nz"\n"a\nb",1\nodd,2\n"c\n\n",3\ndeadly,4\nodd,5')
    finished(tmp_path, Bench(), [])
    told = (tmp_path / "out.errors.csv").read_text()
    assert told == "line,error\n5,odd\n9,JobLost: its worker died\n10,odd\n"


def test_killed_when_the_columns_were_just_learned(tmp_path, monkeypatch):
    """The chunk that told them is posted again as it was, which finds its job."""
    rows = [(str(n), "") for n in range(20)]
    (tmp_path / "in.csv").write_text(written(rows, "\n"))
    bench, wanted = Bench(), Wanted("double", str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    with monkeypatch.context() as patched:

        def killed(*_):
            raise Killed

        patched.setattr("mlq.files.kept.Kept.add", killed)
        with pytest.raises(Killed):
            predict_file(None, wanted, jobs=bench)
    predict_file(None, wanted, jobs=bench)
    assert (tmp_path / "out.csv").read_bytes() == expected(rows)
    assert set(bench.posts.values()) == {1}


def test_chunks_that_another_version_packed_otherwise_are_posted_again(tmp_path):
    rows = [(str(n), "") for n in range(50)]
    (tmp_path / "in.csv").write_text(written(rows, "\n"))
    bench, wanted = Bench(), Wanted("double", str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    bench.kill_at = 20
    with pytest.raises(Killed):
        predict_file(None, wanted, jobs=bench)
    bench.posted = dict.fromkeys(bench.posted)
    predict_file(None, wanted, jobs=bench)
    assert (tmp_path / "out.csv").read_bytes() == expected(rows)


def test_a_move_that_was_half_done_behind_a_url(monkeypatch):
    """Most stores copy and then remove: who was killed in between left both."""
    memory, rows = fsspec.filesystem("memory"), [(str(n), "") for n in range(20)]
    memory.pipe_file("/moved/in.csv", written(rows, "\n").encode())
    wanted = Wanted("double", "memory://moved/in.csv", "memory://moved/out.csv")

    def half(self, source, target):
        self.copy(source, target)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(type(memory), "mv", half)
        with pytest.raises(Killed):
            predict_file(None, wanted, jobs=Bench())
    memory.copy("/moved/out.csv.partial/joined", "/moved/kept")
    memory.pipe_file("/moved/out.csv", b"x" * memory.size("/moved/kept"))
    with pytest.raises(RunStopped, match="has appeared meanwhile"):
        predict_file(None, wanted, jobs=Bench())
    memory.copy("/moved/kept", "/moved/out.csv")
    assert predict_file(None, wanted, jobs=(bench := Bench())).is_whole
    assert not bench.posts
    assert memory.cat_file("/moved/out.csv") == expected(rows)
    assert sorted(memory.ls("/moved", detail=False)) == ["/moved/in.csv", "/moved/kept", "/moved/out.csv"]
    memory.rm("/moved", recursive=True)


@pytest.mark.parametrize(("others", "most"), [(0, 10), (4, 6), (8, 2), (500, 2)])
def test_a_run_leaves_room_for_the_chunks_of_others(tmp_path, others, most):
    """With four slots: all runs together have as many out as one alone, and each has two."""
    (tmp_path / "in.csv").write_text(written([(str(n), "") for n in range(500)], "\n"))
    out = []

    class Shared(Bench):
        def waiting(self):
            return others + len(self.jobs)

        def first_ended(self, references, seconds):
            out.append(len(references))
            return super().first_ended(references, seconds)

    predict_file(None, Wanted("double", str(tmp_path / "in.csv"), str(tmp_path / "out.csv")), jobs=Shared(slots=4))
    assert max(out) == most
