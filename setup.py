"""Makes the README fit for a package index, where relative links lead nowhere; everything else is in pyproject.toml.

If `[project.urls]` has a `Source` (https://host/owner/name), links to files lead there. Else they become plain text.
"""

import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|#)([^)]+)\)")  # to a file


def description(readme: str, source: str | None) -> str:
    """The README with absolute links, or without links if it is not known where the files are."""
    return LINK.sub(rf"[\1]({source.rstrip('/')}/blob/main/\2)" if source else r"\1", readme)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    setup(
        long_description=description((ROOT / "README.md").read_text("utf-8"), project.get("urls", {}).get("Source")),
        long_description_content_type="text/markdown",
    )
