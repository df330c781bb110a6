"""Reads the options in a record, as `job_options.py` packs them."""

import functools
from typing import Any

from mlq.core import codec
from mlq.core.checks import check_stored_queue, check_stored_url, group_of, queue_of, share_of
from mlq.core.job_options import CHECKS, JobOptions, made_of
from mlq.core.part import Part
from mlq.core.tick import Tick
from mlq.core.unique import check_since
from mlq.errors import InputError

REMEMBERED = 1000  # bytes; a record's packed options are cached once decoded if they are smaller than this

# Of what was checked when it was posted: anybody who reads it does less.
_STORED = CHECKS | {name: functools.partial(check_stored_url, name) for name in ("callback", "webhook")}
_STORED |= {"queue": check_stored_queue}  # MLQ's own jobs are in queues that no user may name
_STORED |= {"since": check_since}  # stored in the place of `replace`
_STORED.pop("replace")


def read_options(lane: str, packed: bytes) -> JobOptions:
    """The options in a record. Raises ValueError: whoever can write to Redis may have put anything there."""
    share = share_of(lane)
    if share is not None:  # as in `options_of`
        return read_options(group_of(lane), packed).of_share(share)
    if len(packed) >= REMEMBERED:
        return _read(lane, packed)
    # Parts of a split are alike. Other steps, ticks, times and keys are not, and would push out what others need.
    is_rare = any(name in packed for name in (b"\xa4part", b"\xa2at\xcb", b"\xa4tick", b"\xa3key"))
    return _known_steps(lane, packed) if is_rare else _known(lane, packed)


def _read(lane: str, packed: bytes) -> JobOptions:
    kept: Any = codec.unpack(packed) if packed else {}
    try:
        if isinstance(kept, dict) and "part" in kept:
            # each pipeline has parts of its own, but the rest is known: this saves 8 us a step
            part = Part.read(kept.pop("part"))
            options = read_options(lane, codec.pack(kept))
            return options.of_step(part, options.then, options.priority, None)
        if isinstance(kept, dict) and "tick" in kept:
            tick = Tick.read(kept.pop("tick"))
            return read_options(lane, codec.pack(kept)).of_tick(tick)
        return made_of({name: kept[name] for name in kept.keys() & _STORED.keys()} | {"queue": queue_of(lane)}, _STORED)
    except InputError as error:
        raise ValueError(str(error)) from None


_known = functools.lru_cache(maxsize=256)(_read)
_known_steps = functools.lru_cache(maxsize=64)(_read)
