"""Runs that were stopped: what they go on with, what they refuse, inputs that change, and disks that are full."""

import json
import os
import subprocess
import sys

import pytest

from mlq import InputError, JobFailed, NoServer, RunStopped, ValueRefused
from mlq.files import prediction, run
from mlq.files.prediction import Wanted, predict_file
from mlq.files.targets import Target
from tests.files.bench import Bench, Killed
from tests.programs import environment

ROWS = 200


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Chunks of a few rows, and no schema."""
    monkeypatch.setattr(prediction, "target_of", lambda client, name: Target(name))
    monkeypatch.setattr(run, "MOST_ROWS", 7)
    monkeypatch.setattr("mlq.files.kept.FIRST", 2)
    monkeypatch.setattr(run, "CHECK", 0.0)
    (tmp_path / "in.csv").write_text("x,y\n" + "".join(f"{n},\n" for n in range(ROWS)))


@pytest.fixture
def go(tmp_path):
    """Predicts the file, until the process is killed after so many calls."""

    def call(bench, calls=None, watch=lambda _: None, **more):
        bench.calls, bench.kill_at = 0, calls
        given = {"name": "double", "input": str(tmp_path / "in.csv"), "output": str(tmp_path / "out.csv")} | more
        return predict_file(None, Wanted(**given), watch, jobs=bench)

    return call


def stopped(go, bench, calls=60):
    with pytest.raises(Killed):
        go(bench, calls)


def test_the_same_call_goes_on_and_others_are_refused(go, tmp_path):
    bench = Bench()
    stopped(go, bench)
    (tmp_path / "other.csv").write_bytes((tmp_path / "in.csv").read_bytes())
    for more, reason in (
        ({"name": "other"}, "the model was 'double', now 'other'"), ({"keep": ("y",)}, "the columns to keep"),
        ({"fields": {"z": "y"}}, "the columns of fields"), ({"errors": str(tmp_path / "e.csv")}, "the errors file"),
        ({"input": str(tmp_path / "other.csv")}, "the input was"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=reason):
            go(bench, **more)
    assert go(bench).rows == ROWS
    assert set(bench.posts.values()) == {1}


def test_restart_begins_again(go, tmp_path):
    first, second = Bench(), Bench()
    stopped(go, first)
    assert go(second, restart=True, keep=("y",)).rows == ROWS
    assert len(second.posts) == ROWS


def test_one_process_at_a_time(go, tmp_path):
    def again(_):
        with pytest.raises(InputError, match="another process"):
            go(Bench())

    go(Bench(), watch=again)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes() + b"1,\n"), "grew from"),
        (lambda path: os.truncate(path, 500), "shrank"),
        (lambda path: path.write_bytes(path.read_bytes()), "was changed"), (lambda path: path.unlink(), "is gone"),
        (lambda path: (path.with_name("new").write_bytes(path.read_bytes()), path.with_name("new").replace(path)),
         "was replaced"),
    ],
    ids=["grows", "shrinks", "changes", "goes", "another"],
)  # fmt: skip
def test_an_input_that_changes_stops_it(go, tmp_path, change, reason):
    path, kept = tmp_path / "in.csv", (tmp_path / "in.csv").read_bytes()
    changed = []

    def watch(report):
        if report.rows > 20 and not changed:
            changed.append(change(path))

    with pytest.raises(RunStopped, match=reason):
        go(Bench(), watch=watch)
    assert not (tmp_path / "out.csv").exists()
    path.write_bytes(kept)
    os.utime(path, (1, 1))
    with pytest.raises(InputError, match="has changed since"):
        go(Bench())
    assert go(Bench(), restart=True).rows == ROWS


def test_an_input_that_changes_at_the_end_is_noticed(go, tmp_path, monkeypatch):
    """Also if nothing was read from it since."""
    monkeypatch.setattr(run, "CHECK", 1e9)

    def watch(report):
        if report.rows == ROWS:
            (tmp_path / "in.csv").touch()

    with pytest.raises(RunStopped, match="was changed"):
        go(Bench(), watch=watch)
    assert not (tmp_path / "out.csv").exists()


def test_an_output_that_appears_meanwhile_is_left_alone(go, tmp_path):
    def watch(report):
        (tmp_path / "out.csv").write_text("mine")

    with pytest.raises(RunStopped, match="has appeared meanwhile"):
        go(Bench(), watch=watch)
    assert (tmp_path / "out.csv").read_text() == "mine"
    (tmp_path / "out.csv").unlink()
    assert go(bench := Bench()).rows == ROWS
    assert not bench.posts


@pytest.mark.parametrize("place", ["LocalFolder.publish", "LocalFolder.remove", "shutil.rmtree"])
def test_killed_between_whole_and_named(go, tmp_path, monkeypatch, place):
    """The next run gives the names that are missing, and predicts nothing; also if the folder was half removed."""
    with monkeypatch.context() as patched:

        def killed(*_, **__):
            raise Killed

        patched.setattr(f"mlq.files.local.{place}", killed)
        with pytest.raises(Killed):
            go(Bench())
    assert go(bench := Bench()).is_whole
    assert not bench.posts
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "out.csv"}


def test_a_run_that_is_damaged_says_so(go, tmp_path):
    stopped(go, Bench())
    about = tmp_path / "out.csv.partial" / "run.json"
    whole = about.read_text()
    for damaged, reason in (("{", "is damaged"), (whole.replace('"format": 1', '"format": 2'), "another version")):
        about.write_text(damaged)
        with pytest.raises(InputError, match=reason):
            go(Bench())
    about.write_text(whole)
    (tmp_path / "out.csv.partial" / "posted.json").write_text("{")
    assert go(Bench()).rows == ROWS


def test_a_part_that_was_removed_is_predicted_again(go, tmp_path):
    bench = Bench()
    stopped(go, bench, 100)
    first = min((tmp_path / "out.csv.partial").glob("*.lines"))
    first.unlink()
    assert go(bench).rows == ROWS
    assert len((tmp_path / "out.csv").read_text().splitlines()) == ROWS + 1


def test_a_server_that_is_away_is_waited_for(go, tmp_path, monkeypatch):
    class Away(Bench):
        def first_ended(self, references, seconds):
            self.asked = getattr(self, "asked", 0) + 1
            if 3 < self.asked < 7:
                raise NoServer("it is away")
            return super().first_ended(references, seconds)

    told = []
    monkeypatch.setattr(run, "LOOK", 0.01)
    assert go(Away(), watch=lambda report: told.append(report.waits)).rows == ROWS
    assert told.count("it is away") == 3
    (tmp_path / "out.csv").unlink()
    monkeypatch.setattr(run, "OUTAGE", 0.0)
    with pytest.raises(NoServer):
        go(Away())
    monkeypatch.undo()
    monkeypatch.setattr(prediction, "target_of", lambda client, name: Target(name))
    assert go(Bench()).rows == ROWS


def test_a_value_that_the_server_never_accepts_stops_it(go):
    class Refusing(Bench):
        def post(self, chunk, key):
            raise ValueRefused("too large")

    with pytest.raises(ValueRefused):
        go(Refusing())


def test_what_was_posted_may_be_out_of_date(go, tmp_path):
    """As after a crash of the machine: the file was not synced, and says less than the parts."""
    bench, folder = Bench(), tmp_path / "out.csv.partial"
    stopped(go, bench, 100)
    first, second = sorted(folder.glob("*.lines"))[:2]
    first.unlink()
    start, end = int(first.name[:16]), int(second.name[17:33])
    (folder / "posted.json").write_text(json.dumps({"rows": 5, "ranges": [[start, end]]}))
    assert go(bench).rows == ROWS
    assert len((tmp_path / "out.csv").read_text().splitlines()) == ROWS + 1


FULL = """
import resource, sys
from tests.files.bench import Bench
from mlq.files import prediction, run
from mlq.files.targets import Target
from mlq import RunStopped
prediction.target_of = lambda client, name: Target(name)
run.MOST_ROWS = 50
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
try:
    print(prediction.predict_file(None, prediction.Wanted("double", "in.csv", "out.csv"), jobs=Bench()).rows)
