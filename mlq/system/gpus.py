"""Which NVIDIA GPUs the children of a worker use, each as the only one that CUDA shows it; and how full they are."""

import csv
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlq.errors import InputError

AUTO = "auto"
VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder per GPU
PATIENCE = 60.0  # seconds for nvidia-smi: without persistence mode, the driver first wakes each GPU, some seconds each

_FIGURES = ("index", "uuid", "name", "memory.used", "memory.total", "utilization.gpu")  # what nvidia-smi is asked for
_NAME = re.compile(r"\d+|(GPU|MIG)-\S+", re.ASCII)
_LISTED = re.compile(r"\s*(?:GPU (?P<gpu>\d+):|MIG .*UUID: (?P<part>MIG-[^)\s]+))")


class GpuUse(NamedTuple):
    """How much of a GPU is used, by all processes together."""

    number: str  # nvidia-smi's
    name: str
    used: int  # bytes of its memory
    total: int  # bytes of its memory
    busy: int | None  # percent of the time in which it computed something; None if it does not tell


def device_for(environment: Mapping[str, str], driver: Path = DRIVER) -> str:
    """The device that `auto` is for a model in this process: the first GPU that it may use, or the CPU."""
    allowed = _allowed(environment)
    return "cuda:0" if (allowed is None or allowed) and _found(driver) else "cpu"


def usage(chosen: Sequence[str], environment: Mapping[str, str]) -> list[GpuUse]:
    """How much is used of the GPUs that `--gpus` chose, or of those that this process may use if none was chosen.

    Empty if nvidia-smi can't tell. Parts of a divided GPU (MIG) are left out, since it tells nothing about them.
    """
    wanted = tuple(chosen) or _allowed(environment)
    listing = _ask(f"--query-gpu={','.join(_FIGURES)}", "--format=csv,noheader,nounits")
    found = []
    for row in csv.reader((listing or "").splitlines(), skipinitialspace=True):
        with suppress(ValueError):  # a line of words, or a GPU that does not tell how full it is
            number, uuid, name, used, total, busy = row
            if wanted is None or any(one == number or (one and uuid.startswith(one)) for one in wanted):
                percent = int(busy) if busy.isdecimal() else None
                found.append(GpuUse(number, name, int(used) * 2**20, int(total) * 2**20, percent))
    return found


def choose(wanted: Sequence[str], environment: Mapping[str, str], driver: Path = DRIVER) -> tuple[str, ...]:
    """The GPUs that `--gpus` means: ("auto",) is every GPU that this process may use; a list stays as it is.

    Each is a number, or a name that nvidia-smi shows (`GPU-...`, `MIG-...`). Raises InputError if there is none, or if
    CUDA_VISIBLE_DEVICES does not allow it.
    """
    allowed = _allowed(environment)
    if tuple(wanted) == (AUTO,):
        found = _found(driver) if allowed is None else allowed
        if not found:
            where = "no NVIDIA GPU was found" if allowed is None else f"{VISIBLE}={environment[VISIBLE]} allows none"
            raise InputError(f"--gpus auto: {where}")
        return found
    for name in wanted:
        if _NAME.fullmatch(name) is None:
            raise InputError(f"--gpus: {name!r} is not a GPU: write auto, or numbers separated by commas")
        if allowed is not None and name not in allowed:
            raise InputError(f"--gpus: {VISIBLE}={environment[VISIBLE]} does not allow GPU {name}")
    return tuple(wanted)


def variables(gpu: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that show a process this one GPU.

    CUDA numbers GPUs by speed, nvidia-smi by their place on the bus. Numbers are nvidia-smi's, unless the user has set
    the order, or has chosen GPUs by CUDA_VISIBLE_DEVICES: those numbers are CUDA's.
    """
    order = {} if ORDER in environment or VISIBLE in environment else {ORDER: "PCI_BUS_ID"}
    return {VISIBLE: gpu, **order}


def _allowed(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """What CUDA_VISIBLE_DEVICES allows; None if it is not set. CUDA ignores all from the first invalid entry on."""
    if VISIBLE not in environment:
        return None
    names = [name.strip() for name in environment[VISIBLE].split(",")]
    valid = next((i for i, name in enumerate(names) if _NAME.fullmatch(name) is None), len(names))
    return tuple(names[:valid])


def _found(driver: Path) -> tuple[str, ...]:
    """This machine's GPUs. nvidia-smi is asked first: unlike the driver's folder, it omits what a cgroup forbids."""
    if (listing := _ask("-L")) is not None:
        return _listed(listing)
    with suppress(OSError):
        return tuple(str(number) for number in range(len(os.listdir(driver))))  # noqa: PTH208 - their number is enough
    return ()


def _ask(*arguments: str) -> str | None:
    """What nvidia-smi prints; None if it can't be run, or takes too long."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(
            ["nvidia-smi", *arguments],  # noqa: S607 - wherever the driver was installed
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace",
            timeout=PATIENCE, check=False,
        ).stdout  # fmt: skip
    return None


def _listed(listing: str) -> tuple[str, ...]:
    """The GPUs in the output of `nvidia-smi -L`. Of a divided one (MIG), the parts, which follow on separate lines."""
    found: list[str] = []
    for line in map(_LISTED.match, listing.splitlines()):
        if line is None:
            continue
        if line["part"] and found and not found[-1].startswith("MIG-"):
            found.pop()  # CUDA can't use the whole of it
        found.append(line["part"] or line["gpu"])
    return tuple(found)
