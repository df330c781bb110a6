"""Writes docs/reference.md, the reference of the public API, from signatures and docstrings.

`python scripts/reference.py` writes the page again; `tests/contract/test_reference.py` compares it with the code. The
sources are read with `ast`, since `inspect` would show annotations differently from one version of Python to the next.
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it describes these sources, from wherever it is run

from mlq.client.arguments import PAGE as LISTED  # noqa: E402 - needs the path
from mlq.core.states import MEANING, State  # noqa: E402
from mlq.core.tree import STEPS  # noqa: E402
from mlq.queue import GRACE  # noqa: E402

PAGE = ROOT / "docs" / "reference.md"
MANY = 6  # methods; a class with more of them has a list of links
WIDTH = 100  # characters of a signature; a longer one has a line for each parameter

CONSTANTS = {"GRACE": GRACE, "PAGE": LISTED, "STEPS": STEPS}
# Public by name, but only for MLQ's own modules.
INTERNAL = {"make_worker", "upload_pickled", "end", "shares_a_loop", "following", "counted", "without_slot"}

INTRODUCTION = """
Made by `scripts/reference.py` from the signatures and docstrings of the code; a test compares the two. How things work
together is described in the [README](../README.md) and in [workers](workers.md); words are those of [the
glossary](glossary.md). Unless a module is named, import from `mlq`. Durations are in seconds, sizes in bytes; times are
seconds since 1970 by the server's clock. Every method that asks the server raises `ServerError` if the server does not
respond or refuses, and `InputError` for an argument that can't be used.
"""
LISTENERS = """
`@mlq.listener` returns the function that it decorates, which can still be called, and has methods to post jobs for it.
"""
SCHEDULES = "`mlq.schedules`. See [schedules](schedules.md)."
PIPELINES = "See [pipelines](pipelines.md)."
OPTIONS = "Keywords of `post`, `post_many` and `submit`, also of those of listeners and of `JobContext.post`."
SERVER = "In the module `mlq.server`. See [the embedded server](embedded-server.md)."
MIDDLEWARE = "Declare it with [`@mlq.middleware`](#mlqmiddleware), which says how exceptions are treated."
TWINS = "Each method does what the method of the same name of [{0}](#{1}) does, and raises the same exceptions."

# What people want to do, and where to look.
TASKS = {
    "declare a listener, and run jobs in this process": "MLQ.listener MLQ.create_listener MLQ.shutdown",
    "post one job, or many": "Declared.submit MLQ.submit MLQ.post MLQ.post_many",
    "wait for one result, or many": "JobHandle.result MLQ.wait_many MLQ.as_completed",
    "follow progress, partial results and logs": "JobHandle.follow JobHandle.stream JobHandle.logs",
    "report progress or partial results from a listener": "JobContext.update_progress JobContext.emit",
    "predict a file": "MLQ.predict_file",
    "have a job become other jobs": "Forward Split route",
    "look at one job": "JobHandle.state JobHandle.why MLQ.get_job MLQ.position",
    "see the steps of a pipeline": "JobHandle.tree",
    "cancel all jobs that wait in a queue": "MLQ.purge",
    "list and count jobs and workers": "MLQ.jobs MLQ.counts MLQ.stats MLQ.workers",
    "cancel, run again or remove a job": "JobHandle.cancel JobHandle.requeue JobHandle.delete MLQ.purge",
    "limit how many jobs run or start, and pause them": "MLQ.limit MLQ.limits MLQ.pause MLQ.resume",
    "divide the workers' time among those who post": "MLQ.share_weight MLQ.shares MLQ.about_wait",
    "look after dead letters": "MLQ.dead_letters MLQ.requeue_all MLQ.discard_all",
    "keep data for other jobs": "MLQ.store_data MLQ.fetch_data",
    "have a job posted again and again": "MLQ.schedule Schedules.add",
    "do something around each attempt": "MLQ.middleware",
    "send a function to running workers": "MLQ.upload",
    "all of this with asyncio": "AsyncMLQ AsyncJobHandle",
}

# Heading; text; what it describes: a title, and the functions, or the classes whose members it has (`module:name`).
SECTIONS: list[tuple[str, str, dict[str, list[str]]]] = [
    ("Clients", "", {
        "MLQ": ["mlq.client.blocking:Client", "mlq.client.waiting:Waiting", "mlq.queue:MLQ",
                "mlq.running.scheduling:Scheduling",
                "mlq.client.administration:Administration", "mlq.client.asking:Asking", "mlq.client.purging:Purging",
                "mlq.client.gates:Gates", "mlq.client.shares:Shares",
                "mlq.client.named:Named", "mlq.client.connected:Connected"],
        "AsyncMLQ": ["mlq.client.aio:AsyncMLQ", "mlq.client.aio_waiting:AsyncWaiting",
                     "mlq.client.aio_administration:AsyncAdministration", "mlq.client.asking:AsyncAsking",
                     "mlq.client.purging:AsyncPurging", "mlq.client.aio_gates:AsyncGates",
                     "mlq.client.shares:AsyncShares", "mlq.client.named:AsyncNamed"],
    }),
    ("Listeners", LISTENERS, {
        "Declared": ["mlq.running.declared:Declared"],
        "JobContext": ["mlq.running.context:JobContext"],
        "Middleware": ["mlq.running.middleware:Middleware"],
    }),
    ("Cron lines and intervals", SCHEDULES, {
        "Schedules": ["mlq.client.schedules:Schedules"],
        "AsyncSchedules": ["mlq.client.schedules:AsyncSchedules"],
        "ScheduleState": ["mlq.core.schedule:ScheduleState"],
    }),
    ("Pipelines", PIPELINES, {
        "Forward": ["mlq.running.pipeline:Forward"],
        "Split": ["mlq.running.pipeline:Split"],
        "functions": ["mlq.running.pipeline:step", "mlq.running.routes:route"],
    }),
    ("Options of a post", OPTIONS, {"PostOptions": ["mlq.core.job_options:PostOptions"]}),
    ("Handles and streams", "", {
        "JobHandle": ["mlq.client.handle:JobHandle"],
        "AsyncJobHandle": ["mlq.client.handle:AsyncJobHandle"],
        "Update": ["mlq.client.stream:Update"],
        "Progress": ["mlq.core.progress:Progress"],
        "Tree": ["mlq.core.tree:Tree"],
        "Stream": ["mlq.client.stream:Stream", "mlq.client.stream:_Reading"],
        "AsyncStream": ["mlq.client.stream:AsyncStream", "mlq.client.stream:_Reading"],
    }),
    ("What methods return", "", {
        "State": ["mlq.core.states:State"],
        "Why": ["mlq.core.why:Why"],
        "Counts": ["mlq.ops.jobs:Counts"],
        "Listed": ["mlq.ops.lists:Listed"],
        "DeadLetter": ["mlq.ops.lists:DeadLetter"],
        "Stats": ["mlq.ops.stats:Stats"],
        "QueueStats": ["mlq.ops.stats:QueueStats"],
        "Histogram": ["mlq.ops.stats:Histogram"],
        "DeliveryStats": ["mlq.ops.stats:DeliveryStats"],
        "GateState": ["mlq.core.limit:GateState"],
        "Gate": ["mlq.core.limit:Gate"],
        "Limit": ["mlq.core.limit:Limit"],
        "Pause": ["mlq.core.limit:Pause"],
        "ShareState": ["mlq.ops.shares:ShareState"],
        "Followed": ["mlq.ops.following:Followed"],
        "Entry": ["mlq.ops.following:Entry"],
    }),
    ("Errors", "", {"errors": ["mlq.errors:*"]}),
    ("Webhooks", "", {"functions": ["mlq.deliveries.signing:verify_webhook"]}),
    ("The embedded server", SERVER, {
        "functions": [f"mlq.server.embedded:{name}" for name in ("ensure_running", "running", "status", "stop")],
        "ServerStatus": ["mlq.server.embedded:ServerStatus"],
        "scratch": ["mlq.server.scratch:scratch"],
        "Scratch": ["mlq.server.scratch:Scratch"],
    }),
]  # fmt: skip

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def source(module: str) -> tuple[ast.Module, list[str]]:
    """A module's syntax tree and its lines."""
    text = Path(str(importlib.import_module(module).__file__)).read_text("utf-8")
    return ast.parse(text), text.splitlines()


