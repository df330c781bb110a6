"""Which NVIDIA GPUs the children of a worker use: each gets one, as the only one that CUDA shows it."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mlq.errors import InputError

AUTO = "auto"
VISIBLE, ORDER = "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"
DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder per GPU
PATIENCE = 60.0  # seconds for nvidia-smi: without persistence mode, the driver first wakes each GPU, some seconds each

_NAME = re.compile(r"\d+|(GPU|MIG)-\S+", re.ASCII)
_LISTED = re.compile(r"\s*(?:GPU (?P<gpu>\d+):|MIG .*UUID: (?P<part>MIG-[^)\s]+))")


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
    with suppress(OSError, subprocess.TimeoutExpired):
        listing = subprocess.run(
            ["nvidia-smi", "-L"],  # noqa: S607 - wherever the driver was installed
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=PATIENCE,
            check=False,
        ).stdout  # fmt: skip
        return _listed(listing)
    with suppress(OSError):
        return tuple(str(number) for number in range(len(os.listdir(driver))))  # noqa: PTH208 - their number is enough
    return ()


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
