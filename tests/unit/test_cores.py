"""Which cores may be used, by the files in which the kernel says so, and which limits of threads follow."""

import os
import sys
from contextlib import contextmanager

import pytest

from mlq.system import cores

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="affinity and cgroups are Linux'")

HERE = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 0


@contextmanager
def one_core():
    """This thread may use one core only, and so may what it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@pytest.fixture
def usable(tmp_path, monkeypatch):
    """Writes a kernel's files, and asks; this machine has 64 cores for that time."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))

    def ask(membership, **files):
        for place, text in files.items():
            file = tmp_path / "cgroup" / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (tmp_path / "membership").write_text(membership)
        return cores.usable(tmp_path / "cgroup", tmp_path / "membership")

    return ask


def test_affinity_counts():
    with one_core():
        assert cores.usable() == 1


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 64), ("400000 100000", 4), ("150000 100000", 2), ("50000 100000", 1), ("9900000 100000", 64),
     ("100000 50000", 2), ("nonsense", 64), ("100000 0", 64), ("", 64)],
)  # fmt: skip
def test_the_quota_of_version_2(usable, quota, expected):
    assert usable("0::/\n", **{"cpu.max": quota}) == expected


def test_the_quotas_of_cgroups_around_count(usable):
    """As below systemd, or in a pod of Kubernetes."""
    files = {"a/b/cpu.max": "800000 100000\n", "a/cpu.max": "300000 100000\n", "c/cpu.max": "100000 100000\n"}
    assert usable("0::/a/b\n", **files) == 3


def test_a_container_that_sees_its_cgroup_as_the_topmost_one(usable):
    """The path is the one outside."""
    assert usable("0::/system.slice/docker-1.scope\n", **{"cpu.max": "200000 100000\n"}) == 2
    assert usable("0::/../other\n") == 2


@pytest.mark.parametrize(("quota", "expected"), [("300000\n", 3), ("-1\n", 64), ("10000\n", 1)])
@pytest.mark.parametrize("controllers", ["cpu,cpuacct", "cpu", "cpuacct,cpu"])
@pytest.mark.parametrize("folder", ["docker/1/", ""])
def test_the_quota_of_version_1(usable, quota, expected, controllers, folder):
    files = {
        f"{controllers}/{folder}cpu.cfs_quota_us": quota,
        f"{controllers}/{folder}cpu.cfs_period_us": "100000\n",
        "cpuset/docker/1/cpu.cfs_quota_us": "100000\n",
        "cpuset/docker/1/cpu.cfs_period_us": "100000\n",
    }
    membership = f"9:cpuset:/docker/1\n4:{controllers}:/docker/1\n1:name=systemd:/docker/1\n0::/docker/1\n"
    assert usable(membership, **files) == expected


def test_no_cgroups_at_all(tmp_path):
    assert cores.usable(tmp_path, tmp_path / "missing") == HERE


@pytest.fixture
def big(monkeypatch):
    """A machine of 64 cores."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)


@pytest.mark.parametrize(("children", "usable", "each"), [(8, 64, 8), (3, 64, 21), (100, 64, 1), (1, 4, 4), (2, 3, 1)])
@pytest.mark.usefixtures("big")
def test_each_child_gets_its_share(children, usable, each):
    assert cores.thread_limits(children, usable, {}) == dict.fromkeys(cores.THREADS, str(each))


@pytest.mark.usefixtures("big")
def test_a_child_that_has_the_machine_for_itself_gets_no_limit():
    assert cores.thread_limits(1, 64, {}) == {}


@pytest.mark.usefixtures("big")
def test_what_the_user_has_set_stays():
    """Most libraries follow OMP_NUM_THREADS where their own variable is missing."""
    limits = cores.thread_limits(8, 64, {"MKL_NUM_THREADS": "2"})
    assert limits == {name: "8" for name in cores.THREADS if name != "MKL_NUM_THREADS"}
    assert cores.thread_limits(8, 64, {"OMP_NUM_THREADS": "2"}) == {}
