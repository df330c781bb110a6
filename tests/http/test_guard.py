"""Who may use the service: tokens and roles, rates, hosts, foreign web pages, and where it may be served at all."""

import pytest
from click.testing import CliRunner

from controller import app as controller
from mlq import InputError
from mlq.cli.program import program
from mlq.http.app import make_app
from mlq.http.routes import Role
from mlq.http.settings import TOKENS, Settings, settings_for
from tests.http.tokens import GIVEN, bearer

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is refused
PAGE = "https://app.example.com"


@pytest.fixture
def guarded(mlq):
    return make_app(mlq, Settings(GIVEN)).test_client()


# --- names and web pages, without tokens


@pytest.mark.parametrize("host", ["localhost", "localhost:5001", "127.0.0.1:1", "[::1]:5001", "LOCALHOST"])
def test_a_loopback_name_is_served(client, host):
    assert client.get("/jobs/count", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:5001", "localhost.evil.example", "127.0.0.1.evil.example", "localhost@evil.example",
     "[", "[::1", "[localhost]", "a b", "127.0.0.1.", EVERYWHERE, "evil.example#localhost", "x" * 5000, "\xff"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_name_that_was_pointed_here_is_refused(mlq, client, host, method):
    given = client.open("/jobs", method=method, json={"msg": 1}, headers={"Host": host})
    assert given.status_code == 403
    assert len(given.text) < 300
    assert mlq.last_id() == 0


def test_the_forwarded_host_is_not_believed_without_a_proxy(mlq, client):
    headers = {"Host": "evil.example", "X-Forwarded-Host": "localhost", "X-Forwarded-For": "127.0.0.1"}
    assert client.get("/jobs/count", headers=headers).status_code == 403
    behind = make_app(mlq, Settings(proxies=1)).test_client()
    assert behind.get("/jobs/count", headers={"X-Forwarded-Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("called", "forwarded", "status"),
    [
        ("app.example", "app.example", 200),
        ("app.example", None, 200),
        ("localhost", "app.example", 200),
        (
            "evil.example",
            "localhost",
            403,
        ),  # a page of evil.example may say so, and nginx passes it on if nobody tells it
        ("evil.example", None, 403),
        ("app.example", "evil.example", 403),
        ("app.example", "app.example, evil.example", 403),
        ("evil.example", "evil.example, app.example", 403),
    ],
)
def test_a_forwarded_host_stands_beside_the_host_and_not_in_its_place(mlq, called, forwarded, status):
    behind = make_app(mlq, Settings(proxies=1, hosts=("localhost", "app.example"))).test_client()
    headers = {"Host": called} | ({"X-Forwarded-Host": forwarded} if forwarded else {})
    assert behind.get("/jobs/count", headers=headers).status_code == status


def test_another_name_can_be_allowed(mlq):
    client = make_app(mlq, Settings(hosts=("gpu-box",))).test_client()
    assert client.get("/jobs/count", headers={"Host": "gpu-box:5001"}).status_code == 200
    assert client.get("/jobs/count").status_code == 403


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:8888", "http://[", "file://", "http://localhost.evil.example",
     "http://localhost@evil.example", "\xff", "http://127.0.0.1"],
)  # fmt: skip
def test_a_foreign_page_changes_nothing(mlq, client, origin):
    job_id = mlq.post(1)
    for method, path in (("POST", "/jobs"), ("DELETE", f"/jobs/{job_id}"), ("POST", f"/jobs/{job_id}/cancel")):
        given = client.open(path, method=method, json={"msg": 1}, headers={"Origin": origin})
        assert given.status_code == 403
        assert "Access-Control-Allow-Origin" not in given.headers
    assert mlq.last_id() == 1
    assert mlq.job_count() == 1


def test_a_page_of_our_own_may(client):
    headers = {"Host": "localhost:5001", "Origin": "http://localhost:5001"}
    assert client.post("/jobs", json={"msg": 1}, headers=headers).status_code == 200


def test_a_foreign_page_can_not_read_the_answer(client):
    given = client.get("/jobs/count", headers={"Origin": PAGE})
    assert not [name for name, _ in given.headers if name.startswith("Access-Control")]


def test_a_form_of_a_foreign_page_posts_nothing_with_a_token_either(mlq, guarded):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert guarded.post("/jobs", data=b'{"msg": 1}', content_type=kind).status_code == 401
    assert mlq.last_id() == 0


# --- CORS


