"""Files and functions stay short enough to hold in mind; the list of those that are longer may only shrink."""

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("mlq/**/*.py"), *ROOT.glob("controller/*.py")])
FILE_LINES, FUNCTION_LINES, NESTING = 300, 40, 3

# What is longer or deeper. A number may only fall, and an entry only go.
LONG_FILES: dict[str, int] = {
    "mlq/pools/process.py": 338,
}
DEEP_FUNCTIONS: dict[str, int] = {
    "mlq/running/execution.py:execute_on_loop": 4,
    "mlq/running/spare_threads.py:_next": 4,
    "mlq/server/process.py:start": 4,
    "mlq/worker/claimer.py:turn": 4,
    "mlq/worker/tally.py:settled": 4,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEEPER = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.Match)


def depth(node: ast.AST, level: int = 0) -> int:
    """How deep blocks are nested; `elif` is no deeper than its `if`, and a function within is counted by itself."""
    deepest = level
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, depth(child, level + (isinstance(child, _DEEPER) and not is_elif)))
    return deepest


def functions(path: Path) -> list[tuple[str, Function]]:
    """The functions of a file under the names that the lists above use."""
    place = path.relative_to(ROOT)
    return [
        (f"{place}:{node.name}", node)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, Function)
    ]


def over(found: Iterable[tuple[str, int]], limit: int) -> dict[str, int]:
    """Those above the limit; of two functions of one name in a file, the larger number."""
    return {name: number for name, number in sorted(found) if number > limit}


def test_files_are_short():
    """At most 300 lines."""
    found = ((str(path.relative_to(ROOT)), len(path.read_text("utf-8").splitlines())) for path in FILES)
    assert over(found, FILE_LINES) == LONG_FILES


def test_functions_are_short():
    """At most 40 lines."""
    found = ((name, (node.end_lineno or 0) - node.lineno + 1) for path in FILES for name, node in functions(path))
    assert over(found, FUNCTION_LINES) == {}


def test_blocks_are_not_deeply_nested():
    """At most three levels."""
    found = ((name, depth(node)) for path in FILES for name, node in functions(path))
    assert over(found, NESTING) == DEEP_FUNCTIONS


@pytest.mark.parametrize(
    ("code", "levels"),
    [("x", 0), ("if a: x", 1), ("if a: x\nelif b: x\nelse: x", 1), ("for a in b:\n  if a:\n    x", 2)],
)
def test_depth(code, levels):
    """As a reader counts it."""
    assert depth(ast.parse(code)) == levels
