"""The 2019 command line as a module: the parser, `main` and `server`, as older programs call them."""

import asyncio
import socket

import pytest

from controller import app
from mlq import InputError

POSTED = ("post", "message", ["f1", "f2"], "n", "http://x/y")


@pytest.mark.parametrize(
    "line",
    [
        "post message --functions f1 f2 --namespace n --callback http://x/y",
        "--namespace n --callback http://x/y post message --functions f1 f2",
        "--functions f1 f2 --namespace n post message --callback http://x/y",
        "post --namespace n message --callback http://x/y --functions f1 f2",
        "--namespace n --callback http://x/y --functions f1 f2 post message",
        "post --functions f1 f2 --callback http://x/y --namespace n message",
    ],
)
def test_flags_stand_before_or_after_the_command(line):
    args = app.set_args().parse_args(line.split())
    assert (args.cmd, args.msg, args.functions, args.namespace, args.callback) == POSTED


def test_the_defaults_are_those_of_2019():
    args = app.set_args().parse_args(["dummy"])
    assert (args.namespace, args.server_address, args.server_port) == ("mlq_default", "127.0.0.1", 5001)
    assert (args.reaper_interval, args.reaper_timeout, args.reaper_retries) == (60, 300, 5)
    assert (args.redis_host, args.redis_port) == (None, None)


def test_the_reaper_needs_no_command():
    args = app.set_args().parse_args(["--reaper", "--reaper_interval", "60", "--reaper_retries", "4"])
    assert (args.cmd, args.reaper, args.reaper_interval, args.reaper_retries) == (None, True, 60.0, 4)


def test_a_message_may_look_like_a_flag():
    assert app.set_args().parse_args(["post", "--", "-x"]).msg == "-x"
    assert app.set_args().parse_args(["post", "-5"]).msg == "-5"


def test_main_gives_the_queue(server_url, namespace, capsys):
    line = ["post", "[1, 2]", "--functions", "f", "--redis_host", server_url, "--namespace", namespace]
    queue = asyncio.run(app.main(app.set_args().parse_args(line)))
    job = queue.get_job(capsys.readouterr().out.strip())
    assert (queue.namespace, job["msg"], job["functions"]) == (namespace, [1, 2], ["f"])
    assert queue._redis.ping()
    queue.close()


def test_the_test_listeners_use_all_helpers(mlq, monkeypatch):
    monkeypatch.setattr(app, "STEP", 0)
    mlq.create_listener(app.simple_consumer_func)
    mlq.create_listener(app.my_consumer_func)
    assert mlq.submit("hello", functions=["my_consumer_func"]).result(60) == "a message from within was processed"


def test_the_application_is_made_without_a_server():
    made = app.server(app.MLQ("x", "127.0.0.1", 1), "127.0.0.1", 5001, start_serving=False)
    assert made.test_client().get("/healthz").data == b"ok"


@pytest.mark.parametrize("first", [None, object(), {}, "queue"])
def test_making_the_application_touches_nothing_of_its_queue(first):
    """Tests of older programs hand it something else."""
    made = app.server(first, "127.0.0.1", 5001, start_serving=False)
    assert made.test_client().get("/healthz").data == b"ok"


def test_the_result_of_a_failed_job_is_as_it_was(mlq):
    """Programs that were written for the first MLQ read the error's text, with 200."""

    def fail(message):
        raise ValueError("too small")

    mlq.create_listener(fail)
    job_id = mlq.post(1)
    mlq.wait_end(job_id, 20)
    client = app.server(mlq, "127.0.0.1", 5001, start_serving=False).test_client()
    given = client.get(f"/jobs/{job_id}/result")
    assert (given.status_code, given.data) == (200, b"too small")


def test_an_address_in_use_leaves_nothing_behind(server_url, namespace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = f"consumer --server --server_port {port} --namespace {namespace} --redis_host {server_url}"
        with pytest.raises(InputError, match="can't serve at"):
            asyncio.run(app.main(app.set_args().parse_args(line.split())))
