"""Modules import strictly downward, also inside functions: what stands lower can be read without what stands higher."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Bottom first. A name is a module or a package of `mlq`; within a package, modules may import one another, but not in a
# circle. Two names of one layer don't know each other.
LAYERS = [
    ["errors", "version"],
    ["core", "system"],
    ["ops"],
    ["server"],
    ["shell", "uploads"],
    ["client"],
    ["files"],
    ["running"],
    ["batches", "pools", "deliveries", "models"],
    ["worker"],
    ["queue"],
    ["__init__"],
    ["http"],
    ["cli"],
    ["controller"],
]

# (importer, imported): why. May only get shorter.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def modules() -> dict[str, Path]:
    """All modules by dotted name."""
    found = {}
    for path in sorted([*ROOT.glob("mlq/**/*.py"), *ROOT.glob("controller/**/*.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def unit_of(module: str) -> str:
    """The name in LAYERS that a module belongs to."""
    root, *rest = module.split(".")
    if root == "controller":
        return "controller"
    return rest[0] if rest else "__init__"


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All statements, those in functions too, but not what only type checkers see."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from statements(child)


def imports(module: str) -> set[str]:
    """The modules of ours that a module names in its imports."""
    found = set()
    for statement in statements(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{module}: imports of our own are absolute"
            base = statement.module or ""
            found |= {name if (name := f"{base}.{alias.name}") in MODULES else base for alias in statement.names}
    return {name for name in found if name in MODULES}


def level(unit: str) -> int:
    """The height of a unit's layer."""
    return next(i for i, layer in enumerate(LAYERS) if unit in layer)


def test_every_module_has_its_layer():
    """A new module is put somewhere on purpose."""
    units = {unit_of(module) for module in MODULES}
    assert not units - {unit for layer in LAYERS for unit in layer}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downward(module):
    """Strictly."""
    mine = unit_of(module)
    upward = {
        name
        for name in imports(module)
        if unit_of(name) != mine and level(unit_of(name)) >= level(mine) and (module, name) not in EXCEPTIONS
    }
    assert not upward, f"{module} ({mine}) imports {sorted(upward)}, which stand no lower"


def test_no_circles():
    """Not within a package either."""
    package_inits = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    graph = {module: imports(module) - package_inits for module in MODULES}
    graphlib.TopologicalSorter(graph).prepare()


def test_exceptions_are_needed():
    """One that is not needed any more is taken off the list."""
    assert all(imported in imports(importer) for importer, imported in EXCEPTIONS)


def test_only_shells_and_clients_know_redis():
    """redis-py's names appear where sockets are, and in `MLQ._redis`, which old programs use."""
    knows = {
        unit_of(module)
        for module, path in MODULES.items()
        for statement in statements(ast.parse(path.read_text("utf-8")))
        if isinstance(statement, (ast.Import, ast.ImportFrom))
        for name in (
            [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else [statement.module]
        )
        if str(name).split(".")[0] == "redis"
    }
    assert knows <= {"shell", "client"}
