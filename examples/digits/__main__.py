"""The demonstration, step by step: `python -m examples.digits [--images N]`.

It needs no Redis: it starts a server of its own, which is gone with all its files when the demonstration ends.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from examples.digits import model, screen
from examples.digits.callbacks import Received, receiver
from examples.digits.processes import WorkerProcess
from examples.digits.report import Report, check
from mlq import MLQ
from mlq.server import scratch

KILL_AFTER = 0.4  # of the images
LOOK = 0.02  # seconds between looks at the progress; 900 images take less than 2 s
STALL_LIMIT = 60.0  # seconds without any progress after which the demonstration gives up
CALLBACK_LIMIT = 40.0  # seconds for the last callbacks


class Accident(NamedTuple):
    """The killing of a worker."""

    at: float  # seconds since the epoch
    held: Sequence[str]  # the ids of the jobs that the worker ran


@click.command()
@click.option("--images", type=click.IntRange(300, model.HELD_OUT), default=model.HELD_OUT, help="How many to read.")
def main(images: int) -> None:
    """Two workers read handwritten digits; one is killed in the middle of its work, and nothing is lost."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # leave the `with` block then, as on Ctrl-C
        signal.signal(number, lambda *_: sys.exit(1))
    click.secho("\n  MLQ reads handwritten digits\n", bold=True)
    digits = model.load()
    test_images, labels = digits.test_images[:images], digits.test_labels[:images]
    with ExitStack() as at_the_end:  # stops and removes again whatever was entered
        folder = Path(at_the_end.enter_context(tempfile.TemporaryDirectory(prefix="mlq-digits-")))
        with screen.step(f"Train a classifier on {len(digits.train_images):,} real images"):
            model_file = train(digits, folder)
        with screen.step("Start a private server, which writes to disk every second"):
            server = at_the_end.enter_context(scratch(appendfsync="everysec"))
            mlq = MLQ("digits", url=server.url)
            at_the_end.callback(mlq.close)
        received = at_the_end.enter_context(receiver())  # before the workers, to end after them
        with screen.step("Start two worker processes; each loads the model once"):
            workers = at_the_end.enter_context(two_workers(mlq, server.url, model_file))
        with screen.step(f"Post {images} images that the model has never seen"):
            ids = mlq.post_many(test_images, callback=received.url)
        accident = watch(mlq, images, workers)
        with screen.step("Wait for the last callbacks"):
            received.wait_for(images, CALLBACK_LIMIT)
        with screen.step("Read all results back and check them"):
            report = check(mlq, ids, labels, received)
    show_some(test_images, labels, report)
    show_figures(report, workers, accident, received)
    screen.facts([("Problems", problem) for problem in report.problems])
    sys.exit(1 if report.problems else 0)


def train(digits: model.Digits, folder: Path) -> Path:
    """Train the classifier and leave it in a file for the workers."""
    path = folder / "model.joblib"
    model.save(model.train(digits.train_images, digits.train_labels), path)
    return path


@contextmanager
def two_workers(mlq: MLQ, server_url: str, model_file: Path) -> Iterator[list[WorkerProcess]]:
    """Two processes that have loaded the model and wait for images."""
    workers = [WorkerProcess(label, server_url, str(model_file)) for label in ("worker 1", "worker 2")]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.find(mlq)
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def watch(mlq: MLQ, total: int, workers: Sequence[WorkerProcess]) -> Accident:
    """Show how the work goes on until all is done, and have the accident happen on the way."""
    click.echo("  Work:")
    bar = screen.Bar(total, "images")
    victim = workers[1]
    follow(mlq, bar, total, round(total * KILL_AFTER), workers)
    accident = Accident(time.time(), victim.kill_while_it_works(mlq))
    bar.say(click.style(f"{victim.label} is killed (SIGKILL) while it runs job {', '.join(accident.held)}", fg="red"))
    victim.start()
    bar.say(f"{victim.label} is started again; its job runs again when its lease has run out, within 7.5 s")
    follow(mlq, bar, total, total, workers)
    bar.close()
    victim.find(mlq)
    return accident


def follow(mlq: MLQ, bar: screen.Bar, total: int, until: int, workers: Sequence[WorkerProcess]) -> None:
    """Show the progress until so many jobs are done."""
    done, changed = -1, time.monotonic()
    while done < until:
        now = total - mlq.job_count()
        if now != done:
            done, changed = now, time.monotonic()
            bar.show(done)
        ended = [worker.label for worker in workers if worker.has_ended()]
        if ended or time.monotonic() - changed > STALL_LIMIT:
            raise click.ClickException(
                f"{' and '.join(ended) or 'the work'} has stopped after {done} of {total} images"
            )
        time.sleep(LOOK)


def show_some(images: np.ndarray, labels: np.ndarray, report: Report) -> None:
    """Three images that were read correctly, and one that was not."""
    answers = np.array(report.answers)
    right, wrong = np.flatnonzero(answers == labels), np.flatnonzero(answers != labels)
    chosen = [*right[:3], *(wrong if len(wrong) else right[3:])[:1]]
    click.echo()
    screen.pictures(images[chosen], [caption(report.answers[i], int(labels[i])) for i in chosen])
    click.echo()


def caption(answer: int, label: int) -> str:
    """What stands below an image."""
    return f"read as {answer}" if answer == label else f"a {label} read as {answer}"


def show_figures(report: Report, workers: Sequence[WorkerProcess], accident: Accident, received: Received) -> None:
    """The outcome of it all."""
    total, settled = len(report.jobs), report.settled_by()
    shares = [f"{worker.label} {' + '.join(str(settled[name]) for name in worker.names)}" for worker in workers]
    late = [
        (job["id"], job["processing_finished"] - accident.at) for job in report.run_again if job["processing_finished"]
    ]
    again = "; ".join(f"job {job_id}, done {seconds:.1f} s after the kill" for job_id, seconds in late)
    twice = sum(times > 1 for times in received.times.values())
    speed = f"{report.undisturbed} in {report.seconds:.1f} s; those that were run again are left out"
    proof = "" if report.problems else f"  (each of the {total} jobs has exactly one outcome)"
    screen.facts([
        ("Accuracy", f"{report.correct / total:.1%}  ({report.correct} of {total} images read correctly)"),
        ("Speed", f"{report.undisturbed / report.seconds:.0f} jobs per second  ({speed})"),
        ("Done by", f"{', '.join(shares)}  (before and after the kill)"),
        ("Run again", f"{len(report.run_again)}  ({again})"),
        ("Callbacks", f"{len(received.times)} of {total} received" + (f", {twice} of them twice" if twice else "")),
        ("Lost", f"{report.lost}{proof}"),
    ])  # fmt: skip
    click.echo()


if __name__ == "__main__":
    main()