def named(place: str) -> ast.stmt:
    """The class, function or variable at `module:name`."""
    module, _, name = place.partition(":")
    for node in source(module)[0].body:
        if getattr(node, "name", None) == name or (
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
        ):
            return node
    raise LookupError(place)


def prose(node: Function | ast.ClassDef | ast.Module) -> str:
    """A docstring, its paragraphs each on one line."""
    paragraphs = (ast.get_docstring(node) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def wrapped(text: str, width: int = 140) -> str:
    """Paragraphs in lines of at most `width` characters."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        line = ""
        for word in paragraph.split(" "):
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        lines += [line, ""]
    return "\n".join(lines[:-1])


def parameters(given: ast.arguments) -> list[str]:
    """Each as it stands in the source, without `self`."""
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    found = [_one(each, default) for each, default in zip(positional, defaults, strict=True) if each.arg != "self"]
    if given.vararg:
        found.append(f"*{_one(given.vararg, None)}")
    elif given.kwonlyargs:
        found.append("*")
    found += [_one(each, default) for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return [*found, f"**{_one(given.kwarg, None)}"] if given.kwarg else found


def _one(argument: ast.arg, default: ast.expr | None) -> str:
    kind = "" if argument.annotation is None else f": {_type(argument.annotation)}"
    equals = " = " if kind else "="
    return f"{argument.arg}{kind}" + ("" if default is None else f"{equals}{_value(default)}")


def _value(default: ast.expr) -> str:
    """A default; of a constant that has a name, its value."""
    shown = ast.unparse(default).replace("'", '"')
    return f"{CONSTANTS[shown]:g}" if shown in CONSTANTS else shown


def _type(annotation: ast.expr) -> str:
    """As written, but not as a string."""
    return (
        annotation.value
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str)
        else ast.unparse(annotation)
    )


def line(node: Function, name: str, *, returns: bool = True) -> str:
    """The signature, in several lines if it is long."""
    end = f" -> {_type(node.returns)}" if returns and node.returns else ""
    start = f"{'async ' if isinstance(node, ast.AsyncFunctionDef) else ''}def " if returns else ""
    given = parameters(node.args)
    short = f"{start}{name}({', '.join(given)}){end}"
    return short if len(short) <= WIDTH else f"{start}{name}(\n" + "".join(f"    {e},\n" for e in given) + f"){end}"


def signature(node: Function, name: str, *, returns: bool = True) -> str:
    """The same as a block of code."""
    return f"```python\n{line(node, name, returns=returns)}\n```"


def decorated(node: Function, word: str) -> bool:
    """Whether it has a decorator of that name."""
    return any(ast.unparse(each).split(".")[-1].split("(")[0] == word for each in node.decorator_list)


def members(node: ast.ClassDef) -> Iterator[Function]:
    """The public methods and properties of a class."""
    for each in node.body:
        if isinstance(each, Function) and not each.name.startswith("_") and each.name not in INTERNAL:
            yield each


def fields(place: str, node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Fields of a class that only has fields: name, type, and the comment behind."""
    lines = source(place.partition(":")[0])[1]
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.target.id[0] != "_":
            default = "" if each.value is None else f" = {ast.unparse(each.value)}"
            yield each.target.id, _type(each.annotation) + default, lines[each.lineno - 1].partition("  # ")[2]


def attributes(place: str, node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    """Public attributes that the constructor sets, if a comment says what they are."""
    lines = source(place.partition(":")[0])[1]
    for method in node.body:
        if not isinstance(method, ast.FunctionDef) or method.name != "__init__":
            continue
        for each in ast.walk(method):
            target = (
                each.target
                if isinstance(each, ast.AnnAssign)
                else each.targets[0]
                if isinstance(each, ast.Assign)
                else None
            )
            comment = "" if target is None else lines[target.lineno - 1].partition("  # ")[2]
            if isinstance(target, ast.Attribute) and not target.attr.startswith("_") and comment:
                kind = _type(each.annotation) if isinstance(each, ast.AnnAssign) else ""
                yield target.attr, kind, comment


def table(rows: list[tuple[str, str, str]]) -> str:
    """Name, type and meaning."""
    cells = [(f"`{name}`", f"`{kind}`".replace("|", "\\|") if kind else "", words) for name, kind, words in rows]
    return "\n".join(["| name | type | meaning |", "|---|---|---|", *("| " + " | ".join(row) + " |" for row in cells)])


def classes(title: str, places: list[str]) -> str:
    """One entry: what the class `title` says, its constructor, its fields, and the methods of all classes."""
    nodes = [(place, node) for place in places if isinstance(node := named(place), ast.ClassDef)]
    (main,) = (node for _, node in nodes if node.name == title)
    parts = [wrapped(prose(main))]
    for each in main.body:
        if title.endswith("MLQ") and isinstance(each, Function) and each.name == "__init__":
            parts += [signature(each, title, returns=False), wrapped(prose(each))]
    if title == "State":
        return "\n\n".join([*parts, "\n".join(["| state | meaning |", "|---|---|", *states()])])
    if rows := [row for place, node in nodes for row in (*fields(place, node), *attributes(place, node))]:
        parts.append(table(rows))
    methods = [(node, each) for _, node in nodes for each in members(node) if not decorated(each, "overload")]
    if title.startswith("Async"):
        return "\n\n".join([*parts, *twins(title.removeprefix("Async"), [each for _, each in methods])])
    if len(methods) > MANY:
        links = ", ".join(f"[{each.name}](#{anchor(title + each.name)})" for _, each in methods)
        parts.append(wrapped(f"Methods and properties: {links}."))
    return "\n\n".join(parts + [part for node, each in methods for part in entry(title, each, overload(node, each))])


def states() -> Iterator[str]:
    """The rows of the table of states."""
    for state in State:
        yield f"| `State.{state.name}` = `{state.value!r}` | {MEANING[state]} |".replace("'", '"', 2)


def twins(blocking: str, methods: list[Function]) -> list[str]:
    """The signatures of a class for asyncio, whose methods are described where those of its twin are."""
    if not methods:
        return []
    shown = [declared(each) if decorated(each, "property") else line(each, each.name) for each in methods]
    body = "\n".join(shown)
    return [wrapped(TWINS.format(blocking, anchor(blocking))), f"```python\n{body}\n```"]


def overload(node: ast.ClassDef, method: Function) -> Function:
    """The last overload of a method, which has all of its parameters; else the method itself."""
    found = [each for each in node.body if isinstance(each, Function) and each.name == method.name]
    return next((each for each in reversed(found) if decorated(each, "overload")), method)


def entry(owner: str, method: Function, shown: Function) -> list[str]:
    """A heading, the signature and the docstring of a method or property."""
    is_property = decorated(method, "property")
    code = f"```python\n{declared(method)}\n```" if is_property else signature(shown, method.name)
    return [f"#### {owner}.{method.name}", code, wrapped(prose(method))]


def declared(method: Function) -> str:
    """A property as a variable."""
    return f"{method.name}: {_type(method.returns) if method.returns else 'Any'}"


def errors(module: str) -> str:
    """All of a module's errors, as a table."""
    tree = source(module)[0]
    kinds = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name != "RemoteTraceback"]
    rows = ["| error | is a | meaning |", "|---|---|---|"]
    rows += [
        f"| `{each.name}` | {', '.join(f'`{ast.unparse(base)}`' for base in each.bases)} | {prose(each)} |"
        for each in kinds
    ]
    return wrapped(" ".join((ast.get_docstring(tree) or "").split("\n\n", 1)[1].split())) + "\n\n" + "\n".join(rows)


def function(place: str) -> str:
    """A function of a module."""
    node = named(place)
    return "\n\n".join([f"### {node.name}", signature(node, node.name), wrapped(prose(node))])


def alias(place: str) -> str:
    """A name for a type, with the comment above it."""
    module, _, _ = place.partition(":")
    node = named(place)
    comment = source(module)[1][node.lineno - 2].removeprefix("# ")
    return f"```python\n{ast.unparse(node)}\n```\n\n{wrapped(f'{comment} {MIDDLEWARE}')}"


def anchor(heading: str) -> str:
    """The address of a heading within the page, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def contents(body: str) -> str:
    """The table of contents: sections, and what each describes."""
    lines: list[str] = []
    seen: set[str] = set()
    for level, heading in re.findall(r"^(#{2,3}) (.+)$", body, re.MULTILINE):
        place = anchor(heading)
        link = f"[{heading}](#{place}{'-1' if place in seen else ''})"
        seen.add(place)
        if level == "##":
            lines.append(f"- {link}")
        else:
            lines[-1] += f"{':' if lines[-1].count('](') == 1 else ','} {link}"
    return "\n".join(wrapped(line, 138).replace("\n", "\n  ") for line in lines)


def described(title: str, places: list[str]) -> list[str]:
    """What a section has under one title."""
    if title == "errors":
        return [errors(places[0].partition(":")[0])]
    if title == "Middleware":
        return [f"### {title}", alias(places[0])]
    if isinstance(named(places[0]), ast.ClassDef):
        return [f"### {title}", classes(title, places)]
    return [function(place) for place in places]


def page() -> str:
    """The whole page."""
    parts = []
    for heading, text, titles in SECTIONS:
        parts += [f"## {heading}", *([flowing(text)] if text else [])]
        for title, places in titles.items():
            parts += described(title, places)
    body = "\n\n".join(parts)
    return f"# Reference of the API\n\n{flowing(INTRODUCTION)}\n\n{contents(body)}\n\n{tasks()}\n\n{body}\n"


def tasks() -> str:
    """The table of tasks."""
    links = {task: ", ".join(f"[{name}](#{anchor(name)})" for name in names.split()) for task, names in TASKS.items()}
    return "\n".join(["| to | see |", "|---|---|", *(f"| {task} | {see} |" for task, see in links.items())])


def flowing(text: str) -> str:
    """A paragraph of this file, in lines as long as those of the page."""
    return wrapped(" ".join(text.split()))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
