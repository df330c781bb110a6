"""The command `tree`: the steps of a pipeline, each under the job that it ran for."""

from collections import Counter
from collections.abc import Iterator

import click

from mlq import State, Tree
from mlq.cli import show
from mlq.cli.base import Settings, json_option, report, with_settings
from mlq.core.states import FINISHED
from mlq.core.tree import STEPS

FEW = 10  # jobs without steps of their own, under one job, that are all shown
SHOWN = 5  # of more than those, how many are shown that run or ended badly; the others are counted
BLANK = " "  # a cell that most lines have: the usual dash would make them hard to read
WIDEST = 12  # levels that are indented; deeper ones are as far to the right


@click.command
@click.argument("job_id", metavar="ID")
@click.option(
    "--limit", type=click.IntRange(min=1), default=STEPS, show_default=True, metavar="N", help="Read at most N steps."
)
@json_option
@with_settings
def tree(settings: Settings, job_id: str, limit: int, *, as_json: bool) -> None:
    """Show the pipeline that a job belongs to.

    Each step is shown under the job that it ran for: the parts of a split under the job that joins their results.
    """
    found = settings.queue().tree(job_id, limit)
    if as_json:
        show.emit_json(found)
        return
    less = [] if len({step.queue for step, _ in _all(found) if step.queue}) > 1 else ["QUEUE"]
    heads = [head for head in ("JOB", "STATE", "QUEUE", "TOOK", "ABOUT") if head not in less]
    rows = ([cells[head] for head in heads] for cells in _lines(found))
    show.table(heads, rows, whole=("STATE", "TOOK"))
    if found.left_out:
        report(f"{found.left_out:,} more steps were not read; --limit reads more")


def _all(root: Tree) -> Iterator[tuple[Tree, int]]:
    """The job and all below it with their depths, each before its own steps."""
    left = [(root, 0)]
    while left:
        step, depth = left.pop()
        yield step, depth
        left.extend((below, depth + 1) for below in reversed(step.steps))


def _lines(root: Tree) -> Iterator[dict[str, object]]:
    """The cells of each line by the heads of their columns."""
    left: list[tuple[Tree | str, str, int]] = [(root, "", 0)]
    while left:
        step, note, depth = left.pop()
        indent = "  " * min(depth, WIDEST)
        if isinstance(step, str):
            yield {"JOB": f"{indent}{step}", "STATE": BLANK, "QUEUE": BLANK, "TOOK": BLANK, "ABOUT": note}
            continue
        yield _cells(step, indent)
        shown, rest = _chosen(step.steps)
        if rest:
            states = Counter(str(one.state) for one in rest)
            words = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
            left.append((f"{len(rest):,} more", words, depth + 1))
        left.extend((one, "", depth + 1) for one in reversed(shown))


def _chosen(steps: list[Tree]) -> tuple[list[Tree], list[Tree]]:
    """The steps that have a line of their own, and those that are only counted."""
    alike = [step for step in steps if not step.steps and step.runs_as in ("part", "next")]
    if len(alike) <= FEW:
        return steps, []
    ranks = {State.FAILED: 0, State.RUNNING: 1, State.SCHEDULED: 2, State.CANCELLED: 3}
    telling = sorted((step for step in alike if step.state in ranks), key=lambda step: ranks[step.state])[:SHOWN]
    kept = {step.id for step in telling}
    rest = [step for step in alike if step.id not in kept]
    counted = {step.id for step in rest}
    return [step for step in steps if step.id not in counted], rest


def _cells(step: Tree, indent: str) -> dict[str, object]:
    relation = "after " if step.runs_as == "needed" else ""
    functions = ", ".join(step.functions)
    return {
        "JOB": f"{indent}{relation}{step.id} {functions}".rstrip(),
        "STATE": show.state(step.state),
        "QUEUE": step.queue or BLANK,
        "TOOK": show.span(step.took) or BLANK,
        "ABOUT": "; ".join(_about(step)) or BLANK,
    }


def _about(step: Tree) -> Iterator[str]:
    if step.progress and step.state not in FINISHED:
        yield str(step.progress)
    elif step.progress:
        yield f"{step.progress.of:,} steps"
    if step.parts is not None:
        waits = f", waits for {step.needs:,} of them" if step.needs else ""
        yield f"joins {step.parts:,} parts{waits}"
    elif step.needs:
        yield f"waits for {step.needs:,} {'job' if step.needs == 1 else 'jobs'}"
    if step.attempts > 1:
        yield f"{step.attempts} runs"
    if step.reason == "step" and step.cause:
        yield f"because of job {step.cause}"
    elif step.error:
        yield show.error_line(step.error_type or "", step.error)
