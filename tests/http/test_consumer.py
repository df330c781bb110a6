"""POST, DELETE and GET /consumer: what old programs send, and what nobody may."""

import base64
import json
import pickle
import time
from pathlib import Path
from urllib.parse import quote

import cloudpickle
import jsonpickle
import pytest

from mlq.http import trial
from mlq.http.app import make_app
from mlq.http.routes import Role
from mlq.http.settings import Settings
from mlq.uploads import sealed, secret

JSON = "application/json"


@pytest.fixture(autouse=True)
def no_secret(monkeypatch, tmp_path):
    monkeypatch.delenv(secret.VARIABLE, raising=False)
    monkeypatch.setenv("MLQ_HOME", str(tmp_path / "home"))


@pytest.fixture
def client(mlq):
    return make_app(mlq, Settings()).test_client()


def made(source, name="f"):
    """A function that travels by value, as those of a main program do."""
    space = {"__name__": "__main__"}
    exec(source, space)  # noqa: S102 - as a main program is
    return space[name]


def encoded(thing):
    """What the first MLQ's documentation says to send."""
    return jsonpickle.encode(cloudpickle.dumps(thing), keys=True)


def b64(data):
    return json.dumps({"py/b64": base64.b64encode(data).decode()})


DOUBLE = made("def f(value, *args): return value * 2")


def test_an_old_program_uploads_and_removes(client, mlq):
    body = encoded(DOUBLE)
    mlq.create_listener()
    added = client.post("/consumer", data=body, content_type=JSON)
    assert (added.status_code, added.text, added.mimetype) == (200, "True", "text/plain")
    assert mlq.submit(4, functions=["f"]).result(60) == 8
    gone = [client.delete("/consumer", data=body, content_type=JSON) for _ in range(2)]
    assert [(answer.status_code, answer.text) for answer in gone] == [(200, "True"), (200, "False")]
    assert mlq.uploads() == []


def test_json_of_json_is_taken_too(client, mlq):
    assert client.post("/consumer", json=encoded(DOUBLE)).text == "True"
    assert [one["name"] for one in mlq.uploads()] == ["f"]


def test_json_is_answered_where_it_is_asked_for(client):
    headers, code = {"Accept": JSON}, cloudpickle.dumps(DOUBLE)
    added = client.post("/consumer", data=encoded(DOUBLE), content_type=JSON, headers=headers).json
    assert added == {"name": "f", "python": sealed.PYTHON, "fingerprint": sealed.fingerprint(code), "size": len(code)}
    (listed,) = client.get("/consumer", headers=headers).json["uploads"]
    assert abs(listed.pop("uploaded") - time.time()) < 60
    assert listed == added
    assert client.get("/consumer").text.split() == ["f", client.get("/consumer").text.split()[1], added["fingerprint"]]
    gone = client.delete("/consumer", data=encoded(DOUBLE), content_type=JSON, headers=headers).json
    assert gone == {"name": "f", "removed": True}
    assert client.get("/consumer").text == ""


def test_the_newer_one_of_a_name_replaces_the_older(client, mlq):
    for factor in (2, 3):
        source = f"def f(value): return value * {factor}"
        assert client.post("/consumer", data=encoded(made(source)), content_type=JSON).status_code == 200
    assert len(mlq.uploads()) == 1
    mlq.create_listener()
    assert mlq.submit(4, functions=["f"]).result(60) == 12


def test_coroutines_can_be_uploaded(client, mlq):
    mlq.create_listener()
    function = made("async def f(value): return value + 1")
    assert client.post("/consumer", data=encoded(function), content_type=JSON).status_code == 200
    assert mlq.submit(4, functions=["f"]).result(60) == 5


REDUCE = json.dumps({"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["touch {path}"]}]})


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"null", b"7", b"[]", b"{}", b'""', b'"{"', b"NaN",
        b'{"py/b64": 7}', b'{"py/b64": null}', b'{"py/b64": ["gAWV"]}', b'{"py/b64": ""}',
        b'{"py/b64": "gAWV", "py/object": "os.system"}', b'{"py/object": "__main__.f"}',
        b'{"py/repr": "os/os.getpid()"}',
        b'{"py/b64": "gAW"}', b'{"py/b64": "gA WV"}', b'{"py/b64": "gAWV\\n"}', b'{"py/b64": "gAW!"}',
        b'{"py/b64": "gAX="}', b'{"py/b64": "gAWV===="}', b'{"py/b64": "\\u00e9\\u00e9"}', b'{"py/b85": "gAWV"}',
        json.dumps(json.dumps(encoded(DOUBLE))).encode(), REDUCE.encode(),
    ],
)  # fmt: skip
def test_what_is_not_the_jsonpickle_of_bytes_is_refused_untried(client, mlq, monkeypatch, body):
    monkeypatch.setattr(trial, "name_in", lambda _: pytest.fail("it was tried"))
    for method in (client.post, client.delete):
        answer = method("/consumer", data=body, content_type=JSON)
        assert answer.status_code == 400, answer.text
        assert answer.text
    assert mlq.uploads() == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None])
def test_another_content_type_is_refused(client, kind):
    assert client.post("/consumer", data=encoded(DOUBLE), content_type=kind).status_code == 415


def test_a_large_one_is_refused_unread(client, mlq):
    size = sealed.LIMIT + 3 * 1024
    assert client.post("/consumer", data=b64(bytes(size)), content_type=JSON).status_code == 413
    assert client.post("/consumer", data=b64(bytes(sealed.LIMIT + 1)), content_type=JSON).status_code in (413, 422)
    assert mlq.uploads() == []


