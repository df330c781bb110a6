"""The memory of no process grows with the file."""

import time
from pathlib import Path

import pytest

from mlq import MLQ
from tests.programs import until

pytestmark = pytest.mark.slow

MODELS = '[[models]]\nclass = "tests.models.zoo:Iris"\nbatch = 256\n'
ALLOWED = 50_000  # kB between a small file and a large one, in each process


def family(pid):
    """A process and its descendants."""
    children = [int(one) for each in Path(f"/proc/{pid}/task").glob("*/children") for one in each.read_text().split()]
    return [pid, *(one for child in children for one in family(child))]


def peak(pid):
    """The most memory that a process ever had, in kB; 0 once it has ended."""
    try:
        words = Path(f"/proc/{pid}/status").read_text().split()
    except OSError:
        return 0
    return int(words[words.index("VmHWM:") + 1]) if "VmHWM:" in words else 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_memory(start, namespace, server_url, tmp_path, form):
    (tmp_path / "models.toml").write_text(MODELS)
    peaks = []
    for count in (10_000, 500_000):
        line = "9,{n}\n" if form == "csv" else '{{"length": 9, "width": {n}}}\n'
        with (tmp_path / f"in.{form}").open("w") as file:
            file.write("length,width\n" if form == "csv" else "")
            file.writelines(line.format(n=8 + n) for n in range(count))
        worker = start("worker", "--models", "models.toml", "--concurrency", "2")
        with MLQ(namespace, url=server_url) as mlq:
            until(lambda: mlq.models() and mlq.workers())
        client = start("predict", "iris", f"in.{form}", "-o", f"{count}.{form}")
        of_client = 0
        while client.process.poll() is None:
            of_client = max(of_client, peak(client.process.pid))
            time.sleep(0.02)
        assert client.wait() == 0, client.said()
        peaks.append([of_client, *sorted(map(peak, family(worker.process.pid)))])
        worker.kill()
        until(lambda: not MLQ(namespace, url=server_url).workers())
    assert len(peaks[0]) == len(peaks[1])
    assert all(large - small < ALLOWED for small, large in zip(*peaks, strict=True)), peaks
