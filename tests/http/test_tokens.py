"""Tokens: their roles, how often they may be used, and where they come from."""

import os
import re
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from mlq import InputError
from mlq.cli.program import program
from mlq.http import guard
from mlq.http.app import MODULES, make_app
from mlq.http.routes import Role
from mlq.http.settings import TOKENS, Settings, read_tokens
from tests.http.tokens import GIVEN, NAMES, bearer


@pytest.fixture
def guarded(mlq):
    return make_app(mlq, Settings(GIVEN)).test_client()


def all_routes(mlq):
    return [route for module in MODULES for route in module.routes(mlq, Settings())]


# --- tokens


def test_each_route_asks_for_its_role(mlq, guarded):
    routes = all_routes(mlq)
    assert {route.role for route in routes} == {Role.NOBODY, Role.READ, Role.POST, Role.ADMIN}
    for route in routes:
        path = re.sub(r"<\w+>", "1", route.path)
        assert (guarded.open(path, method=route.method).status_code == 401) == (route.role > Role.NOBODY), route.path
        for role in NAMES:
            given = guarded.open(path, method=route.method, headers=bearer(role))
            assert (given.status_code == 403) == (role < route.role), (route.method, path, role)
            assert given.status_code != 401


def test_what_changes_something_is_not_for_readers(mlq):
    for route in all_routes(mlq):
        assert route.method == "GET" or route.role >= Role.POST
        assert not route.path.startswith("/consumer") or route.method == "GET" or route.role is Role.ADMIN


def test_whoever_watches_needs_no_token(guarded):
    for path in ("/healthz", "/openapi.json", "/docs"):
        assert guarded.get(path).status_code == 200
    assert guarded.get("/readyz").status_code == 503


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer " + "x" * 16},
        {"Authorization": "Bearer " + "a" * 15},
        {"Authorization": "Bearer " + "a" * 17},
        {"Authorization": "Bearer " + "A" * 16},
        {"Authorization": "Basic " + "a" * 16},
        {"Authorization": "a" * 16},
        {"Authorization": "Bearer ÿ" + "a" * 16},
        {"Authorization": "Bearer " + "a" * 16 + ", Bearer " + "r" * 16},
        {"X-API-Key": ""},
        {"X-API-Key": "x" * 16},
        {"Cookie": "token=" + "a" * 16},
    ],
)
def test_a_wrong_token_is_401(mlq, guarded, headers):
    given = guarded.post("/jobs", json={"msg": 1}, headers=headers)
    assert (given.status_code, given.headers["WWW-Authenticate"]) == (401, 'Bearer realm="mlq"')
    assert "aaaa" not in given.text
    assert mlq.last_id() == 0


def test_a_token_comes_in_either_header(guarded):
    for headers in (bearer(Role.POST), {"Authorization": "bearer  " + "p" * 16}, {"X-API-Key": "p" * 16}):
        assert guarded.post("/jobs", json={"msg": 1}, headers=headers).status_code == 200
    assert guarded.get(f"/jobs/count?token={'p' * 16}").status_code == 401


def test_a_token_that_is_not_ascii_works(mlq):
    secret = "schlüssel" * 2
    client = make_app(mlq, Settings(((secret.encode(), Role.READ),))).test_client()
    given = client.get("/jobs/count", headers={"X-API-Key": secret.encode().decode("latin-1")})
    assert given.status_code == 200


def test_a_refused_role_is_told_what_it_lacks(guarded):
    given = guarded.post("/jobs", json={"msg": 1}, headers=bearer(Role.READ) | {"Accept": "application/json"})
    assert (given.status_code, given.content_type) == (403, "application/problem+json")
    assert given.json["detail"] == "this token has the role read; post is required"


def test_unknown_paths_and_methods_tell_nothing_more_without_a_token(guarded):
    assert guarded.get("/nothing").status_code == 404
    assert guarded.put("/jobs").status_code == 405
    assert guarded.options("/jobs").status_code in {200, 401}
    assert guarded.head("/jobs").status_code == 401


# --- rates


