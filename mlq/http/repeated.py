"""Remembers for a day which batch a request with an `Idempotency-Key` has begun: one that is sent again finds it.

What is remembered is all of the batch's record, before anything is written: whoever goes on after a service that
stopped in between writes the same, and posts the same job.
"""

import hashlib
import time
from typing import NamedTuple, Self

import msgspec
from flask import request

from mlq import MLQ
from mlq.batches.batch import Wanted
from mlq.batches.store import BATCH, new_id
from mlq.core.checks import check_key
from mlq.errors import KeyReused
from mlq.http.file_shapes import NewBatch
from mlq.ops import data as data_ops

DAY = 86400  # seconds


class Promised(NamedTuple):
    """A batch that is about to begin, or has."""

    asked: str  # a hash of the request
    id: str
    wanted: Wanted

    @classmethod
    def of(cls, asked: NewBatch, wanted: Wanted) -> Self:
        """A new one."""
        return cls(_hash(asked), new_id(BATCH, time.time()), wanted)


def found(mlq: MLQ, asked: NewBatch) -> Promised | None:
    """What an earlier request with this one's key has begun; None if there was none. Raises KeyReused, InputError."""
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    packed = None if key is None else mlq._shell.run(data_ops.fetch(mlq._keys, _name(key)))  # noqa: SLF001
    return None if packed is None else _same(packed, asked)


def promised(mlq: MLQ, new: Promised, asked: NewBatch) -> Promised:
    """Remember a batch, if the request has a key; the one that another request remembered meanwhile comes first."""
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return new
    op = data_ops.store_first(mlq._keys, _name(key), msgspec.json.encode(new), DAY)  # noqa: SLF001
    before = mlq._shell.run(op)  # noqa: SLF001 - users have no such data
    return new if before is None else _same(before, asked)


def _hash(asked: NewBatch) -> str:
    return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()


def _name(key: str) -> str:
    """No user can name such data."""
    return f"\nbatch {hashlib.sha256(check_key(key).encode()).hexdigest()}"


def _same(packed: bytes, asked: NewBatch) -> Promised:
    try:
        before = msgspec.json.decode(packed, type=Promised)
    except msgspec.DecodeError:
        before = None
    if before is None or before.asked != _hash(asked):
        raise KeyReused("this Idempotency-Key is that of another batch: take a new one")
    return before
