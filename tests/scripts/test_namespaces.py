"""Stored data, and namespaces that never see each other."""

import uuid

import pytest

from mlq.core import codec
from mlq.core.keys import Keys
from mlq.ops import data as data_ops
from mlq.ops import jobs as job_ops

# Each could be taken for a part of the other, or for a pattern that matches it.
PAIRS = [
    ("a", "a_b"),
    ("a_b", "a"),
    ("[x]*", "x"),
    ("[x]*", "[x]y"),
    ("*", "b"),
    ("?", "a"),
    ("\\*", "*"),
    ("a-b", "a"),
    ("[^a]", "b"),
    ("a:", "a"),
    ("ä", "a"),
]


def everything(run, keys):
    """All keys that a scan of the namespace gives."""
    names, cursor = [], "0"
    while True:
        cursor, page = run(data_ops.scan(keys, cursor))
        names += page
        if cursor == "0":
            return sorted(set(names))


@pytest.fixture(params=PAIRS, ids="/".join)
def pair(request, raw):
    """Two namespaces with similar names, which nobody else has; emptied afterwards."""
    mark = uuid.uuid4().hex[:8]
    made = [Keys(f"{mark}{name}") for name in request.param]
    yield made
    names = list(raw.scan_iter(f"{{{mark}*", count=10_000))
    if names:
        raw.delete(*names)


def test_scan_sees_its_own_namespace_only(pair, run):
    """Whatever signs of a pattern the name holds; the counter of ids is left out."""
    mine, other = pair
    for keys in pair:
        run(job_ops.post(keys, "me", 1, "default", [b"0\nx"]))
    names = everything(run, mine)
    assert names == sorted((mine.root + name).encode() for name in ("post:1", "lane:default", "lanes", "replay:me"))
    run(data_ops.unlink(names))
    assert everything(run, mine) == []
    assert len(everything(run, other)) == 4
    assert run(job_ops.post(mine, "me", 2, "default", [b"0\nx"])).first == 2


def test_ids_and_jobs_are_of_one_namespace(pair, run):
    """The same id is another job elsewhere."""
    mine, other = pair
    assert run(job_ops.post(mine, "me", 1, "default", [b"0\n\x01"])).first == 1
    assert run(job_ops.post(other, "me", 1, "default", [b"0\n\x02"])).first == 1
    assert [run(job_ops.read(keys, "1"))["msg"] for keys in pair] == [1, 2]
    run(job_ops.delete(mine, "1"))
    assert run(job_ops.read(other, "1"))["msg"] == 2


def test_store_and_fetch(world, keys):
    """What is stored stays until its time is over."""
    packed = codec.pack({"a": 1})
    _, changed = world.changes(data_ops.store(keys, "k", packed, None))
    assert changed.keys() == {"data:k"}
    assert world.run(data_ops.fetch(keys, "k")) == packed
    assert world.run(data_ops.fetch(keys, "other")) is None
    world.run(data_ops.store(keys, "k", packed, 60.5))
    assert 60_000 < world.raw.pttl(keys.data + "k") <= 60_500
    world.run(data_ops.store(keys, "short", packed, 1e-9))  # Redis knows no zero
