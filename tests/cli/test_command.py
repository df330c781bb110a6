"""The command `mlq`, command by command, in this process."""

import base64
import json
import logging
import re
import threading
import time

import pytest
from click.testing import CliRunner, Result

from mlq import MLQ, State
from mlq.cli.program import program
from mlq.ops import deliveries as delivery_ops

NOWHERE = "redis://127.0.0.1:1"


@pytest.fixture
def run(server_url, namespace):
    """Runs one command line in the test's namespace."""

    def call(*words: str, env: dict[str, str] | None = None, stdin: str | bytes | None = None) -> Result:
        environment = {"MLQ_URL": server_url, "MLQ_NAMESPACE": namespace, **(env or {})}
        result = CliRunner(env=environment).invoke(program, list(words), input=stdin, prog_name="mlq")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


@pytest.fixture
def worker(mlq):
    """A worker with a listener for each kind of outcome."""

    def double(value):
        return value * 2

    def fail(value):
        raise ValueError(f"bad\n{value}")

    def raw(value):
        return b"\x00\xff"

    def short(value):
        return "brief", {"long": value}

    for function in (double, fail, raw, short):
        mlq.listener(function)
    mlq.create_listener()
    wait_until(mlq.workers)
    return mlq


def wait_until(condition):
    """Ask again until it is true; a worker says that it lives when it has begun."""
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def one_line(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("mlq: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def failed_job(mlq: MLQ) -> str:
    job_id = mlq.post(1, functions=["fail"])
    with pytest.raises(ValueError, match="bad"):
        mlq.wait(job_id, 10)
    return job_id


@pytest.mark.parametrize(
    ("given", "posted"),
    [
        ('{"arg1":6,"arg2":3}', {"arg1": 6, "arg2": 3}),
        ("12", 12),
        ('"12"', "12"),
        ("some words", "some words"),
        ("NaN", "NaN"),
        ("null", None),
        ("a {broken", "a {broken"),
    ],
)
def test_post_reads_json_where_it_is_json(run, mlq, given, posted):
    result = run("post", given)
    assert result.exit_code == 0
    assert mlq.get_job(result.stdout.strip())["msg"] == posted


@pytest.mark.parametrize("given", ["{'a': 1}", "['a']", " { 'a': 1"])
def test_json_with_single_quotes_is_told_of_double_ones(run, given):
    assert "double quotes: '{\"a\": 1}'" in one_line(run("post", given), 2)


@pytest.mark.parametrize("given", ['{"a": 1', "[1, 2", '"open', ' {"a" 1}', "[draft] a text"])
def test_what_begins_like_json_and_is_none_is_refused(run, mlq, given):
    """It is a typing error more often than a text; how to send it as one is said."""
    for result in (run("post", given), run("post", "-", stdin=given)):
        told = one_line(result, 2)
        assert "begins like JSON, but is not" in told
        assert "as a JSON string" in told
    assert mlq.job_count() == 0


@pytest.mark.parametrize(("given", "posted"), [("a line\n", "a line"), ("[1]\n", [1]), (b"\xff\x00\n", b"\xff\x00\n")])
def test_post_reads_stdin(run, mlq, given, posted):
    assert mlq.get_job(run("post", "-", stdin=given).stdout.strip())["msg"] == posted


def test_post_passes_its_options_on(run, mlq):
    result = run("post", "1", "--callback", "http://localhost/x", "--functions", "a, b", "--functions", "c", "--json")
    job = mlq.get_job(json.loads(result.stdout)["id"])
    assert (job["callback"], job["functions"]) == ("http://localhost/x", ["a", "b", "c"])


def test_post_waits_for_results_of_every_kind(run, worker):
    assert run("post", "4", "--functions", "double", "--wait").stdout == "8\n"
    assert run("post", "ab", "--functions", "double", "--wait").stdout == "abab\n"
    assert run("post", "[1]", "--functions", "double", "--wait", "--timeout", "20").stdout == "[1, 1]\n"
    assert run("post", "1", "--functions", "raw", "--wait").stdout_bytes == b"\x00\xff"
    shown = json.loads(run("post", "1", "--functions", "raw", "--wait", "--json").stdout)
    assert base64.b64decode(shown["base64"]) == b"\x00\xff"


def test_a_job_that_fails_is_exit_code_1(run, worker):
    assert "ValueError: bad 1" in one_line(run("post", "1", "--functions", "fail", "--wait"), 1)


def test_an_error_of_mlq_that_a_listener_raised_is_the_jobs_failure(run, mlq):
    def confused(value):
        raise ConnectionError("as if the server were away")

    mlq.create_listener(confused)
    wait_until(mlq.workers)  # until it says that it lives, the command says that no worker is running
    assert "failed: ConnectionError" in one_line(run("post", "1", "--wait"), 1)


def test_a_stream_of_a_job_that_fails_says_what_wait_says(run, worker):
    job_id = failed_job(worker)
    told = one_line(run("stream", job_id), 1)
    assert told == f"mlq: job {job_id} failed: ValueError: bad 1 (mlq job {job_id} shows the traceback)\n"
    assert told == one_line(run("wait", job_id), 1)


def test_a_wait_that_takes_too_long_is_exit_code_4(run, mlq):
    job_id = mlq.post(1)
    assert f"job {job_id} did not end within 0.1 s" in one_line(run("wait", job_id, "--timeout", "0.1"), 4)


def test_wait_tells_that_no_worker_can_run_the_job(run, mlq, monkeypatch):
    monkeypatch.setattr("mlq.cli.posting.PATIENCE", 0.1)
    result = run("post", "1", "--functions", "train", "--wait", "--timeout", "0.3")
    assert result.exit_code == 4
    job_id = mlq.last_id()
    lacking = f"no worker is running in namespace {mlq.namespace!r}; the server is {mlq.url} (from MLQ_URL)"
    waited = f"mlq: job {job_id} did not end within 0.3 s: {lacking}"
    assert result.stderr.splitlines() == [f"mlq: job {job_id}: {lacking}", waited]
    result = run("wait", str(job_id), "--timeout", "0.3")
    assert result.stderr.splitlines() == [f"mlq: job {job_id} waits: {lacking}", waited]


def test_wait_for_a_cancelled_job_is_exit_code_1(run, mlq):
    job_id = mlq.post(1)
    assert run("cancel", job_id).stdout == f"cancelled {job_id}\n"
    assert "was cancelled" in one_line(run("wait", job_id), 1)


def test_job_shows_everything(run, worker):
    job_id = worker.post({"a": b"x"}, functions=["short"])
    worker.wait(job_id, 10)
    shown = run("job", job_id).stdout
    assert "succeeded" in shown
    assert '{"long": {"a": {"base64": "eA=="}}}' in shown
    told = json.loads(run("job", job_id, "--json").stdout)
    assert (told["short_result"], told["state"], told["unserved"]) == ("brief", "succeeded", None)


def test_job_shows_a_traceback(run, worker):
    assert "Traceback (most recent call last)" in run("job", failed_job(worker)).stdout


def test_a_job_that_no_worker_can_serve_is_shown_as_such(run, worker):
    stranded = worker.post(1, functions=["double", "elsewhere"])
    lacking = "no live worker has a listener 'elsewhere'"
    assert f"queued ({lacking})" in run("job", stranded).stdout
    assert "queued (no worker)" in run("jobs").stdout
    assert [job["unserved"] for job in json.loads(run("jobs", "--json").stdout)] == [lacking]
    assert json.loads(run("status", "--json").stdout)["unserved"] == {"default:double,elsewhere": 1}


def test_jobs_are_listed_newest_first(run, mlq):
    ids = mlq.post_many(range(5))
    mlq.cancel(ids[2])
    lines = run("jobs", "--limit", "3").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", *reversed(ids[2:])]
    assert [job["id"] for job in json.loads(run("jobs", "--state", "cancelled", "--json").stdout)] == [ids[2]]
    assert "no such jobs" in run("jobs", "--state", "running").stderr


def test_dead_letters_are_listed_requeued_and_discarded(run, worker):
    first, second = failed_job(worker), failed_job(worker)
    assert [line.split()[0] for line in run("dead", "list", "--each").stdout.splitlines()] == ["ID", second, first]
    assert [letter["id"] for letter in json.loads(run("dead", "list", "--json").stdout)] == [second, first]
    worker.shutdown(0)
    result = run("dead", "requeue", first, "999")
    assert (result.exit_code, result.stdout) == (1, f"requeued {first}\n")
    assert worker.get_state(first) is State.QUEUED
    assert run("dead", "discard", "--all").stdout.startswith("discarded 1 ")
    assert run("dead", "requeue", "--all").stdout.startswith("requeued 0 ")
    assert run("dead", "list", "--json").stdout.strip() == "[]"


def test_dead_letters_are_counted_by_their_errors(run, worker):
    """Numbers in an error's text make no other error."""
    first, second = (worker.post(number, functions=["fail"]) for number in (17, 18))
    third = worker.post("x", functions=["fail"])
    for job_id in (first, second, third):
        worker.wait_end(job_id, 10)
    heads, *rows = run("dead", "list").stdout.splitlines()
    assert heads.split() == ["COUNT", "LAST", "FUNCTIONS", "REASON", "ERROR", "IDS"]
    assert sorted(row.split()[0] for row in rows) == ["1", "2"]
    (two,) = [row for row in rows if row.startswith("2")]
    assert two.endswith(f"{second} and 1 more")
    listed = json.loads(run("dead", "list", "--json").stdout)
    assert {(one["queue"], *one["functions"], one["losses"]) for one in listed} == {("default", "fail", 0)}
    assert "these are the latest 1" in run("dead", "list", "--limit", "1").stderr


def test_jobs_are_filtered(run, mlq):
    plain, fast, slow = mlq.post(1), mlq.post(1, queue="fast", functions=["f"]), mlq.post(1, functions=["g", "f"])

    def found(*words):
        return [job["id"] for job in json.loads(run("jobs", "--json", *words).stdout)]

    assert found("--queue", "fast") == [fast]
    assert found("--function", "f") == [slow, fast]
    assert found("--function", "f", "--queue", "default", "--state", "queued") == [slow]
    assert found("--queue", "default") == [slow, plain]
    assert run("jobs", "--queue", "none", "--json").stdout.strip() == "[]"


def test_jobs_fit_the_terminal(run, mlq, monkeypatch):
    """What tells least goes first; ids, states and times stay whole."""
    monkeypatch.setattr("mlq.system.terminal.width", lambda: 80)
    mlq.post(1, queue="gpu-large", functions=["train_classifier_on_images"])
    mlq.post(2, functions=["order"])
    head, *rows = run("jobs").stdout.splitlines()
    assert head.split() == ["ID", "STATE", "QUEUE", "FUNCTIONS", "POSTED", "TOOK"]
    assert rows[-1].split()[3:6] == ["worker)", "gpu-large", "train_classifier_on_images"]
    assert max(map(len, rows)) <= 80


def test_what_a_job_that_is_retried_waits_for(run, worker):
    job_id = worker.post(1, functions=["fail"], retries=3, backoff=500)
    wait_until(lambda: worker.get_state(job_id) == "scheduled")
    shown = run("job", job_id).stdout
    assert "last error  ValueError: bad 1" in shown
    due = worker.get_job(job_id)["due"]
    assert 240 < due - time.time() < 501
    assert f"next run    {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(due))}" in shown
    worker.cancel(job_id)
    assert worker.get_job(job_id)["due"] is None


def test_a_job_for_all_listeners_is_pointed_out(run, worker):
    """Side effects of all of them may surprise. It is not logged: for others, that is as it should be."""
    noted = "it names no function, so all listeners of its queue run"
    assert run("post", "1").stderr == f"mlq: job 1: {noted}\n"
    assert run("post", "1", "--functions", "double").stderr == ""
    assert [worker.submit(1, functions=names).warning for names in (None, ["double"])] == [noted, None]


def test_following_the_logs_of_a_job_that_nobody_runs_tells_so(run, mlq):
    job = mlq.submit(1, functions=["nobody"])
    threading.Timer(0.5, job.cancel).start()
    assert f"job {job.id} waits: no worker is running" in run("logs", "-f", job.id).stderr


def test_a_wait_that_is_interrupted_names_the_job(run, mlq, monkeypatch):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlq.cli.posting._result", interrupted)
    assert "job 1 goes on: mlq wait 1, or mlq cancel 1" in run("post", "1", "--wait").stderr


def test_a_job_without_output_points_to_its_error(run, worker):
    job_id = worker.post(1, functions=["fail"])
    wait_until(lambda: worker.get_state(job_id) == "failed")
    done = run("logs", job_id)
    assert (done.stdout, f"mlq job {job_id} shows" in done.stderr) == ("", True)


def test_why_a_job_failed_is_pointed_at(run, worker):
    worker.create_listener()
    for message in (1, 2):
        worker.submit(message, functions=["fail"], retries=0)
    timed = worker.submit(1, functions=["double"])
    timed.result(60)
    wait_until(lambda: len(worker.dead_letters()) == 2)
    assert "mlq job ID shows why a job failed" in run("jobs").stderr
    assert {one["reason"] for one in json.loads(run("jobs", "--json").stdout)} == {"error", None}
    assert "mlq dead requeue ID" in run("dead", "list").stderr


def test_dead_letters_of_one_function(run, worker):
    ids = [worker.submit(number, functions=["fail"], retries=0).id for number in range(3)]
    wait_until(lambda: len(worker.dead_letters()) == 3)
    nothing = run("dead", "discard", "--function", "double")
    assert (nothing.stdout, "no dead letter names the listener 'double'" in nothing.stderr) == ("", True)
    assert run("dead", "requeue", "--function", "fail", "--all").exit_code == 2
    assert sorted(run("dead", "requeue", "--function", "fail").stdout.split()[1::2]) == ids
    wait_until(lambda: len(worker.dead_letters()) == 3)
    assert len(run("dead", "discard", "--function", "fail").stdout.splitlines()) == 3
    assert worker.dead_letters() == []


def test_a_running_job_shows_its_time_and_progress(run, mlq):
    go = threading.Event()

    def train(message, context):
        context.update_progress(12.5)
        go.wait(20)

    mlq.create_listener(train)
    job_id = mlq.post(1)
    wait_until(lambda: mlq.get_job_progress(job_id) == 12.5)
    (one,) = json.loads(run("jobs", "--json").stdout)
    (listed,) = mlq.jobs()
    go.set()
    assert (one["state"], one["progress"], one["attempts"], one["worker"]) == ("running", 12.5, 1, listed.worker)
    assert 0 < one["took"] <= listed.took


def test_logs_are_followed_to_the_end(run, mlq):
    go = threading.Event()

    def train(message):
        logging.getLogger("train").warning("begun")
        go.wait(20)
        logging.getLogger("train").warning("done")

    mlq.create_listener(train)
    job_id = mlq.post(1)
    wait_until(lambda: mlq.get_logs(job_id))
    go.set()
    assert run("logs", "-f", job_id).stdout == "WARNING train: begun\nWARNING train: done\n"


def test_purge(run, mlq):
    job_id = mlq.post(1)
    mlq.cancel(job_id)
    assert run("purge", "--older", "1h").stdout.startswith("removed 0 jobs ")
    assert run("purge", "--older", "0s", "--state", "failed").stdout.startswith("removed 0 jobs ")
    assert run("purge", "--older", "0s", "--state", "cancelled").stdout.startswith("removed 1 jobs ")
    for age in ("x", "5", "-1d", "1w", ""):
        assert "is not an age" in one_line(run("purge", "--older", age), 2)


def test_cancel_and_delete(run, mlq):
    first, second = mlq.post(1), mlq.post(2)
    assert run("cancel", first, second).exit_code == 0
    assert run("cancel", first).exit_code == 0  # twice is the same as once
    assert run("delete", first, second).stdout == f"deleted {first}\ndeleted {second}\n"
    assert "no job" in one_line(run("job", first), 1)


def test_count_status_and_workers(run, worker):
    worker.post(1, functions=["elsewhere"])
    assert run("count").stdout == "1\n"
    assert "default:elsewhere  1 (no live worker has a listener 'elsewhere')" in run("status").stdout
    found = json.loads(run("workers", "--json").stdout)
    assert [one["functions"] for one in found] == ["double,fail,raw,short"]
    assert "double, fail, raw, short" in run("workers").stdout


def test_clear_asks_and_leaves_other_namespaces_alone(run, mlq, server_url, namespace):
    neighbour = MLQ(f"{namespace}_b", url=server_url)
    kept, _ = neighbour.post(1), mlq.post(2)
    assert run("clear", stdin="").exit_code == 1
    assert run("clear", stdin="n\n").exit_code == 1
    assert mlq.job_count() == 1
    assert run("clear", "--yes").exit_code == 0
    assert mlq.job_count() == 0
    assert neighbour.get_job(kept)["msg"] == 1
    neighbour.clear()
    neighbour._redis.delete(f"{{{namespace}_b}}:counter")
    neighbour.close()


def test_global_options_stand_anywhere_and_win_over_the_environment(run, mlq, server_url, namespace):
    job_id = mlq.post("here")
    elsewhere = {"MLQ_NAMESPACE": "elsewhere", "MLQ_URL": NOWHERE}
    for words in (
        ("--url", server_url, "--namespace", namespace, "job", job_id),
        ("job", job_id, "--url", server_url, "--namespace", namespace),
        ("--namespace", "elsewhere", "--url", server_url, "job", "--namespace", namespace, job_id),
    ):
        assert "here" in run(*words, env=elsewhere).stdout


def test_webhooks(run, mlq):
    """Posted, shown with their tries, and sent again."""
    job_id = run("post", "1", "--webhook", "http://localhost/w", "--functions", "nobody").stdout.strip()
    assert "is queued" in one_line(run("redeliver", job_id), 1)
    run("cancel", job_id)
    (taken,) = mlq._shell.run(delivery_ops.take(mlq._keys, "webhook", 1, 10.0, 10))
    mlq._shell.run(delivery_ops.end(mlq._keys, taken, 503, "answered 503", 60.0))
    shown = run("job", job_id).stdout
    assert "http://localhost/w" in shown
    assert "answered 503" in shown
    assert run("redeliver", job_id).stdout == f"redelivered {job_id}\n"


def test_options_are_read_from_the_environment(run, mlq):
    job_id = run("post", "1", env={"MLQ_POST_CALLBACK": "http://localhost/e", "MLQ_VERSION": "2.0"}).stdout.strip()
    assert mlq.get_job(job_id)["callback"] == "http://localhost/e"


@pytest.mark.parametrize(
    "words",
    [
        ("post",),
        ("post", "1", "--bogus"),
        ("post", "1", "--callback", "nowhere"),
        ("post", "1", "--webhook", "nowhere"),
        ("post", "1", "--functions", ","),
        ("post", "1", "--timeout", "3"),
        ("post", "123456789012345678901234567890"),
        ("post", "[" * 100_000),
        ("job", "abc"),
        ("jobs", "--state", "bogus"),
        ("jobs", "--limit", "0"),
        ("dead", "requeue"),
        ("dead", "discard", "1", "--all"),
        ("nonsense",),
        ("--namespace", "{x}", "count"),
        ("--namespace", "", "count"),
        ("--url", "http://localhost", "count"),
    ],
)
def test_wrong_usage_is_exit_code_2_in_one_line(run, mlq, words):
    one_line(run(*words), 2)
    assert mlq.job_count() == 0


@pytest.mark.parametrize("words", [("post", "1"), ("jobs",), ("clear", "--yes"), ("wait", "1")])
def test_a_server_that_is_not_there_is_exit_code_3(run, words):
    assert NOWHERE in one_line(run(*words, "--url", NOWHERE), 3)


def test_the_embedded_server(run):
    assert "does not run" in one_line(run("server", "status"), 3)
    url = run("server", "start").stdout.strip()
    try:
        assert json.loads(run("server", "status", "--json").stdout)["url"] == url
        assert url in run("server", "status").stdout
    finally:
        assert run("server", "stop").stdout == "stopped\n"
    assert run("server", "stop").stdout == "it did not run\n"


def test_ctrl_c_is_exit_code_130(run, mlq, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("mlq.client.waiting.Waiting.wait", interrupted)
    result = run("wait", "1")
    assert (result.exit_code, result.output.strip()) == (130, "")


def test_no_command_shows_the_help(run):
    assert "Post jobs to a queue" in run().stderr


def test_a_wait_ends_when_the_job_does(run, worker):
    go = threading.Event()

    def patient(value):
        go.wait(20)
        return "late"

    worker.create_listener(patient)
    job_id = worker.post(1, functions=["patient"])
    threading.Timer(0.2, go.set).start()
    assert run("wait", job_id).stdout == "late\n"


@pytest.mark.parametrize(
    ("value", "port"),
    [("tcp://10.0.0.7:5001", 5001), ("udp://[fd00::7]:53", 5001), ("", 5001), ("8000", 8000)],
)
def test_kubernetes_variables_for_a_service_of_that_name(monkeypatch, caplog, value, port):
    """A service named mlq-serve sets MLQ_SERVE_PORT in all pods: said, and ignored; a number is a port."""
    monkeypatch.setenv("MLQ_SERVE_PORT", value)
    context = program.commands["serve"].make_context("serve", [], auto_envvar_prefix="MLQ_SERVE")
    assert context.params["port"] == port
    told = [record.message for record in caplog.records]
    assert told == (
        [f"MLQ_SERVE_PORT={value} is the address of a service, not a port: ignored"] if "//" in value else []
    )


def test_a_port_that_is_none_is_refused(monkeypatch, run):
    """As it always was."""
    result = run("serve", env={"MLQ_SERVE_PORT": "http"})
    assert result.exit_code == 2
    assert "port" in result.output


def test_no_other_option_takes_what_kubernetes_sets():
    """A service named like a command sets <NAME>_PORT, _SERVICE_HOST, _SERVICE_PORT, _PORT_<number>_<protocol>..."""

    def variables(command, prefix):
        for option in command.params:
            yield f"{prefix}_{option.name.upper()}", type(option).__name__
        for name, inner in getattr(command, "commands", {}).items():
            yield from variables(inner, f"{prefix}_{name.upper().replace('-', '_')}")

    found = [(name, kind) for name, kind in variables(program, "MLQ") if re.search("_PORT(_|$)|_SERVICE_", name)]
    assert sorted(found) == [("MLQ_SERVE_MODELS_PORT", "Port"), ("MLQ_SERVE_PORT", "Port")]
