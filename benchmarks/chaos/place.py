"""Where processes of the suite find this MLQ: the repository that the suite itself stands in."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**further: str) -> dict[str, str]:
    """This process's environment, with the repository first on the path."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | further
