"""The routes with which a pipeline began: each step carries those that lie ahead of it, so no deploy changes them."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

from mlq.core import codec
from mlq.core.checks import functions_of, queue_of
from mlq.core.job_options import options_of
from mlq.errors import NoRoute, Undecodable, Unserializable
from mlq.running.listeners import Listener
from mlq.running.pipeline import Forward, Step
from mlq.running.routes import Key, Routes, found_in, message_of, value_of

LIMIT = 4000  # bytes in the record of each step, enough for about 100 routes


class Kept(NamedTuple):
    """The routes of one listener, as a step carries them."""

    by: str | None  # None: by a function, which the worker has
    to: Mapping[Key, Step]
    otherwise: Step | None


def going_on(value: Any, listener: Listener, carried: bytes) -> Forward | None:
    """Where what `listener` returned goes on, by the routes that its step carries; None if it is the result.

    What these do not know is decided by the routes that the worker has now. So a step that failed with NoRoute can be
    requeued once the missing route is deployed. Raises NoRoute, and ValueError if what the step carries is damaged.
    """
    entry, now = _entries(carried).get(listener.name), listener.routes
    if entry is None:
        return None if now is None else now.forward(value)
    kept = _kept(entry)
    if kept is None:
        return None  # it had no routes
    if (found := _chosen(kept, message_of(value), now)) is not None:
        return found
    if now is None:
        raise NoRoute(
            f"no route for {value!r:.200}: neither in those with which the pipeline began nor in this worker's"
        )
    return now.forward(value)


def _chosen(kept: Kept, msg: Any, now: Routes | None) -> Forward | None:
    by = now.by if kept.by is None and now is not None else kept.by
    if by is None:
        return None  # nobody knows any more whether `otherwise` is meant
    try:
        target = found_in(kept.to, value_of(msg, by)) or kept.otherwise
    except NoRoute:  # what the listener returns has changed since
        return None
    return None if target is None else Forward(msg, target)


def ahead(step: Step, then: tuple[str, ...], listener: Listener | None, carried: bytes) -> bytes:
    """What `step` carries that follows an attempt of `listener`, whose own step carries `carried`.

    `then`: the listeners that go on with its result, each as `queue:name` or a name. What is carried is the routes of
    all listeners that the step and these may lead to, the next ones first, as far as they fit into LIMIT; a program
    without routes carries none.
    """
    declared = listener.declared if listener else {}
    if not carried and not declared:
        return b""
    first = (*(step.options.functions or ()), *(one.rpartition(":")[2] for one in then))
    return _ahead(first, tuple(declared.items()), carried)


@functools.lru_cache(maxsize=256)  # saves 20 us where eight listeners in a row have routes
def _ahead(first: tuple[str, ...], declarations: tuple[tuple[str, Routes | None], ...], carried: bytes) -> bytes:
    known, declared, names = _entries(carried), dict(declarations), list(first)
    found: dict[str, bytes] = {}
    size = 0
    for name in names:  # grows meanwhile
        entry = known.get(name) or (_packed(declared[name]) if name in declared else b"")
        if not entry or name in found:
            continue
        size += len(name) + len(entry)
        if size > LIMIT:
            break
        found[name] = entry
        kept = _kept(entry)
        if kept is not None:
            names += (one for to in (*kept.to.values(), kept.otherwise) if to for one in to.options.functions or ())
    return codec.pack(found) if found else b""


@functools.lru_cache(maxsize=256)
def _packed(routes: Routes | None) -> bytes:
    """The entry of a listener with these routes.

    Empty if the worker is to decide: if one of them leads to a hosted model, it finds out which version is the newest;
    and a value that can't be packed can only come from a function that it has.
    """
    if routes is None:
        return codec.pack(None)
    targets = [*routes.to.values(), *([] if routes.otherwise is None else [routes.otherwise])]
    if not all(isinstance(target, Step) for target in targets):
        return b""
    to = [[*key, _place(target)] for key, target in routes.to.items()]
    otherwise = None if routes.otherwise is None else _place(routes.otherwise)
    try:
        return codec.pack([routes.by if isinstance(routes.by, str) else None, to, otherwise])
    except Unserializable:  # an integer of more than 64 bits, a lone surrogate
        return b""


def _place(step: Step) -> list[Any]:
    options = step.options
    return [options.lane, options.timeout, options.retries, options.backoff]


@functools.lru_cache(maxsize=256)
def _entries(carried: bytes) -> Mapping[str, bytes]:
    """Raises ValueError: whoever can write to Redis may have put anything there."""
    entries: Any = _unpacked(carried) if carried else {}
    if not isinstance(entries, dict) or not all(isinstance(entry, bytes) for entry in entries.values()):
        raise ValueError(f"not the routes of a pipeline: {entries!r:.80}")
    return entries


@functools.lru_cache(maxsize=256)
def _kept(entry: bytes) -> Kept | None:
    """Raises ValueError, as `_entries`."""
    given = _unpacked(entry)
    if given is None:
        return None
    try:
        by, to, otherwise = given
        read = {(kind, value): _step(*place) for kind, value, place in to}
        return Kept(None if by is None else str(by), read, None if otherwise is None else _step(*otherwise))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not the routes of a listener: {given!r:.80} ({error})") from None


def _unpacked(packed: bytes) -> Any:
    try:
        return codec.unpack(packed)
    except Undecodable as error:
        raise ValueError(f"damaged routes: {error}") from None


def _step(lane: str, timeout: float | None, retries: int | None, backoff: float | None) -> Step:
    given = {"queue": queue_of(lane), "timeout": timeout, "retries": retries, "backoff": backoff}
    kept = {name: value for name, value in given.items() if value is not None}
    return Step(options_of(None, functions_of(lane), kept))
