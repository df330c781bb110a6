"""The line of predictions that wait for a shadow, and what is counted: whatever was there before."""

import pytest

from mlq.core.shadow import Difference, Sample, Shadow
from mlq.errors import Undecodable
from mlq.ops import shadows as shadow_ops

ONE = Sample("1", b"\x01", b"\x02")


def figures(shell, keys):
    counts, last = shell.run_many(shadow_ops.figures(keys, "iris@2"))
    return {name: int(value) for name, value in counts.items()}, last


def test_the_line_has_a_bound_and_a_time_to_live(shell, keys, raw, monkeypatch):
    monkeypatch.setattr(shadow_ops, "WAITING", 3)
    shell.run(shadow_ops.offer(keys, "iris@2", [ONE._replace(job_id=str(i)) for i in range(5)], 4))
    assert figures(shell, keys) == ({"dropped": 6}, [])
    assert [shell.run(shadow_ops.take(keys, "iris@2")).job_id for _ in range(2)] == ["0", "1"]
    shell.run(shadow_ops.offer(keys, "iris@2", [ONE], 0))
    assert 0 < raw.ttl(f"{keys.shadow}iris@2:waiting") <= shadow_ops.KEPT
    assert [shell.run(shadow_ops.take(keys, "iris@2")) for _ in range(3)] == [ONE._replace(job_id="2"), ONE, None]
    assert figures(shell, keys) == ({"dropped": 6}, [])


def test_only_drops_may_be_told(shell, keys, raw):
    shell.run(shadow_ops.offer(keys, "iris@2", [], 2))
    assert figures(shell, keys) == ({"dropped": 2}, [])
    assert not raw.exists(f"{keys.shadow}iris@2:waiting")


def test_keys_of_other_types_and_damaged_ones_are_replaced(shell, keys, raw):
    raw.set(f"{keys.shadow}iris@2:waiting", "x", ex=60)
    raw.set(f"{keys.shadow}iris@2", "x")
    shell.run(shadow_ops.offer(keys, "iris@2", [ONE], 1))
    assert shell.run(shadow_ops.take(keys, "iris@2")) == ONE
    raw.hset(f"{keys.shadow}iris@2", "dropped", "many")
    shell.run(shadow_ops.offer(keys, "iris@2", [], 1))
    assert figures(shell, keys) == ({"dropped": 1}, [])
    raw.rpush(f"{keys.shadow}iris@2:waiting", "x")
    with pytest.raises(Undecodable):
        shell.run(shadow_ops.take(keys, "iris@2"))


def test_settings_of_another_type_are_none(shell, keys, raw):
    """A heartbeat asks for them, and must not fail."""
    raw.set(keys.shadows, "x")
    assert shell.run(shadow_ops.settings(keys)) == {}
    raw.delete(keys.shadows)
    shell.run(shadow_ops.put(keys, "iris", Shadow("2", 0.5)))
    raw.hset(keys.shadows, "spam", "{}")
    assert shell.run(shadow_ops.settings(keys)) == {"iris": Shadow("2", 0.5)}


def test_the_last_differences_are_kept_for_a_day(shell, keys, raw, monkeypatch):
    monkeypatch.setattr(shadow_ops, "LAST", 2)
    for number in range(3):
        shell.run(shadow_ops.count(keys, "iris@2", "different"))
        shell.run_many(shadow_ops.keep(keys, "iris@2", Difference(str(number), "1", "2")))
    counts, last = figures(shell, keys)
    assert (counts, [Difference.parse(one).job_id for one in last]) == ({"different": 3}, ["2", "1"])
    assert 0 < raw.ttl(f"{keys.shadow}iris@2:last") <= shadow_ops.LAST_KEPT
    shell.run(shadow_ops.forget(keys, "iris@2"))
    shell.run(shadow_ops.drop(keys, "iris"))
    assert not list(raw.scan_iter(f"{keys.shadow}*".replace("{", "\\{")))
