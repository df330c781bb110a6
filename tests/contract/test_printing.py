"""All that is printed goes through `mlq/system/terminal.py`, which escapes what would steer a terminal."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [path for path in (*ROOT.glob("mlq/**/*.py"), *ROOT.glob("controller/**/*.py")) if path.name != "terminal.py"]
PRINTERS = ("print", "click.echo", "click.secho", "click.echo_via_pager", "echo", "pprint", "logging.basicConfig",
            "logging.StreamHandler")  # fmt: skip
STREAMS = ("sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_else_prints(path):
    """Neither a function that prints nor a stream is called; `logs.begin` is what sets handlers up."""
    called = [
        ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    allowed = ("logging.basicConfig", "logging.StreamHandler") if path.name == "logs.py" else ()
    found = [
        name
        for name in called
        if (name in PRINTERS and name not in allowed)
        or (name.startswith(STREAMS) and name.rpartition(".")[2] in ("write", "writelines"))
    ]
    assert not found, f"use terminal.write, or logs.begin: {found}"
