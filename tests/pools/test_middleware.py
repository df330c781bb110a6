"""Middleware wraps what listeners do, in every pool."""

import pytest

from tests.pools.conftest import POOLS

pytestmark = pytest.mark.slow

WRAPPED = """
import contextvars
import os
from contextlib import contextmanager
from mlq import MLQ

mlq = MLQ(os.environ["MLQ_TEST_NAMESPACE"])
session = contextvars.ContextVar("session")

@mlq.middleware
@contextmanager
def with_session(context):
    token = session.set(f"session of {context['full_message']['id']}")
    yield
    session.reset(token)

@mlq.listener
def plain(_):
    return session.get()

@mlq.listener
async def coroutine(_):
    return session.get()
"""


@pytest.mark.parametrize("pool", POOLS)
def test_a_listener_runs_within_it(begin, mlq, tmp_path, pool):
    (tmp_path / "wrapped.py").write_text(WRAPPED)
    begin(pool, target="wrapped.py")
    for name in ("plain", "coroutine"):
        job = mlq.submit(None, functions=[name])
        assert job.result(60) == f"session of {job.id}"
