"""The pages that come with the package."""

import functools
from importlib import resources


@functools.cache
def read_page(name: str) -> str:
    """The text of a page, by the name of its file."""
    return (resources.files("mlq.http") / name).read_text("utf-8")
