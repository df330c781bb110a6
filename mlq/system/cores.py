"""Which CPU cores this process may use, and how many threads each of its children should start for numerical code.

`os.cpu_count` is the machine's number. Less may be allowed: by an affinity mask (taskset, Slurm, a cgroup's cpuset), or
by a quota of time (`docker run --cpus`, a CPU limit in Kubernetes), which the kernel enforces by stopping all threads
of a container that has used it up. Numerical libraries don't look at the quota.
"""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

# What OpenMP (torch, scikit-learn), OpenBLAS and MKL (numpy, scipy), numexpr and Apple's Accelerate read when loaded.
OPENMP = "OMP_NUM_THREADS"
THREADS = (OPENMP, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> int:
    """The number of cores that this process may use, at least 1; part of a core in a quota counts as one core.

    `cgroups` is where the kernel shows cgroups, and `membership` the file that names those of this process.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([allowed, *(math.ceil(quota) for quota in _quotas(cgroups, membership))]))


def thread_limits(children: int, cores: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that limit the threads of each of `children` processes, so that together they fit the usable `cores`.

    Only limits that change something: one child that may use the whole machine gets none, since libraries choose better
    (torch counts physical cores). And none against the user's wish: a variable that is set stays, and if
    OMP_NUM_THREADS is set, so do all, since most libraries follow it where their own variable is missing.
    """
    threads = max(1, cores // children)
    if OPENMP in environment or threads >= (os.cpu_count() or 1):
        return {}
    return {name: str(threads) for name in THREADS if name not in environment}


def _quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    """The quotas that apply to this process, in cores: those of its cgroup and of all cgroups around it."""
    with suppress(OSError):  # not Linux, or no cgroups
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            for folder in _folders(cgroups, controllers, path):
                yield from _quota(folder)


def _folders(cgroups: Path, controllers: str, path: str) -> Iterator[Path]:
    """Where a cgroup's files may be, and those of the cgroups around it.

    A container often sees its own cgroup as the topmost one, while `path` is the one outside: that folder is missing.
    """
    if not controllers:  # version 2
        tops = [cgroups]
    elif "cpu" in controllers.split(","):
        tops = [cgroups / controllers]  # such as `cpu,cpuacct`
    else:
        return
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for top in tops:
        yield from (top.joinpath(*parts[:depth]) for depth in range(len(parts) + 1))


def _quota(folder: Path) -> Iterator[float]:
    """The quota of one cgroup, if it has one: microseconds of CPU time per period, by the length of the period."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        if (new := folder / "cpu.max").exists():
            quota, period = new.read_text().split()  # "150000 100000", or "max 100000"
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()  # -1: none
            period = (folder / "cpu.cfs_period_us").read_text()
        if int(quota) > 0:
            yield int(quota) / int(period)
