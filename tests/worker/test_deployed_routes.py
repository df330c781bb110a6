"""A deploy changes the routes while a pipeline is under way: it goes on by those with which it began."""

import pytest

from tests.programs import running, until

pytestmark = pytest.mark.slow

PROGRAM = """
from mlq import MLQ, route

mlq = MLQ({namespace!r})

@mlq.listener(queue="first")
def sort(letter):
    return letter

@mlq.listener(queue="second")
def read(letter):
    return letter

@mlq.listener(queue="second")
def store(letter):
    return {stored!r}

@mlq.listener(queue="second")
def send(letter):
    return "sent"

{routes}
"""
OLD = {
    "stored": "stored by the old one",
    "routes": 'read >> route({"old": store}, by="kind")\nsort >> route({"old": read, "new": read}, by="kind")',
}
NEW = {"stored": "stored by the new one", "routes": 'read >> route({"old": send, "new": send}, by="kind")'}


@pytest.mark.parametrize("pool", ["thread", "process", "asyncio"])
def test_a_deploy_does_not_change_where_a_pipeline_goes(mlq, server_url, tmp_path, pool):
    commands = []
    for name, parts in (("old", OLD), ("new", NEW)):
        file = tmp_path / f"{name}.py"
        file.write_text(PROGRAM.format(namespace=mlq.namespace, **parts))
        commands.append(["-m", "mlq.cli", "worker", str(file), "--pool", pool, "--concurrency", "1", "--queues"])
    with running(server_url, *commands[0], "first"):
        under_way = mlq.submit({"kind": "old"}, functions=["sort"], queue="first")
        unknown = mlq.submit({"kind": "new"}, functions=["sort"], queue="first")
        until(lambda: {mlq.get_state(job.id) for job in (under_way, unknown)} == {"blocked"})
    posted_since = mlq.submit({"kind": "old"}, functions=["read"], queue="second")
    with running(server_url, *commands[1], "second"):
        results = [job.result(60) for job in (under_way, unknown, posted_since)]
    assert results == ["stored by the new one", "sent", "sent"]
