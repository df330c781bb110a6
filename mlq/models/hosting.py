"""Makes listeners of models, with the options of their configuration."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict

from mlq.core.checks import check_count, check_memory, check_queue, check_seconds, nearest
from mlq.core.model import TIMEOUT
from mlq.core.policy import Policy
from mlq.errors import InputError
from mlq.models.declaration import Declaration, declaration_of
from mlq.models.hosted import Hosted
from mlq.running.listeners import Listener
from mlq.running.loads import Loads, Residency
from mlq.running.portions import Split

BATCH = 32  # jobs per call of a model that can take many


class ModelOptions(TypedDict, total=False):
    """How a model is hosted; all of it is left to its configuration."""

    batch: int  # inputs per call of `predict_batch`, 32 if it has that; 1 calls `predict` for each
    max_cost: float  # what the inputs of a call may cost together, by the model's method cost(self, x)
    max_wait: float  # the longest pause after a batch, for clients that come back at once; 0.005 s if left out
    per_worker: int  # calls that one worker runs at a time; as many as it has slots if left out
    uses: str | list[str]  # resources that may be limited (`limit`)
    device: str  # what `load` gets; "cpu" if left out; "auto": the first GPU that the process may use, or "cpu"
    per_thread: bool  # no two threads share an instance; for models that can't be shared
    queue: str  # where its jobs wait; a queue of the model's own name if left out
    retries: int  # further attempts after one that raised; none if left out
    timeout: float  # seconds of an attempt, loading included if it comes first; 600 if left out
    idle: float  # seconds without a prediction after which it is unloaded; it stays if left out
    memory: str | int  # what its process needs, "2GiB" or bytes, for --memory-budget; measured if left out
    warm: bool  # load it before the first job comes
    warm_inputs: list[Any]  # inputs to predict before the first job comes; for `warm`
    python: str  # the interpreter that it runs in, if that is another one
    name: str  # of a model with `python` that may not be available
    version: str  # the same
    remote: bool  # its `source` may be an address, which its interpreter downloads: it runs what it finds there


OPTIONS = tuple(ModelOptions.__annotations__)
OF_OTHERS = ("python", "name", "version", "remote")  # options of models in other interpreters


class Hosting(NamedTuple):
    """A model that is ready to be a listener."""

    declared: Declaration
    listener: Listener


def hosting_of(kind: object, place: str, options: Mapping[str, Any], loads: Loads) -> Hosting:
    """How a class is hosted; `place` says where it was named, for errors; `loads` hears what became of it.

    Raises InputError.
    """
    if given := [name for name in OF_OTHERS if name in options]:
        raise InputError(
            f"{place}: {given[0]} is an option of models in another interpreter, and this one is a class here"
        )
    check_options(options, place)
    return hosting_with(declaration_of(kind, place), place, options, loads)


def check_options(options: Mapping[str, Any], place: str) -> None:
    """Raises InputError if one does not exist."""
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise InputError(f"{place}: there is no option {unknown[0]!r}{nearest(unknown[0], OPTIONS)}")


def hosting_with(declared: Declaration, place: str, options: Mapping[str, Any], loads: Loads) -> Hosting:
    """The same for a model whose declaration is known."""
    try:
        queue = declared.info.name if options.get("queue") is None else check_queue(options["queue"])
        policy = Policy.of(options.get("timeout", TIMEOUT), options.get("retries"), None)
        declared = declared._replace(info=declared.info._replace(timeout=policy.timeout, queue=queue))
        return Hosting(declared, _listener(declared, options, policy, loads))
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


def _listener(declared: Declaration, options: Mapping[str, Any], policy: Policy, loads: Loads) -> Listener:
    size = check_count("batch", options.get("batch", BATCH if declared.predicts_batches else 1), 1) or 1
    if size > 1 and not declared.predicts_batches:
        raise InputError(f"batch = {size} needs a method predict_batch(self, xs)")
    if size > 1 and declared.streams:
        raise InputError("its predict streams, but predict_batch would be called instead: set batch = 1, or remove one")
    device = options.get("device", "cpu")
    if not isinstance(device, str) or not device:
        raise InputError(f"device must be a name, such as 'cuda:0', not {device!r:.80}")
    per_thread = options.get("per_thread", False)
    if not isinstance(per_thread, bool):
        raise InputError(f"per_thread must be true or false, not {per_thread!r:.80}")
    hosted, info = Hosted(declared, device, loads, per_thread=per_thread), declared.info
    function = hosted.listener(batches=size > 1)
    if per_thread and inspect.iscoroutinefunction(function):
        raise InputError("per_thread is not for async models: their predictions share one thread")
    made = Listener.of(
        function,
        info.function,
        info.queue,
        policy,
        batch=size if size > 1 else None,
        max_wait=options.get("max_wait"),
        split=_split(declared, hosted, options) if size > 1 else None,
        per_worker=options.get("per_worker"),
        uses=options.get("uses"),
    )
    warm_up, residency = _warming(hosted, options), _residency(options)
    made = made._replace(convert=declared.convert, convert_many=declared.convert_many)
    return made._replace(about=info.packed(), warm_up=warm_up, residency=residency)


def _split(declared: Declaration, hosted: Hosted, options: Mapping[str, Any]) -> Split | None:
    """By the model's own methods, which need not exist."""
    max_cost, has_cost = options.get("max_cost"), hasattr(declared.kind, "cost")
    if max_cost is not None and not has_cost:
        raise InputError("max_cost needs a method cost(self, x)")
    return Split.of(
        hosted.cost if max_cost is not None else None, max_cost,
        hosted.group if hasattr(declared.kind, "group") else None,
    )  # fmt: skip


def _residency(options: Mapping[str, Any]) -> Residency:
    idle, needs = check_seconds("idle", options.get("idle")), check_memory("memory", options.get("memory"))
    return Residency(idle, needs, options.get("warm", False))


def _warming(hosted: Hosted, options: Mapping[str, Any]) -> Callable[[], None] | None:
    warm, samples = options.get("warm", False), options.get("warm_inputs", [])
    if not isinstance(warm, bool) or not isinstance(samples, list):
        raise InputError("warm must be true or false, and warm_inputs a list of inputs")
    if samples and not warm:
        raise InputError("warm_inputs needs warm = true")
    return (lambda: hosted.warm_up(samples)) if warm else None