@pytest.mark.parametrize("again", [False, True])
def test_one_of_exactly_the_limit_is_taken(client, mlq, again):
    code = cloudpickle.dumps(DOUBLE)
    body = b64(code + bytes(sealed.LIMIT - len(code)))  # nothing reads what stands behind a pickle
    answer = client.post("/consumer", data=json.dumps(body) if again else body, content_type=JSON)
    assert (answer.status_code, answer.text) == (200, "True")
    assert [one["size"] for one in mlq.uploads()] == [sealed.LIMIT]


class Loads:
    """Does something when it is loaded."""

    def __init__(self, function, *arguments):
        self.does = function, arguments

    def __reduce__(self):
        return self.does


class Callable:
    def __call__(self, value):
        return value


def named(name):
    function = made("def f(value): return value")
    function.__name__ = name
    return function


CASES = {
    "not a pickle": (b"junk", "can't be loaded"),
    "a value": (pickle.dumps({"a": 1}), "type dict"),
    "a class": (cloudpickle.dumps(made("class f: pass")), "a class"),
    "a callable": (cloudpickle.dumps(made("class F:\n  def __call__(self, value): pass\nf = F()")), "type F"),
    "a builtin": (pickle.dumps(print), "type builtin_function_or_method"),
    "a lambda": (cloudpickle.dumps(made("f = lambda value: value")), "lambda"),
    "a name with a comma": (cloudpickle.dumps(named("a,b")), "commas"),
    "no name": (cloudpickle.dumps(named("")), "names"),
    "a long name": (cloudpickle.dumps(named("x" * 1000)), "1000 bytes"),
    "raises": (pickle.dumps(Loads(exec, "raise ZeroDivisionError('in the pickle')")), "in the pickle"),
    "is interrupted": (pickle.dumps(Loads(exec, "raise KeyboardInterrupt")), "KeyboardInterrupt"),
    "exits": (pickle.dumps(Loads(exec, "import sys; sys.exit(0)")), "SystemExit"),
    "ends the process": (pickle.dumps(Loads(exec, "import os; os._exit(0)")), "exited with code 0"),
    "crashes": (pickle.dumps(Loads(exec, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")), "SIGSEGV"),
    "prints a name": (pickle.dumps(Loads(exec, 'print(\'{"name": "f"}\', flush=True)')), "NoneType"),
    "a missing module": (b"cno_such_module\nf\n.", "no_such_module"),
    "takes memory": (pickle.dumps(Loads(exec, "x = bytearray(3 << 30)")), "MemoryError"),
}


@pytest.mark.parametrize("case", CASES)
def test_code_that_is_no_named_function_is_refused(client, mlq, case):
    code, why = CASES[case]
    answer = client.post("/consumer", data=b64(code), content_type=JSON)
    assert answer.status_code == 422, answer.text
    assert why in answer.text
    assert mlq.uploads() == []
    assert client.get("/healthz").status_code in (200, 404)


def test_the_trial_sees_none_of_the_servers_secrets(client, monkeypatch, tmp_path):
    monkeypatch.setenv(secret.VARIABLE, "a secret of the deployment")
    monkeypatch.setenv("MLQ_SERVE_TOKENS", "admin 0123456789abcdef")
    seen = tmp_path / "seen"
    source = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)) + os.getcwd())"
    client.post("/consumer", data=b64(pickle.dumps(Loads(exec, source))), content_type=JSON)
    told = seen.read_text()
    assert not [word for word in ("secret", "MLQ_", "admin", f"{Path.cwd()}'") if word in told]


def test_without_a_secret_only_this_machine_may_upload(mlq, monkeypatch, tmp_path):
    settings = Settings(tokens=((b"0123456789abcdef", Role.ADMIN),), is_local=False)
    ask = {"data": encoded(DOUBLE), "content_type": JSON, "headers": {"Authorization": "Bearer 0123456789abcdef"}}
    client = make_app(mlq, settings).test_client()
    for method in (client.post, client.delete):
        answer = method("/consumer", **ask)
        assert answer.status_code == 403
        assert secret.VARIABLE in answer.text
    monkeypatch.setenv(secret.VARIABLE, "too short")
    assert client.post("/consumer", **ask).status_code == 403
    monkeypatch.setenv(secret.VARIABLE, "a secret of 16 characters or more")
    assert client.post("/consumer", **ask).status_code == 200
    assert not (tmp_path / "home").exists()


def test_only_admins_may_upload_and_readers_may_list(mlq):
    tokens = {role: f"0123456789abcde{role}" for role in (Role.READ, Role.POST, Role.ADMIN)}
    settings = Settings(tokens=tuple((text.encode(), role) for role, text in tokens.items()))
    client = make_app(mlq, settings).test_client()
    for role, text in tokens.items():
        headers = {"Authorization": f"Bearer {text}"}
        answers = [client.post("/consumer", data=encoded(DOUBLE), content_type=JSON, headers=headers),
                   client.delete("/consumer", data=encoded(DOUBLE), content_type=JSON, headers=headers)]  # fmt: skip
        assert {answer.status_code for answer in answers} == {200 if role is Role.ADMIN else 403}
        assert client.get("/consumer", headers=headers).status_code == 200
    assert client.get("/consumer").status_code == 401


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example:5001"}, {"Origin": "null"}]
)
def test_a_web_page_can_t_upload(client, mlq, headers):
    answer = client.post("/consumer", data=encoded(DOUBLE), content_type=JSON, headers=headers)
    assert answer.status_code in (403, 421)
    assert mlq.uploads() == []


def test_names_are_shown_as_they_are(client, mlq):
    name = "é <b> " + quote("/")
    assert client.post("/consumer", data=encoded(named(name)), content_type=JSON).status_code == 200
    assert [one["name"] for one in mlq.uploads()] == [name]
    assert client.get("/consumer").text.startswith(name)
    assert client.get("/consumer").mimetype == "text/plain"
