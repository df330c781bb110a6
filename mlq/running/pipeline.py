"""What a listener returns so that its job becomes another one, or many: `Forward` and `Split`. Plain values."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from mlq.core.destination import destination_of
from mlq.core.job_options import JobOptions, options_of
from mlq.errors import InputError

AT_ONCE = 1000  # parts of a split that are open at a time: opening so many takes the server 3 ms


class StepOptions(TypedDict, total=False):
    """Options of a step, with the meaning that they have in a post. The rest is the business of the whole pipeline."""

    queue: str | None
    timeout: float | None
    retries: int | None
    backoff: float | None


@dataclass(frozen=True)
class Step:
    """Where a step of a pipeline runs: what `step` returns."""

    options: JobOptions


To = Callable[..., Any] | str | Step | Any


def step(to: To = None, *, functions: Iterable[str] | None = None, **options: Unpack[StepOptions]) -> Step:
    """A listener, or several by `functions`, with options for the step that it runs.

    `to`: a listener, its name, or a hosted model (`mlq.model("iris")`). A declared listener's own queue is used, unless
    `queue` names another. Raises InputError.
    """
    if unknown := options.keys() - StepOptions.__annotations__.keys():
        raise TypeError(f"a step has no option {min(unknown)!r}")
    if isinstance(to, Step):
        if functions is not None or options:
            raise InputError("give the options of a step to `step`, where it is made")
        return to
    if (to is None) == (functions is None):
        raise InputError("a step needs a listener: `to`, or names in `functions`")
    queue, names = (None, functions) if to is None else _place_of(to)
    given = {"queue": queue, **options, "functions": names}
    kept = {name: value for name, value in given.items() if value is not None}
    return Step(options_of(None, kept.pop("functions"), kept))


def _place_of(to: Any) -> tuple[str | None, list[str]]:
    """The queue and the functions of a step for this listener or model."""
    if isinstance(to, str):
        return None, [to]
    if callable(version_for := getattr(to, "version_for", None)) and not callable(to):  # a model
        found = version_for()
        return found.queue, [found.function]
    if not callable(to):
        raise InputError(f"a step needs a listener, its name or a model, not {to!r:.80}")
    return destination_of(to)


@dataclass(frozen=True, init=False)
class Forward:
    """Return it from a listener: whoever waits for the job gets the result of the job that this posts.

    It is posted by the very step that ends the attempt, so neither is ever without the other.
    """

    msg: Any
    to: Step

    def __init__(
        self, msg: Any, to: To = None, *, functions: Iterable[str] | None = None, **options: Unpack[StepOptions]
    ) -> None:
        """`msg`: the message, up to 64 MiB; the rest is as in `step`. Raises InputError."""
        object.__setattr__(self, "msg", msg)
        object.__setattr__(self, "to", step(to, functions=functions, **options))


@dataclass(frozen=True, init=False)
class Split:
    """Return it from a listener: a job for each item, and then one that joins their results.

    Whoever waits for the job gets the result of the join. Nothing runs before all items are posted.
    """

    items: Iterable[Any]
    each: Step
    into: Step
    at_once: int = AT_ONCE
    on_failure: Literal["fail", "run"] = "fail"

    def __init__(
        self, items: Iterable[Any], each: To, into: To, *, at_once: int = AT_ONCE,
        on_failure: Literal["fail", "run"] = "fail",
    ) -> None:  # fmt: skip
        """Nothing is read or posted yet.

        `items`: the messages, from any iterable, a generator too: never all in memory at once. `each`: the listener
        that gets them; `into`: the one that gets a sequence of their results, in the same order; both as in `step`.
        `at_once`: parts that wait in the queue or run at a time, up to 1,000. `on_failure`: "fail" ends the whole with
        the first part that fails for good, and cancels the others; "run" runs the join when all have ended, with
        exceptions in the place of missing results. Raises InputError.
        """
        if isinstance(items, (str, bytes)) or not hasattr(items, "__iter__"):
            raise InputError(f"a Split needs items, such as a list or a generator, not {type(items).__name__}")
        if isinstance(at_once, bool) or not isinstance(at_once, int) or not 1 <= at_once <= AT_ONCE:
            raise InputError(f"at_once must be a whole number from 1 to {AT_ONCE:,}, not {at_once!r}")
        if on_failure not in ("fail", "run"):
            raise InputError(f"on_failure must be 'fail' or 'run', not {on_failure!r:.80}")
        found = {"items": items, "each": step(each), "into": step(into), "at_once": at_once, "on_failure": on_failure}
        for name, value in found.items():
            object.__setattr__(self, name, value)
