"""TLS and restricted users, as docs/security.md describes them."""

import asyncio
import gc
import re
import shutil
import socket
import subprocess
import warnings
from pathlib import Path

import pytest
import redis

import mlq as mlq_package
from mlq import AsyncMLQ, ServerError
from mlq.server import scratch

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
(USER,) = re.findall(r"^user (mlq on .+)$", PAGE, re.MULTILINE)


def use(url):
    """What posters and workers do, through both clients; what the server refuses raises."""
    with mlq_package.MLQ("my_app", url=url) as mlq:

        @mlq.listener(retries=1, backoff=0.01)
        def work(msg, ctx):
            ctx.update_progress(50)
            ctx.emit("part")
            ctx.fetch_data(ctx.store_data(msg))
            if msg == "retry" and ctx.attempt == 1:
                raise ValueError(msg)
            return ctx.block_until_result(ctx.post(1, functions=["work"]), timeout=10) if msg == "wait" else msg

        try:
            mlq.create_listener()
            mlq.create_reaper(call_how_often=0.1, job_timeout=100)
            for message in ("plain", "retry", b"x" * 2_000_000):
                assert work.submit(message).result(timeout=20) == message
            assert work.submit("wait").result(timeout=20) == 1
            assert list(work.submit("stream").stream()) == ["part"]
            first = mlq.post("waits", functions=["nobody"], idempotency_key="key")
            assert mlq.position(first) == 0
            assert mlq.unserved() == {"default:nobody": 1}
            mlq.cancel(first)
            mlq.requeue(first)
            mlq.delete(first)
            mlq.upload(use)
            assert [each["name"] for each in mlq.uploads()] == ["use"]
            assert mlq.remove_upload("use")
            assert len(list(mlq.jobs())) == 6
            assert mlq.stats().wanted == len(mlq.dead_letters()) == 0
            assert len(mlq.workers()) == 1
            assert asyncio.run(use_awaited(url)) == "awaited"
        finally:
            mlq.shutdown(grace=0)
        assert mlq.clear()


async def use_awaited(url):
    """A job through the client for asyncio."""
    async with AsyncMLQ("my_app", url=url) as mlq:
        job = await mlq.submit("awaited", functions=["work"])
        return await job.result(timeout=20)


@pytest.fixture
def restricted():
    """The URL of a server for the user of the page, and a client that may do everything."""
    with scratch(appendfsync=None, port=0) as server, redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", *USER.split())
        yield server.url.replace("redis://", "redis://mlq:a-long-password@"), client


def test_rights_of_the_page_suffice(restricted, caplog):
    """Nothing is refused, and nothing is warned of."""
    url, client = restricted
    client.execute_command("ACL", "LOG", "RESET")
    use(url)
    assert client.execute_command("ACL", "LOG") == []
    assert not [record for record in caplog.records if record.name == "mlq.server" and record.levelname == "WARNING"]


def test_rights_of_the_page_end_at_the_namespace(restricted):
    """Other namespaces, other keys and dangerous commands are refused."""
    url, _ = restricted
    with mlq_package.MLQ("other", url=url) as other, pytest.raises(ServerError, match="refused access"):
        other.post(1)
    with redis.Redis.from_url(url) as client:
        for command in (
            ("GET", "foreign"),
            ("FLUSHALL",),
            ("CONFIG", "GET", "*"),
            ("KEYS", "*"),
            ("PUBLISH", "c", "m"),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)


@pytest.fixture
def certified(tmp_path):
    """A folder with an authority and certificates, made by the commands of the page."""
    (commands,) = re.findall(r"^(openssl req -x509.+?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    subprocess.run(["bash", "-ec", commands], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.fixture(autouse=True)
def no_late_complaints():
    """ssl leaves sockets of refused handshakes to the collector, which would complain of them in some later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def secure(certified):
    """The address of a server with TLS."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("the bundled server has no TLS, and there is no redis-server")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [program, "--port", "0", "--tls-port", str(port), "--tls-cert-file", "server.crt", "--tls-key-file"]
    command += ["server.key", "--tls-ca-cert-file", "ca.crt", "--save", "", "--user", *USER.split()]
    with subprocess.Popen(command, cwd=certified, stdout=subprocess.PIPE, text=True) as server:
        said = ""
        for line in server.stdout:
            said += line
            if "Ready to accept connections" in line:
                break
        else:
            assert "Failed finding TLS support" in said
            pytest.skip("this redis-server has no TLS")
        yield f"rediss://mlq:a-long-password@localhost:{port}/0", certified
        server.kill()


def test_tls_with_client_certificates(secure):
    """As in the page; without the authority, or without a certificate of its own, a client gets nothing."""
    url, folder = secure
    authority, own = (
        f"ssl_ca_certs={folder}/ca.crt",
        f"ssl_certfile={folder}/client.crt&ssl_keyfile={folder}/client.key",
    )
    use(f"{url}?{authority}&{own}")
    for parameters in (authority, own):
        with mlq_package.MLQ("my_app", url=f"{url}?{parameters}") as mlq, pytest.raises(ServerError) as refused:
            mlq.job_count()
        assert "a-long-password" not in str(refused.value)
