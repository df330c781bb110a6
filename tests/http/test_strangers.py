"""Callbacks and webhooks of those whom a token lets in go to public addresses alone, unless somebody says otherwise."""

import time

import pytest

from mlq.deliveries.allowed import SETTING
from mlq.http.app import make_app
from mlq.http.settings import Settings
from tests.http.tokens import GIVEN, Role, bearer
from tests.worker.receiver import Receiver


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    monkeypatch.delenv(SETTING, raising=False)
    monkeypatch.setenv("MLQ_WEBHOOK_SECRETS", "whsec_" + "A" * 32)


@pytest.fixture
def receiver():
    """A service of this machine that wants no token, as many do."""
    made = Receiver(lambda got: (got.method, got.path))
    yield made
    made.close()


@pytest.fixture
def client(mlq):
    """Of somebody who has a token."""
    made = make_app(mlq, Settings(tokens=GIVEN)).test_client()
    made.environ_base["HTTP_AUTHORIZATION"] = bearer(Role.POST)["Authorization"]
    return made


def tries(mlq, job_id, count):
    """What became of so many tries, by kind."""
    give_up = time.monotonic() + 20
    while len(found := mlq.get_job(job_id)["deliveries"]) < count:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return {one["kind"]: one["error"] for one in found}


def posted(client, path="/jobs", **body):
    return client.post(path, json=body, headers={"Accept": "application/json"})


@pytest.mark.parametrize("path", ["/jobs", "/jobs/bulk"])
def test_of_a_job_that_came_with_a_token(mlq, client, receiver, path):
    urls = {"callback": receiver.url + "?a=1", "webhook": receiver.url}
    answer = posted(client, path, **urls, **({"msg": 1} if path == "/jobs" else {"msgs": [1]})).json
    job_id = answer["id"] if path == "/jobs" else answer["ids"][0]
    assert {name: mlq.get_job(job_id)[name] for name in urls} == urls
    mlq.create_listener(lambda msg: msg)
    for why in tries(mlq, job_id, 2).values():
        assert f"127.0.0.1 is refused as a target by {SETTING}=public" in why
    mlq.redeliver(job_id)
    assert "refused" in tries(mlq, job_id, 3)["webhook"]
    assert receiver.got == []


def test_of_one_that_is_cancelled(mlq, client, receiver):
    job_id = posted(client, msg=1, functions=["none"], callback=receiver.url).json["id"]
    mlq.cancel(job_id)
    mlq.create_listener(lambda msg: msg)
    assert "refused" in tries(mlq, job_id, 1)["callback"]
    assert receiver.got == []


def test_programs_of_ours_may_call_this_machine(mlq, receiver):
    """The same worker, with the same settings."""
    mlq.create_listener(lambda msg: msg)
    job_id = mlq.post(1, callback=receiver.url)
    assert tries(mlq, job_id, 1) == {"callback": None}


@pytest.mark.parametrize("setting", ["public", "hooks.test"])
def test_a_narrower_setting_at_the_service_alone_does_not_open_this_machine(mlq, receiver, monkeypatch, setting):
    monkeypatch.setenv(SETTING, setting)
    client = make_app(mlq, Settings(tokens=GIVEN)).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = bearer(Role.POST)["Authorization"]
    job_id = posted(client, msg=1, callback=receiver.url).json["id"]
    monkeypatch.delenv(SETTING)  # workers are other processes
    mlq.create_listener(lambda msg: msg)
    assert "refused" in tries(mlq, job_id, 1)["callback"]
    assert receiver.got == []


@pytest.mark.parametrize("where", ["service", "worker"])
def test_whoever_sets_it_decides(mlq, receiver, monkeypatch, where):
    """At the workers, which send, it always does; at the service it takes the mark away."""
    setting = {"service": "local", "worker": "127.0.0.1"}[where]
    if where == "service":
        monkeypatch.setenv(SETTING, setting)
    client = make_app(mlq, Settings(tokens=GIVEN)).test_client()
    job_id = client.post("/jobs", json={"msg": 1, "callback": receiver.url}, headers=bearer(Role.POST)).text
    monkeypatch.delenv(SETTING, raising=False)
    if where == "worker":
        monkeypatch.setenv(SETTING, setting)
    mlq.create_listener(lambda msg: msg)
    assert tries(mlq, job_id, 1) == {"callback": None}


def test_without_tokens_the_asker_is_a_program_of_ours(mlq, receiver):
    client = make_app(mlq).test_client()
    job_id = client.post("/jobs", json={"msg": 1, "callback": receiver.url}).text
    mlq.create_listener(lambda msg: msg)
    assert tries(mlq, job_id, 1) == {"callback": None}


@pytest.mark.parametrize("url", ["ftp://x", "nothing", "http://"])
def test_what_is_no_url_is_told_as_it_was_given(client, url):
    answer = posted(client, msg=1, callback=url)
    assert answer.status_code == 400
    assert "mlq-targets" not in answer.text
