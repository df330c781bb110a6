"""Where models are loaded, by what live workers report about themselves."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from mlq.client.unserved import Worker, can_serve, missing
from mlq.core.model import ModelInfo
from mlq.core.versions import Versions
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
    memory: int = 0  # bytes that the process holds; 0 if it has not told
    device: str = ""  # where it loaded it; empty if it has not told


class ModelState(NamedTuple):
    """One version of a model, and where it is loaded."""

    info: ModelInfo
    state: str  # cold, loading, ready or broken
    why: str  # it is broken
    processes: list[LoadedIn]
    unserved: str | None  # why no live worker hosts it; None if one does
    share: float = 0.0  # of the requests that name no version
    is_default: bool = False  # it gets those that no other version gets

    @property
    def memory(self) -> int:
        """Bytes that the processes hold that have loaded it; those that host several models count for each."""
        return sum(one.memory for one in self.processes if one.state == "ready")


def readable(asked: Iterable[Callable[[], Versions]]) -> Iterator[Versions]:
    """The replies that can be read: one key of another type must not hide all other models."""
    for reply in asked:
        with contextlib.suppress(MLQError):
            yield reply()


def states_of(models: Iterable[Versions], workers: Sequence[Worker], namespace: str) -> list[ModelState]:
    """The states of all versions of these models."""
    reports = [(worker, reported(worker)) for worker in workers]
    return [
        state
        for one in models
        for state in _with_shares(one, [_state_of(info, reports, namespace) for info in one.infos])
    ]


def _with_shares(versions: Versions, states: list[ModelState]) -> Iterator[ModelState]:
    """The states of the versions of one model, with what each gets."""
    hosted = {state.info.version for state in states if state.unserved is None}
    shares = versions.shares(lambda info: info.version in hosted)
    default = versions.default(lambda info: info.version in hosted).version if states else None
    for state in states:
        version = state.info.version
        yield state._replace(share=shares.get(version, 0.0), is_default=version == default)


def hosted_by(workers: Sequence[Worker]) -> Callable[[ModelInfo], bool]:
    """Tells whether one of these workers hosts a version of a model."""
    return lambda info: any(can_serve(worker, _lane_of(info)) for worker in workers)


def default_first(states: Iterable[ModelState]) -> list[ModelState]:
    """The versions of a model, first the default, then those that are hosted."""
    return sorted(states, key=lambda one: (not one.is_default, one.unserved is not None))


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


def reported(worker: Worker) -> dict[str, Any]:
    """What a worker reports of its models, by listener; nothing if that is damaged."""
    try:
        found = json.loads(worker.get("models") or "{}")
        return {
            str(name): [
                (str(state), float(since), float(took), str(why), int(memory), str(*device[:1]))
                for state, since, took, why, memory, *device in loads
                if state in ORDER
            ]
            for name, loads in found.items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
