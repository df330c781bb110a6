"""`docs/reference.md` is what `scripts/reference.py` makes of the code, and it has everything that is public."""

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import mlq
from mlq import server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference.md").read_text("utf-8")
HEADINGS = re.findall(r"^#{2,4} (.+)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def reference():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_page_is_up_to_date(reference):
    """Written again by `python scripts/reference.py`."""
    assert reference.page() == PAGE


@pytest.mark.parametrize("name", sorted({*mlq.__all__, *server.__all__} - {"__version__"}))
def test_public_names_are_there(name):
    """A class or function has a heading, an error a row."""
    assert name in HEADINGS or f"\n| `{name}` | " in PAGE


@pytest.mark.parametrize(
    "kind", [mlq.MLQ, mlq.JobHandle, mlq.JobContext, server.Scratch], ids=lambda kind: kind.__name__
)
def test_public_methods_are_there(kind, reference):
    """Those of base classes, too; but not those of `dict`, which a context inherits."""
    methods = {
        name
        for base in kind.__mro__
        if base.__module__.startswith("mlq.")
        for name, member in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    }
    assert methods - reference.INTERNAL <= {name.partition(".")[2] for name in HEADINGS}


def test_links_lead_somewhere(reference):
    """Every link within the page has its heading."""
    anchors = [reference.anchor(heading) for heading in HEADINGS]
    doubles = {f"{each}-1" for each in anchors if anchors.count(each) > 1}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= {*anchors, *doubles}


def test_every_method_has_words():
    """Under its signature, before the next heading."""
    methods = re.findall(r"^#### (\S+)\n\n```python\n[^`]*\n```\n\n(?=#)", PAGE, re.MULTILINE | re.DOTALL)
    assert not methods
