"""Where models are loaded, by what live workers report about themselves."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mlq.client.unserved import Worker, can_serve, missing
from mlq.core.model import ModelInfo
from mlq.errors import MLQError

ORDER = ("ready", "loading", "broken")  # the first that some process reports is the state of the model
COLD = "cold"  # no process has loaded it: the next prediction does


class LoadedIn(NamedTuple):
    """One process that met a model."""

    worker: str
    host: str
    state: str  # loading, ready or broken
    since: float  # seconds since 1970
    took: float  # seconds that loading took
    why: str  # of a broken one


class ModelState(NamedTuple):
    """One version of a model, and where it is loaded."""

    info: ModelInfo
    state: str  # cold, loading, ready or broken
    why: str  # it is broken
    processes: list[LoadedIn]
    unserved: str | None  # why no live worker hosts it; None if one does


def readable(asked: Iterable[Callable[[], list[ModelInfo]]]) -> Iterator[ModelInfo]:
    """The replies that can be read: one key of another type must not hide all other models."""
    for reply in asked:
        with contextlib.suppress(MLQError):
            yield from reply()


def states_of(infos: Iterable[ModelInfo], workers: Sequence[Worker], namespace: str) -> list[ModelState]:
    """The states of these models."""
    reports = [(worker, _reported(worker)) for worker in workers]
    return [_state_of(info, reports, namespace) for info in infos]


def hosted_by(workers: Sequence[Worker]) -> Callable[[ModelInfo], bool]:
    """Tells whether one of these workers hosts a version of a model."""
    return lambda info: any(can_serve(worker, _lane_of(info)) for worker in workers)


def default_first(states: Iterable[ModelState]) -> list[ModelState]:
    """The versions of a model, first the one that clients get that name none: the newest that is hosted."""
    return sorted(states, key=lambda one: one.unserved is not None)


def _lane_of(info: ModelInfo) -> str:
    return f"{info.queue}:{info.function}"


def _state_of(info: ModelInfo, reports: list[tuple[Worker, dict[str, Any]]], namespace: str) -> ModelState:
    lane = _lane_of(info)
    processes = [
        LoadedIn(worker["name"], worker.get("host", ""), *load)
        for worker, loads in reports
        if can_serve(worker, lane)
        for load in loads.get(info.function, ())
    ]
    there = {one.state for one in processes}
    state = next((name for name in ORDER if name in there), COLD)
    why = next((one.why for one in processes if one.why), "") if state == "broken" else ""
    return ModelState(info, state, why, processes, missing(lane, [worker for worker, _ in reports], namespace))


def _reported(worker: Worker) -> dict[str, Any]:
    """What a worker reports of its models, by listener; nothing if that is damaged."""
    try:
        found = json.loads(worker.get("models") or "{}")
        return {
            str(name): [
                (str(state), float(since), float(took), str(why)) for state, since, took, why in loads if state in ORDER
            ]
            for name, loads in found.items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
