"""Batches of OpenAI's chat completions, for models that say that they chat."""

import json

import pytest

from mlq import InputError
from mlq.http.app import make_app
from mlq.http.settings import Settings
from mlq.models.declaration import declaration_of
from tests.http.openai_files import lines
from tests.http.test_batches import begun, described, ended, read
from tests.programs import until

CHAT = "/v1/chat/completions"


class Echo:
    """Says again what the user said last."""

    name, version, chat = "echo", "1", True
    Input, Output = dict, dict

    def predict(self, request: dict) -> dict:
        said = request["messages"][-1]["content"]
        message = {"role": "assistant", "content": said}
        return {"object": "chat.completion", "model": "echo", "choices": [{"index": 0, "message": message}]}


class Silent(Echo):
    name, chat = "silent", False


@pytest.fixture
def client(mlq, tmp_path, monkeypatch):
    monkeypatch.setenv("MLQ_FILES", str(tmp_path))
    return make_app(mlq, Settings(files=str(tmp_path))).test_client()


def chat(*models):
    return lines("", [{"model": name, "messages": [{"role": "user", "content": f"hi {name}"}]} for name in models],
                 url=CHAT)  # fmt: skip


def test_the_model_is_the_one_that_the_requests_name(client, mlq):
    """A request for another one fails by itself."""
    mlq.add_model(Echo)
    mlq.create_listener()
    until(lambda: [one for one in mlq.models() if one.unserved is None])
    batch = ended(client, begun(client, chat("echo", "echo@1", "other"), CHAT).json)
    assert (batch["status"], batch["model"], batch["endpoint"]) == ("completed", "echo@1", CHAT)
    said = [
        one["response"]["body"]["choices"][0]["message"]["content"] for one in read(client, batch["output_file_id"])
    ]
    assert said == ["hi echo", "hi echo@1"]
    (wrong,) = read(client, batch["error_file_id"])
    assert (wrong["custom_id"], wrong["error"]["code"]) == ("r2", "model_not_found")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (chat("nobody"), "hosted a model 'nobody'"), (chat("echo@9"), "no version '9'"),
        (chat("silent"), "model silent does not chat"), (chat("../x"), "must be 1 to 64 letters"),
        (b"no json", "names no model"), (b"", "names no model"), (b"[]", "names no model"),
        (json.dumps({"body": {"model": 3}}).encode(), "names no model"),
    ],
)  # fmt: skip
def test_batches_that_are_not_begun(client, mlq, content, words):
    for kind in (Echo, Silent):
        mlq._models.add_own(described(kind))
    answer = begun(client, content, CHAT)
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "input_file_id")
    assert words in answer.json["error"]["message"]
    assert mlq.job_count() == 0


def test_a_model_says_whether_it_chats():
    assert declaration_of(Echo, "x").info.chat is True
    with pytest.raises(InputError, match="its chat must be True or False, not 'yes'"):
        declaration_of(type("Odd", (Echo,), {"chat": "yes"}), "x")
