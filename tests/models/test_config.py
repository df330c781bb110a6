"""models.toml: what it may say, what is refused when it is read, and which environment counts."""

import pytest

from mlq import InputError
from mlq.models.config import environment, read


@pytest.fixture
def write(tmp_path):
    """Writes a file, and returns its path."""

    def write(text):
        path = tmp_path / "models.toml"
        path.write_text(text)
        return path

    return write


GOOD = """
[[models]]
class = "iris_model:Iris"
batch = 16

[[models]]
class = "deep.spam_model:Outer.Spam"
environments = ["prod", "test"]
"""


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, ["Iris"]),
        ({"MLQ_ENV": "prod"}, ["Iris", "Outer.Spam"]),
        ({"MLQ_ENV": "test", "APP_SETTINGS": "Nonsense"}, ["Iris", "Outer.Spam"]),
        ({"APP_SETTINGS": "ProdConfig"}, ["Iris", "Outer.Spam"]),
    ],
)
def test_the_environment_chooses_models(write, variables, names):
    found = read(write(GOOD), variables)
    assert [entry.qualified_name for entry in found] == names
    assert (found[0].module, found[0].options) == ("iris_model", {"batch": 16})


def test_an_unknown_environment_is_refused_with_the_known_ones(write):
    with pytest.raises(InputError, match=r"no environment 'prdo' \(did you mean 'prod'\?\); it knows prod, test"):
        read(write(GOOD), {"MLQ_ENV": "prdo"})


def test_a_file_without_environments_is_for_all(write):
    path = write('[[models]]\nclass = "a:B"\n')
    assert len(read(path, {"MLQ_ENV": "prod"})) == len(read(path, {})) == 1


@pytest.mark.parametrize(
    ("variables", "chosen"),
    [
        ({}, None),
        ({"MLQ_ENV": ""}, None),
        ({"MLQ_ENV": "Prod"}, "Prod"),
        ({"APP_SETTINGS": "LocalConfig"}, "local"),
        ({"APP_SETTINGS": "Config"}, None),
    ],
)
def test_environments(variables, chosen):
    assert environment(variables) == chosen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no models"),
        ("models = []", "names no models"),
        ("models = [1]", "names no models"),
        ('[models]\nclass = "a:B"', "names no models"),
        ("model = 1\n[[models]]\nclass = 'a:B'", "'model' is not known"),
        ("[[models]]\nbatch = 2", 'class = "module:Class", not None'),
        ("[[models]]\nclass = 5", "not 5"),
        ("[[models]]\nclass = 'a'", "not 'a'"),
        ("[[models]]\nclass = 'a b:C'", "not 'a b:C'"),
        ("[[models]]\nclass = ':C'", "not ':C'"),
        ("[[models]]\nclass = 'a:B'\nbatchs = 2", r"option 'batchs'.*did you mean 'batch'"),
        ("[[models]]\nclass = 'a:B'\nenvironments = 'prod'", "environments must be a list"),
        ("[[models]]\nclass = 'a:B'\nenvironments = [1]", "environments must be a list"),
        ("[[models]]\nclass = 'a:B'\nenvironments = ['x']", "no models for the environment None"),
        ("[[models", "can't be read"),
    ],
)
def test_what_is_refused(write, text, words):
    with pytest.raises(InputError, match=words) as refused:
        read(write(text), {})
    assert "models.toml" in str(refused.value)


def test_files_that_can_not_be_read(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="can't be read"):
        read(tmp_path / "binary.toml", {})
    with pytest.raises(InputError, match="there is no file"):
        read(tmp_path / "none.toml", {})