def test_too_many_requests_with_one_token_are_429(mlq, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(guard.time, "monotonic", lambda: now[0])
    client = make_app(mlq, Settings(GIVEN, rate=2.0)).test_client()

    def burst(role):
        return [client.get("/jobs/count", headers=bearer(role)) for _ in range(6)]

    given = burst(Role.READ)
    assert [one.status_code for one in given] == [200] * 4 + [429] * 2
    assert int(given[-1].headers["Retry-After"]) == 1
    assert [one.status_code for one in burst(Role.POST)] == [200] * 4 + [429] * 2  # each has its own
    assert client.get("/healthz").status_code == 200
    now[0] += 1
    assert [one.status_code for one in burst(Role.READ)] == [200] * 2 + [429] * 4


def test_a_rate_below_one_lets_one_through(mlq):
    client = make_app(mlq, Settings(GIVEN, rate=0.01)).test_client()
    given = [client.get("/jobs/count", headers=bearer(Role.READ)) for _ in range(2)]
    assert [one.status_code for one in given] == [200, 429]
    assert 90 <= int(given[1].headers["Retry-After"]) <= 101


# --- token files


def test_tokens_come_from_a_file_and_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "tokens"
    file.write_text(f"# who\n\nread {'r' * 16}\n  admin   {'a' * 16}  \r\n")
    file.chmod(0o600)
    monkeypatch.setenv(TOKENS, f"post {'p' * 16},, ")
    assert set(read_tokens(str(file))) == set(GIVEN)
    monkeypatch.delenv(TOKENS)
    assert read_tokens(None) == ()


@pytest.mark.parametrize(
    "line", ["admin", "a" * 32, f"root {'a' * 16}", "admin short", f"admin {'a' * 16} more", f"ADMIN {'a' * 16}"]
)
def test_a_bad_token_is_refused_without_telling_it(tmp_path, monkeypatch, line):
    monkeypatch.delenv(TOKENS, raising=False)
    file = tmp_path / "tokens"
    file.write_text(line)
    file.chmod(0o600)
    with pytest.raises(InputError) as caught:
        read_tokens(str(file))
    assert "aaaa" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"foo {'a' * 16}", "the first word 'foo' is not a role: write read, post, admin, and then the token"),
        ("foo bar", "the first word 'foo' is not a role: write read, post, admin, and then the token"),
        (f"{'a' * 16} admin", "the first word is not a role: write read, post, admin, and then the token"),
        ("secret admin", "the first word is not a role: write read, post, admin, and then the token"),
        ("a" * 32, "write a role (read, post, admin) and the token, two words, not 1"),
        (
            f"post {'a' * 16} more",
            "write a role (read, post, admin) and the token, two words, not 3",
        ),
    ],
)
def test_a_bad_token_is_refused_with_its_place_and_what_is_wrong(tmp_path, monkeypatch, line, why):
    monkeypatch.delenv(TOKENS, raising=False)
    file = tmp_path / "tokens"
    file.write_text(f"# who\n\nread {'r' * 16}\n{line}\n")
    file.chmod(0o600)
    with pytest.raises(InputError) as caught:
        read_tokens(str(file))
    assert str(caught.value) == f"{file}, line 4: {why}"
    monkeypatch.setenv(TOKENS, f"read {'r' * 16},{line}")
    with pytest.raises(InputError) as caught:
        read_tokens(None)
    assert str(caught.value) == f"{TOKENS}, entry 2: {why}"


def test_a_file_that_can_not_be_read_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKENS, raising=False)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "binary").chmod(0o600)
    for path in (tmp_path / "none", tmp_path, tmp_path / "binary"):
        with pytest.raises(InputError, match=re.escape(str(path))):
            read_tokens(str(path))
        done = CliRunner().invoke(program, ["serve", "--port", "0", "--token-file", str(path)])
        assert done.exit_code == 2


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o666, 0o620, 0o602])
def test_a_file_that_others_can_read_or_change_is_refused(tmp_path, monkeypatch, mode):
    monkeypatch.delenv(TOKENS, raising=False)
    file = tmp_path / "tokens"
    file.write_text(f"admin {'a' * 16}")
    file.chmod(mode)
    with pytest.raises(InputError, match="chmod 600"):
        read_tokens(str(file))
    monkeypatch.setattr(os, "fstatvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))  # as Kubernetes mounts secrets
    assert len(read_tokens(str(file))) == 1


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_file_of_user_and_group_is_taken(tmp_path, monkeypatch, mode):
    monkeypatch.delenv(TOKENS, raising=False)
    file = tmp_path / "tokens"
    file.write_text(f"admin {'a' * 16}")
    file.chmod(mode)
    assert len(read_tokens(str(file))) == 1


def test_tokens_may_come_through_a_pipe(monkeypatch):
    """`--token-file <(pass show tokens)`."""
    monkeypatch.delenv(TOKENS, raising=False)
    reading, writing = os.pipe()
    os.write(writing, b"admin " + b"a" * 16)
    os.close(writing)
    assert len(read_tokens(f"/dev/fd/{reading}")) == 1
    os.close(reading)


def test_settings_show_no_token():
    assert "aaaa" not in repr(Settings(GIVEN))


def test_a_file_without_tokens_is_not_taken_for_no_tokens(tmp_path, monkeypatch):
    monkeypatch.delenv(TOKENS, raising=False)
    file = tmp_path / "tokens"
    file.write_text("# none yet\n")
    file.chmod(0o600)
    with pytest.raises(InputError, match="no token"):
        read_tokens(str(file))


def test_comparing_takes_all_tokens_in_turn(mlq):
    """The time of a refusal does not tell how near a guess is; here only that each guess is compared with all."""
    many = tuple((f"{n:016}".encode(), Role.READ) for n in range(500))
    client = make_app(mlq, Settings(many)).test_client()
    began = time.monotonic()
    assert client.get("/jobs/count", headers={"X-API-Key": f"{499:016}"}).status_code == 200
    assert client.get("/jobs/count", headers={"X-API-Key": f"{500:016}"}).status_code == 401
    assert time.monotonic() - began < 5