@pytest.mark.parametrize("tokens", [(), GIVEN])
def test_an_allowed_page_may(mlq, tokens):
    client = make_app(mlq, Settings(tokens, origins=(PAGE,))).test_client()
    ask = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    before = client.options("/jobs", headers=ask)
    assert (before.status_code, before.headers["Access-Control-Allow-Origin"]) == (204, PAGE)
    assert {"GET", "POST", "PUT", "DELETE"} == set(before.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = before.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key", "last-event-id", "prefer", "range"} <= set(allowed)
    assert int(before.headers["Access-Control-Max-Age"]) > 0
    given = client.post("/jobs", json={"msg": 1}, headers={"Origin": PAGE} | (bearer(Role.POST) if tokens else {}))
    assert (given.status_code, given.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
    assert "Location" in given.headers["Access-Control-Expose-Headers"].split(", ")
    assert "Origin" in given.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in given.headers


def test_another_page_may_not(mlq):
    client = make_app(mlq, Settings(origins=(PAGE,))).test_client()
    for origin in (PAGE + ".evil.example", PAGE.replace("https", "http"), PAGE + ":8443", PAGE.upper()):
        ask = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert not [name for name, _ in client.options("/jobs", headers=ask).headers if name.startswith("Access")]
        assert client.post("/jobs", json={"msg": 1}, headers={"Origin": origin}).status_code == 403


def test_a_refusal_can_be_read_by_an_allowed_page(mlq):
    client = make_app(mlq, Settings(GIVEN, origins=(PAGE,))).test_client()
    given = client.get("/jobs", headers={"Origin": PAGE})
    assert (given.status_code, given.headers["Access-Control-Allow-Origin"]) == (401, PAGE)


# --- where it may be served


@pytest.mark.parametrize("address", [EVERYWHERE, "::", "203.0.113.1", "", "example.com"])
def test_the_network_needs_tokens(address):
    with pytest.raises(InputError, match="--token-file"):
        settings_for(address, ())
    assert settings_for(address, GIVEN).is_local is False


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_needs_none(address):
    assert settings_for(address, ()).is_local


@pytest.mark.parametrize("address", ["127.0.0.2", "127.1.2.3"])
def test_the_address_that_is_served_is_a_name_of_it(mlq, address):
    client = make_app(mlq, settings_for(address, ())).test_client()
    assert client.get("/jobs/count", headers={"Host": f"{address}:5001"}).status_code == 200


def test_a_name_that_only_begins_like_loopback_is_not():
    with pytest.raises(InputError):
        settings_for("127.evil.example", ())


def test_the_command_refuses_the_network_without_tokens(monkeypatch):
    monkeypatch.delenv(TOKENS, raising=False)
    done = CliRunner().invoke(program, ["serve", "--address", EVERYWHERE, "--port", "0"])
    assert done.exit_code == 2
    assert "set tokens with --token-file" in done.stderr
    assert controller.run(["--server", "--server_address", EVERYWHERE, "--server_port", "0"]) == 2


@pytest.mark.parametrize(
    "origin",
    ["app.example", "https://app.example/", "https://app.example/page", "ftp://app.example", "https://", "null", "",
     "https://app.example:", "https://app.example:443", "http://app.example:80", "https://app.example:x",
     "https://*.example", "https://me@app.example", "https://a b", "https://app.example?x", "http://[1]", "https://ä.de"],
)  # fmt: skip
def test_an_origin_that_no_browser_sends_is_refused(origin):
    with pytest.raises(InputError, match="--cors"):
        settings_for("127.0.0.1", (), origins=(PAGE, origin))


@pytest.mark.parametrize(
    "origin", ["*", PAGE, "http://localhost:3000", "http://[::1]:8000", "http://10.0.0.1", "HTTPS://App.Example.com"]
)
def test_an_origin_of_a_browser_is_taken_as_it_sends_it(origin):
    assert settings_for("127.0.0.1", (), origins=(origin,)).origins == (origin.lower(),)


@pytest.mark.parametrize(
    "name", ["http://gpu-box", "gpu-box/", "gpu-box:5001", "a b", "", "*", "gpu-box]", "gpu-box.", "ä"]
)
def test_a_host_name_with_more_than_the_name_is_refused(name):
    with pytest.raises(InputError, match="--host-name"):
        settings_for("127.0.0.1", (), hosts=("localhost", name))


def test_a_host_name_may_be_written_in_capitals(mlq):
    client = make_app(mlq, settings_for("127.0.0.1", (), hosts=("GPU-Box", "FE80::1", "[::1]"))).test_client()
    for host in ("gpu-box:5001", "GPU-BOX", "[fe80::1]:5001", "[::1]"):
        assert client.get("/jobs/count", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(("option", "given"), [("--cors", "https://app.example/x"), ("--host-name", "http://gpu-box")])
def test_the_command_says_which_setting_is_wrong(monkeypatch, option, given):
    monkeypatch.delenv(TOKENS, raising=False)
    done = CliRunner().invoke(program, ["serve", "--port", "0", option, given])
    assert done.exit_code == 2
    assert option in done.stderr
    assert given in done.stderr


def test_any_page_may_where_all_are_allowed(mlq):
    client = make_app(mlq, Settings(origins=("*",))).test_client()
    given = client.post("/jobs", json={"msg": 1}, headers={"Origin": "https://any.example"})
    assert (given.status_code, given.headers["Access-Control-Allow-Origin"]) == (200, "https://any.example")
