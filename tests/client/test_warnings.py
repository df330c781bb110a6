"""What a client says of a server on which ids or jobs are not safe."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
import redis

from mlq import MLQ, AsyncMLQ, server
from mlq.errors import JobLost
from mlq.server.scratch import Scratch
from mlq.shell import handshake
from tests.client.losses import stranger

FAR = 1_000_000


@pytest.fixture
def scratch() -> Iterator[Scratch]:
    """A server that keeps nothing on disk."""
    with server.scratch(appendfsync=None, port=0) as running:
        yield running


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = (record for record in caplog.records if record.levelno >= logging.WARNING)  # other tests may log more
    return [record.getMessage() for record in found if record.name == "mlq.server"]


@pytest.fixture
def unwarned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "_warned", set())


@pytest.mark.usefixtures("unwarned")
def test_a_server_that_evicts_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    policy = ("--maxmemory-policy", "allkeys-lru")
    with server.scratch(appendfsync=None, extra=policy) as scratch, caplog.at_level(logging.WARNING, "mlq"):
        for _ in range(2):
            with MLQ("evicts", url=scratch.url) as mlq:
                assert mlq.job_count() == 0
        asyncio.run(_count(scratch.url))
        assert len(warnings(caplog)) == 1
        assert "allkeys-lru" in warnings(caplog)[0]
        assert "noeviction" in warnings(caplog)[0]


async def _count(url: str) -> None:
    async with AsyncMLQ("evicts", url=url) as mlq:
        assert await mlq.job_count() == 0


@pytest.mark.usefixtures("unwarned")
def test_a_server_that_does_not_tell_its_run_is_warned_of_once(
    scratch: Scratch, caplog: pytest.LogCaptureFixture
) -> None:
    """Handles are as safe as ever; ids after a loss that empties it, too."""
    with redis.Redis.from_url(scratch.url) as raw:
        raw.execute_command("ACL", "SETUSER", "default", "-info")
    with caplog.at_level(logging.WARNING, "mlq"), MLQ("secretive", url=scratch.url) as mlq:
        mine = mlq.submit("mine")
        assert mine.id == "1"
        mlq._redis.flushall()
        assert stranger(scratch.url, "secretive") == ["1"]
        with pytest.raises(JobLost):
            mine.result()
        assert int(mlq.post("later")) > FAR
    (told,) = warnings(caplog)
    assert "Allow the command INFO" in told


@pytest.mark.usefixtures("unwarned")
def test_an_ordinary_server_is_not_warned_of(scratch: Scratch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mlq"), MLQ("plain", url=scratch.url) as mlq:
        mlq.post("mine")
    assert warnings(caplog) == []
