"""What a job says and the server does not take holds up no other job."""

import contextlib

import pytest
import redis

from mlq import MLQ, server

pytestmark = pytest.mark.slow

LISTENERS = """
import os
from mlq import MLQ

mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])

@mlq.listener
def floods(count, context):
    for _ in range(count):
        context.emit(os.urandom(1_500_000))

@mlq.listener
def echo(value):
    return value
"""


@pytest.mark.parametrize("kind", ["process", "gevent"])
def test_others_go_on_while_much_can_not_be_recorded(begin, tmp_path, kind):
    """More than is kept without holding who says it; the server closes the connection on each piece of it."""
    (tmp_path / "floods.py").write_text(LISTENERS)
    with (
        server.scratch(appendfsync=None, port=0) as scratch,
        redis.Redis.from_url(scratch.url) as admin,
        contextlib.closing(MLQ("unrecorded", url=scratch.url)) as mlq,
    ):
        admin.config_set("client-query-buffer-limit", "1mb")
        worker = begin(kind, "--concurrency", "2", target="floods.py", url=scratch.url, space="unrecorded")
        flood = mlq.submit(12, functions=["floods"])
        worker.logs("can't record", timeout=60)
        for number in range(5):
            assert mlq.submit(number, functions=["echo"]).result(60) == number
        assert flood.state() == "running"
        flood.cancel()
        assert [mlq.submit(number, functions=["echo"]).result(60) for number in range(5)] == list(range(5))
