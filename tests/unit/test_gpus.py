"""Which GPUs `--gpus` means, and how full they are, with a program in place of nvidia-smi."""

import pytest

from mlq import InputError
from mlq.system import gpus

TWO = "GPU 0: NVIDIA A100 (UUID: GPU-aa)\nGPU 1: NVIDIA A100 (UUID: GPU-bb)\n"
DIVIDED = """\
GPU 0: NVIDIA H100 (UUID: GPU-aa)
  MIG 3g.40gb     Device  0: (UUID: MIG-c1)
  MIG 3g.40gb     Device  1: (UUID: MIG-c2)
GPU 1: NVIDIA H100 (UUID: GPU-bb)
GPU 2: NVIDIA H100 (UUID: GPU-cc)
  MIG 7g.80gb     Device  0: (UUID: MIG-GPU-cc/7/0)
"""


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts a program on the path that tells of GPUs when it is asked so; before, there is none."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(listing, asked="-L"):
        program = folder / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n[ \"$*\" = '{asked}' ] && echo '{listing}'\n")
        program.chmod(0o755)

    return install


@pytest.mark.parametrize(
    ("listing", "expected"), [(TWO, ("0", "1")), (DIVIDED, ("MIG-c1", "MIG-c2", "1", "MIG-GPU-cc/7/0"))]
)
def test_auto_takes_what_nvidia_smi_lists(smi, tmp_path, listing, expected):
    smi(listing)
    (tmp_path / "driver" / "0000:01:00.0").mkdir(parents=True)  # it may have more
    assert gpus.choose(["auto"], {}, tmp_path / "driver") == expected


def test_auto_counts_the_drivers_folders_where_there_is_no_nvidia_smi(smi, tmp_path):
    for name in ("0000:01:00.0", "0000:02:00.0", "0000:81:00.0"):
        (tmp_path / "driver" / name).mkdir(parents=True)
    assert gpus.choose(["auto"], {}, tmp_path / "driver") == ("0", "1", "2")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2,3", ("2", "3")), (" 1 , GPU-ab", ("1", "GPU-ab")), ("MIG-c1", ("MIG-c1",)), ("0,-1,2", ("0",))],
)
def test_auto_takes_what_is_visible_already(smi, tmp_path, value, expected):
    """CUDA ignores everything from the first invalid entry on."""
    smi(TWO)
    assert gpus.choose(["auto"], {"CUDA_VISIBLE_DEVICES": value}, tmp_path) == expected


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({}, "no NVIDIA GPU was found"), ({"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES= allows none"),
     ({"CUDA_VISIBLE_DEVICES": "-1"}, "CUDA_VISIBLE_DEVICES=-1 allows none")],
)  # fmt: skip
@pytest.mark.parametrize("listing", [None, "No devices found."])
def test_auto_finds_none(smi, tmp_path, environment, reason, listing):
    if listing is not None:
        smi(listing)
    with pytest.raises(InputError, match=f"--gpus auto: {reason}"):
        gpus.choose(["auto"], environment, tmp_path / "missing")


def test_a_list_stays_as_it_is():
    """With repetitions, and without a look at the machine: it may know better."""
    assert gpus.choose(["0", "0", "GPU-ab", "7"], {}) == ("0", "0", "GPU-ab", "7")
    assert gpus.choose(["3", "3"], {"CUDA_VISIBLE_DEVICES": "2,3"}) == ("3", "3")


@pytest.mark.parametrize("wanted", [["0", "x"], ["auto", "0"], ["-1"], ["cuda:0"], ["٣"]])
def test_what_is_no_gpu_is_refused(wanted):
    with pytest.raises(InputError, match="is not a GPU: write auto, or numbers"):
        gpus.choose(wanted, {})


def test_a_gpu_that_is_hidden_is_refused():
    """Slurm gave it to somebody else."""
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES=2,3 does not allow GPU 0"):
        gpus.choose(["2", "0"], {"CUDA_VISIBLE_DEVICES": "2,3"})


def test_numbers_are_those_of_nvidia_smi_unless_the_user_chose_others():
    assert gpus.variables("1", {}) == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert gpus.variables("1", {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}) == {"CUDA_VISIBLE_DEVICES": "1"}
    assert gpus.variables("1", {"CUDA_VISIBLE_DEVICES": "1,0"}) == {"CUDA_VISIBLE_DEVICES": "1"}


FIGURES = "--query-gpu=index,uuid,name,memory.used,memory.total,utilization.gpu --format=csv,noheader,nounits"
FULL = """\
0, GPU-aa11, NVIDIA A100-SXM4-80GB, 2048, 81920, 37
1, GPU-bb22, NVIDIA GeForce RTX 4090, 1, 24564, [N/A]
2, GPU-cc33, NVIDIA GB10, [N/A], [N/A], 5
"""
FIRST = gpus.GpuUse("0", "NVIDIA A100-SXM4-80GB", 2 * 2**30, 80 * 2**30, 37)
SECOND = gpus.GpuUse("1", "NVIDIA GeForce RTX 4090", 2**20, 24564 * 2**20, None)


@pytest.mark.parametrize(
    ("chosen", "visible", "expected"),
    [
        ((), None, [FIRST, SECOND]), (("1",), None, [SECOND]), (("GPU-aa", "GPU-aa"), None, [FIRST]),
        (("MIG-c1",), None, []), ((), "1", [SECOND]), ((), "", []), (("0",), "0,1", [FIRST]),
    ],
)  # fmt: skip
def test_how_full_they_are(smi, chosen, visible, expected):
    """As nvidia-smi prints it; one that shares the memory of the machine does not tell."""
    smi(FULL, FIGURES)
    assert gpus.usage(chosen, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == expected


@pytest.mark.parametrize(
    "listing", [None, "", "NVIDIA-SMI has failed because it could not communicate", "a,b\n,,,,,\n"]
)
def test_nothing_is_known_of_how_full_they_are(smi, listing):
    if listing is not None:
        smi(listing, FIGURES)
    assert gpus.usage((), {}) == []


@pytest.mark.parametrize(
    ("listing", "visible", "expected"),
    [(TWO, None, "cuda:0"), (TWO, "1", "cuda:0"), (TWO, "", "cpu"), (TWO, "-1", "cpu"), (None, None, "cpu"),
     (None, "0", "cpu"), ("No devices found.", None, "cpu")],
)  # fmt: skip
def test_what_auto_means_for_a_model(smi, tmp_path, listing, visible, expected):
    if listing is not None:
        smi(listing)
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert gpus.device_for(environment, tmp_path / "missing") == expected