except RunStopped as error:
    print(error)
"""


@pytest.mark.parametrize("limit", [100, 700])  # of a part, and of the output
def test_a_full_disk_is_told_and_it_goes_on_when_there_is_room(tmp_path, limit):
    """Files may not be larger than that: the system refuses what is written, as on a full disk."""

    def said(most):
        command = [sys.executable, "-c", FULL, str(most)]
        done = subprocess.run(command, cwd=tmp_path, env=environment(""), capture_output=True, text=True, check=True)
        return done.stdout

    lines = [f"{n}{n}" for n in range(1000, 1000 + ROWS)]
    (tmp_path / "in.csv").write_text("x,y\n" + "".join(f"{n},\n" for n in range(1000, 1000 + ROWS)))
    first = said(limit)
    assert "can't write" in first
    assert "make room, and run the same again" in first
    assert not (tmp_path / "out.csv").exists()
    assert not list((tmp_path / "out.csv.partial").glob("*.draft"))
    assert said(1 << 20) == f"{ROWS}\n"
    assert (tmp_path / "out.csv").read_text().split() == ["prediction", *lines]


@pytest.mark.parametrize("restart", [False, True])
def test_a_folder_of_others_is_not_removed(go, tmp_path, restart):
    folder = tmp_path / "out.csv.partial"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    with pytest.raises(InputError, match=r"out.csv.partial is not the folder of a run, since it has 'thesis.txt'"):
        go(Bench(), restart=restart)
    assert (folder / "thesis.txt").read_text() == "precious"
    assert not (tmp_path / "out.csv").exists()


class Large(Bench):
    """Refuses chunks of more than three rows: their predictions would be too large."""

    def take(self, reference):
        if self.jobs[reference].data.count(b"\n") > 3:
            raise JobFailed("job 1 failed: TooLarge: too large", "mlq.errors.TooLarge", reason="error")
        return super().take(reference)


def test_chunks_whose_predictions_are_too_large_are_halved(go, tmp_path):
    assert go(Large()).rows == ROWS
    assert (tmp_path / "out.csv").read_text() == "prediction\n" + "".join(f"{str(n) * 2}\n" for n in range(ROWS))
