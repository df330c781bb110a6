"""The demonstration, step by step: `python -m examples.digits [--images N]`.

It needs no Redis: it starts a server of its own, which is gone with all its files when the demonstration ends.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from examples.digits import screen, training
from examples.digits.callbacks import Received, receiver
from examples.digits.posting import CLIENTS, Posts
from examples.digits.processes import Process, Service, Worker
from examples.digits.report import Report, check
from mlq import MLQ
from mlq.server import scratch

KILL_AFTER = 0.4  # of the predictions
LOOK = 0.01  # seconds between looks at the progress; all predictions take about 2 s
STALL_LIMIT = 60.0  # seconds without any progress after which the demonstration gives up
CALLBACK_LIMIT = 40.0  # seconds for the last callbacks


class Accident(NamedTuple):
    """The killing of a worker."""

    at: float  # seconds since the epoch
    held: Sequence[str]  # the ids of the jobs that the worker ran


@click.command()
@click.option(
    "--images", type=click.IntRange(300, training.HELD_OUT), default=training.HELD_OUT, help="How many to read."
)
def main(images: int) -> None:
    """Two workers host a model that reads digits; one is killed in the middle of its work, and nothing is lost."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # leave the `with` block then, as on Ctrl-C
        signal.signal(number, lambda *_: sys.exit(1))
    click.secho("\n  MLQ hosts a model that reads handwritten digits\n", bold=True)
    digits = training.load()
    test_images, labels = digits.test_images[:images], digits.test_labels[:images]
    with ExitStack() as at_the_end:  # stops and removes again whatever was entered
        folder = Path(at_the_end.enter_context(tempfile.TemporaryDirectory(prefix="mlq-digits-")))
        with screen.step(f"Train a classifier on {len(digits.train_images):,} real images"):
            classifier = train(digits, folder)
        with screen.step("Start a private server, which writes to disk every second"):
            server = at_the_end.enter_context(scratch(appendfsync="everysec"))
            mlq = MLQ("digits", url=server.url)
            at_the_end.callback(mlq.close)
        received = at_the_end.enter_context(receiver())  # before the workers, to end after them
        service, workers = Service(mlq), [Worker(label, mlq, classifier) for label in ("worker 1", "worker 2")]
        with screen.step("Start two workers, which load the model, and an HTTP service"):
            at_the_end.enter_context(running([service, *workers]))
        threads = at_the_end.enter_context(ThreadPoolExecutor(CLIENTS))
        click.echo(f"  Post {images} images that the model has never seen, over HTTP and from Python:")
        posts = Posts(mlq, service.port, test_images, received.url)
        posts.start(threads)
        accident = watch(mlq, posts, 2 * images, workers)
        with screen.step("Wait for the last callbacks"):
            received.wait_for(2 * images, CALLBACK_LIMIT)
        with screen.step("Read all results back in both ways, and check them"):
            report = check(mlq, posts.ids, posts.outcomes(threads), labels, received)
    show_some(test_images, labels, report)
    show_figures(report, workers, accident, received)
    screen.facts([("Problems", problem) for problem in report.problems])
    sys.exit(1 if report.problems else 0)


def train(digits: training.Digits, folder: Path) -> Path:
    """Train the classifier and leave it in a file for the workers."""
    path = folder / "classifier.joblib"
    training.save(training.train(digits.train_images, digits.train_labels), path)
    return path


@contextmanager
def running(processes: Sequence[Process]) -> Iterator[None]:
    """The processes, ready for work."""
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.wait()
        yield
    finally:
        for process in processes:
            process.stop()


def watch(mlq: MLQ, posts: Posts, total: int, workers: Sequence[Worker]) -> Accident:
    """Show how the work goes on until all is done, and have the accident happen on the way."""
    bar = screen.Bar(total, "predictions")
    victim = workers[1]
    follow(mlq, posts, bar, round(total * KILL_AFTER), workers)
    # the workers may be faster than the posts: that no job waits does not mean that all are done
    held = victim.kill_while_it_works(lambda: posts.count < total or mlq.job_count() > 0)
    accident = Accident(time.time(), held)
    bar.say(click.style(f"{victim.label} is killed (SIGKILL) while it predicts a batch of {len(held)}", fg="red"))
    victim.start()
    bar.say(f"{victim.label} is started again; that batch runs again when its leases have run out, within 7.5 s")
    follow(mlq, posts, bar, total, workers)
    bar.close()
    victim.wait()
    return accident


def follow(mlq: MLQ, posts: Posts, bar: screen.Bar, until: int, workers: Sequence[Worker]) -> None:
    """Show the progress until so many jobs are done."""
    done, changed = -1, time.monotonic()
    while done < until:
        posted = posts.count  # before the queue is asked: a job posted in between is missing here, not counted as done
        now = max(done, posted - mlq.job_count())
        if now != done:
            done, changed = now, time.monotonic()
            bar.show(done)
        posts.check()
        ended = [worker.label for worker in workers if worker.has_ended()]
        if ended or time.monotonic() - changed > STALL_LIMIT:
            raise click.ClickException(f"{' and '.join(ended) or 'the work'} has stopped after {done} predictions")
        time.sleep(LOOK)


def show_some(images: np.ndarray, labels: np.ndarray, report: Report) -> None:
    """Three images that were read correctly, and one that was not."""
    answers = report.answers[0]
    right, wrong = np.flatnonzero(answers == labels), np.flatnonzero(answers != labels)
    chosen = [*right[:3], *(wrong if len(wrong) else right[3:])[:1]]
    click.echo()
    screen.pictures(images[chosen], [caption(report.outputs[i], int(labels[i])) for i in chosen])
    click.echo()


def caption(output: dict[str, Any] | None, label: int) -> str:
    """What stands below an image."""
    if output is None:
        return "not read"
    read = f"read as {output['digit']}, {output['probability']:.0%}"
    return read if output["digit"] == label else f"a {label} {read}"


def show_figures(report: Report, workers: Sequence[Worker], accident: Accident, received: Received) -> None:
    """The outcome of it all."""
    total, settled, batches = len(report.jobs), report.settled_by(), report.batches
    shares = [f"{worker.label} {' + '.join(str(settled[name]) for name in worker.names)}" for worker in workers]
    late = [job["processing_finished"] - accident.at for job in report.run_again if job["processing_finished"]]
    again = f"  (the last one done {max(late):.1f} s after the kill)" if late else ""
    twice = sum(times > 1 for times in received.times.values())
    speed = f"{report.undisturbed} in {report.seconds:.1f} s, with posting; those that were run again are left out"
    proof = "" if report.problems else f"  (each of the {total} jobs has exactly one outcome)"
    screen.facts([
        ("Accuracy", f"{report.correct / total:.1%}  ({report.correct} of {total} predictions are correct)"),
        ("Speed", f"{report.undisturbed / report.seconds:.0f} predictions per second  ({speed})"),
        ("Batches", f"{len(batches)}, of {sum(batches) / len(batches):.1f} images on average, {max(batches)} at most"),
        ("Done by", f"{', '.join(shares)}  (before and after the kill)"),
        ("Run again", f"{len(report.run_again)}{again}"),
        ("Callbacks", f"{len(received.times)} of {total} received" + (f", {twice} of them twice" if twice else "")),
        ("Lost", f"{report.lost}{proof}"),
    ])  # fmt: skip
    click.echo()


if __name__ == "__main__":
    main()
