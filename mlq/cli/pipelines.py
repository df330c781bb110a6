"""The command that prints the routes which a module declares: mlq pipelines."""

import click

from mlq import MLQ
from mlq.cli.base import Settings, report, with_settings_alone
from mlq.running.routes import Branch
from mlq.system import terminal

Graph = list[tuple[str, list[Branch]]]  # of each listener that has routes, its name and these


@click.command
@click.argument("target", metavar="MODULE_OR_FILE[:OBJECT]")
@click.option("--mermaid", is_flag=True, help="Write a Mermaid flowchart, which GitHub and many editors draw.")
@with_settings_alone
def pipelines(settings: Settings, /, target: str, *, mermaid: bool) -> None:
    """Print the routes that a module's listeners declare.

    It imports the module, as a worker would, and asks no server. What listeners decide in their code, by returning
    Forward or Split, is not shown. A step whose listener another module must have is marked.
    """
    from mlq.cli import load

    queues = load.queues_of(target, settings.namespace)
    graph = [found for queue in queues for found in _graph_of(queue)]
    if not graph:
        report(f"no listener in {target} declares routes:  listener >> mlq.route({{...}}, by=...)")
    elif mermaid:
        terminal.write(_as_mermaid(graph))
    else:
        terminal.write(_as_text(graph))


def _graph_of(queue: MLQ) -> Graph:
    known = queue.listeners.names()
    return [(one.name, list(one.routes.branches(known))) for one in queue.listeners.all() if one.routes is not None]


def _as_text(graph: Graph) -> str:
    lines: list[str] = []
    for name, branches in graph:
        lines.append(name)
        width = max(len(branch.value) for branch in branches)
        for branch in branches:
            queue = f" in queue {branch.queue}" if branch.queue else ""
            lines.append(f"  {branch.value:<{width}} -> {branch.to}{queue}{_note(branch)}")
    return "\n".join(lines)


def _note(branch: Branch) -> str:
    return f" (this module has no listener {branch.missing})" if branch.missing else ""


def _as_mermaid(graph: Graph) -> str:
    """Its boxes have numbers, since names of listeners may have any characters."""
    numbers: dict[str, int] = {}
    lines = ["flowchart LR"]

    def box(name: str) -> str:
        if name not in numbers:
            numbers[name] = len(numbers) + 1
            lines.append(f'    s{numbers[name]}["{_quoted(name)}"]')
        return f"s{numbers[name]}"

    for name, branches in graph:
        start = box(name)
        for branch in branches:
            end = box(branch.to)
            lines.append(f'    {start} -->|"{_quoted(branch.value)}"| {end}')
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "".join(character if character not in '#&"<>' else f"#{ord(character)};" for character in text)
