"""The command that prints declared routes."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from mlq.cli.program import program

SHOP = """
from mlq import MLQ, route, step

mlq = MLQ("shop")

@mlq.listener
def sort(text):
    return text

@mlq.listener(queue="slow")
def book(text):
    return text

@mlq.listener(name='odd "<name>"')
def odd(text):
    return text

sort >> route({"book": book, "a|b": odd, "both": step(functions=["book", "phone"])}, by="kind", otherwise="store")
"""


@pytest.fixture
def printed(tmp_path):
    """What the command prints about a module, from a process of its own: it imports it."""

    def call(text, *words):
        (tmp_path / "shop_routes.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "mlq.cli", "pipelines", "shop_routes.py", *words],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return call


def test_routes_as_text(printed):
    code, shown, said = printed(SHOP)
    assert (code, said) == (0, "")
    assert (
        shown
        == """\
sort
  book      -> book in queue slow
  a|b       -> odd "<name>" in queue default
  both      -> book, phone in queue default (this module has no listener phone)
  otherwise -> store in queue default (this module has no listener store)
"""
    )


def test_routes_as_mermaid(printed):
    code, shown, said = printed(SHOP, "--mermaid")
    assert (code, said) == (0, "")
    assert (
        shown
        == """\
flowchart LR
    s1["sort"]
    s2["book"]
    s1 -->|"book"| s2
    s3["odd #34;#60;name#62;#34;"]
    s1 -->|"a|b"| s3
    s4["book, phone"]
    s1 -->|"both"| s4
    s5["store"]
    s1 -->|"otherwise"| s5
"""
    )


def test_a_module_without_routes(printed):
    code, shown, said = printed(SHOP.rpartition("sort >>")[0])
    assert (code, shown) == (0, "")
    assert "mlq: no listener in shop_routes.py declares routes" in said


def test_what_is_refused_is_told_with_its_line(printed):
    code, _, said = printed(SHOP + "book >> route({'x': sort}, by='kind')\n")
    assert code == 2
    assert "these routes lead in a circle: book -> sort -> book" in said
    assert "shop_routes.py, line 19" in said


def test_it_needs_a_module():
    assert CliRunner().invoke(program, ["pipelines"]).exit_code == 2
