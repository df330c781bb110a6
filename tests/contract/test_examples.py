"""The examples run as their readers run them: as processes of their own, from end to end.

`full_workflow` is tested in a browser: tests/browser.
"""

import re
import subprocess
import sys

import pytest

from examples.products.codes import check_digit, is_gtin
from tests.programs import EXAMPLES, MLQ, ROOT, WORK_LIMIT, cleared, environment, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_quickstart_posts_and_works(server_url: str) -> None:
    """The two programs of the quick start, and what its README says that they print."""
    quickstart = EXAMPLES / "quickstart"
    with cleared("example_app", server_url), running(server_url, str(quickstart / "worker.py")) as worker:
        posted = subprocess.run(
            [sys.executable, str(quickstart / "post.py")],
            env=environment(server_url), text=True, capture_output=True, timeout=WORK_LIMIT, check=False,
        )  # fmt: skip
        assert posted.returncode == 0, posted.stderr
        first, last = posted.stdout.splitlines()
        assert re.fullmatch(r"Posted job \d+", first)
        assert last == "The result is 2468"
        assert last in (quickstart / "README.md").read_text()
        assert worker.poll() is None, "the worker goes on after its main program has ended"
    assert worker.returncode == 0


def test_digits_loses_nothing_when_a_worker_is_killed() -> None:
    """The demonstration in small, with its own server: its exit status, what it says, and that it tidies up."""
    shown = subprocess.run(
        [sys.executable, "-m", "examples.digits", "--images", "300"],
        env=environment("redis://127.0.0.1:1"), cwd=ROOT, text=True, encoding="utf-8", errors="replace",
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stdout + shown.stderr
    said = re.sub(r" +", " ", shown.stdout)
    killed = re.search(r"worker 2 is killed \(SIGKILL\) while it predicts a batch of (\d+)", said)
    assert killed
    assert re.search(r"100 % 600 of 600 predictions", said)
    accuracy = re.search(r"Accuracy (\d+\.\d)% \(\d+ of 600 predictions are correct\)", said)
    assert accuracy
    assert float(accuracy[1]) > 90
    assert re.search(r"Speed \d+ predictions per second \(\d+ in \d+\.\d s,", said)
    batches = re.search(r"Batches \d+, of (\d+\.\d) images on average, (\d+) at most", said)
    assert batches
    assert 1 < float(batches[1]) <= int(batches[2]) <= 32
    again = re.search(r"Run again (\d+) \(the last one done \d+\.\d s after the kill\)", said)
    assert again
    assert int(again[1]) >= int(killed[1]) > 0
    assert re.search(r"Callbacks 600 of 600 received", said)
    assert re.search(r"Lost 0 \(each of the 600 jobs has exactly one outcome\)", said)
    assert "Problems" not in said
    assert shown.stderr == ""


def test_products_are_each_stored_once_when_a_worker_is_killed(tmp_path) -> None:
    """The README's program in small, on its own server, and the README's list of routes."""
    environ = environment("redis://127.0.0.1:1") | {"MLQ_HOME": str(tmp_path)}
    shown = subprocess.run(
        [sys.executable, str(EXAMPLES / "products" / "run.py"), "300"],
        env=environ, text=True, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert (shown.returncode, shown.stderr) == (0, "")
    killed = re.search(
        r"worker 2 is killed \(SIGKILL\): (\d+) records are stored, and it holds (\d+) jobs", shown.stdout
    )
    assert killed
    assert 150 <= int(killed[1]) < 300
    assert re.search(r"records stored +300 of 300: \d+ books, \d+ phones, \d+ tools, \d+ vouchers\n", shown.stdout)
    for name in ("lost", "stored twice", "wrongly read"):
        assert re.search(rf"{name} +0\n", shown.stdout)
    assert re.search(r"\n\d+ classify .*\n  \d+ extract_book .*\n  \d+ validate .*\n  \d+ store .*\n$", shown.stdout)
    printed = subprocess.run(
        [MLQ, "pipelines", "examples/products/listeners.py"],
        cwd=ROOT, env=environ, text=True, capture_output=True, timeout=WORK_LIMIT, check=True,
    )  # fmt: skip
    assert printed.stdout in (EXAMPLES / "products" / "README.md").read_text()


@pytest.mark.parametrize("code", ["6291041500213", "9780306406157", "73513537", "036000291452", "10614141000415"])
def test_products_check_the_digits_of_codes(code: str) -> None:
    """Those of all lengths; any other last digit is wrong, and so is any other length."""
    assert is_gtin(code)
    assert check_digit(code[:-1]) == int(code[-1])
    assert [last for last in "0123456789" if is_gtin(code[:-1] + last)] == [code[-1]]
    assert not is_gtin(code[:-2])
