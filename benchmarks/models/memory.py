"""How much memory processes hold. As a program: that of a client of a hosted model, which loads no model library.

python -m benchmarks.models.memory URL MODEL
"""

import json
import os
import sys
from pathlib import Path

HEAVY = ("sklearn", "numpy", "scipy", "pydantic")  # what a client of a model should not need


def resident(pid: int) -> float:
    """MB that a process holds; 0 if it has ended. Pages that processes share count in each of them."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(") ")[2].split()[1])
        except OSError:
            continue  # it has ended
    found = [pid]
    for one in found:  # it grows meanwhile
        found += [child for child, parent in parents.items() if parent == one]
    return found


def main() -> None:
    """Prints, as JSON, what a client holds when it has predicted, and which heavy libraries it has imported."""
    from benchmarks.models.work import EXPECTED, FIELDS
    from mlq import MLQ

    url, model = sys.argv[1:]
    row, species = next(iter(EXPECTED.items()))
    answer = MLQ("bench", url=url).model(model).predict(dict(zip(FIELDS, row, strict=True)), timeout=30)
    if answer != {"species": species}:
        sys.exit(f"wrong answer: {answer}")
    print(json.dumps({"MB": resident(os.getpid()), "heavy": [name for name in HEAVY if name in sys.modules]}))


if __name__ == "__main__":
    main()
