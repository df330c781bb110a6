"""A plain loop over the same models: a process per core, each with its share of the file. No queue, no state."""

import csv
import json
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from pathlib import Path

from benchmarks.files import flowers

BATCH = 256


def plain(kind: str, source: Path, folder: Path, processes: int) -> None:
    """Write a file of predictions for each process."""
    ends = _ends(source, processes)
    with ProcessPoolExecutor(processes) as pool:
        for _ in pool.map(_share, *zip(*((kind, source, folder / f"{start}", start, end) for start, end in ends))):  # noqa: B905
            pass


def _ends(source: Path, processes: int) -> list[tuple[int, int]]:
    """The bytes of each process: whole lines, without the header of CSV."""
    size = source.stat().st_size
    with source.open("rb") as file:
        begin = len(file.readline()) if source.suffix == ".csv" else 0
        found = [begin]
        for number in range(1, processes):
            file.seek(begin + (size - begin) * number // processes)
            file.readline()
            found.append(file.tell())
    return list(zip(found, [*found[1:], size], strict=True))


def _share(kind: str, source: Path, target: Path, start: int, end: int) -> None:
    model = getattr(flowers, kind)()
    with source.open("rb") as file:
        names = file.readline().decode().strip().split(",")
        file.seek(start)
        lines = file.read(end - start).decode().splitlines()
    rows = iter(csv.DictReader(lines, names)) if source.suffix == ".csv" else map(json.loads, lines)
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        while batch := [model.Input.model_validate(row) for row in islice(rows, BATCH)]:
            found = [one.model_dump() for one in model.predict_batch(batch)]
            if source.suffix == ".csv":
                writer.writerows(one.values() for one in found)
            else:
                file.writelines(json.dumps(one) + "\n" for one in found)
