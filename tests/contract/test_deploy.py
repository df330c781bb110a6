"""The files in `deploy/` use only what `mlq worker` has."""

import re
from pathlib import Path

import click
import pytest
import yaml

from mlq.cli.serve import serve
from mlq.cli.worker import worker

ROOT = Path(__file__).parents[2]
OTHERS = ("alerts.yml", "grafana.json", "mlq-serve.service", "nginx.conf")  # run no worker
FILES = sorted(path for path in (ROOT / "deploy").iterdir() if path.is_file() and path.name not in OTHERS)
GRACE = re.compile(r"--grace\W+(\d+)")
PATIENCE = re.compile(r"(?:TimeoutStopSec=|stop_grace_period: |terminationGracePeriodSeconds: )(\d+)")
CHOICES = ("--pool", "--log-format")


def command_of(text):
    """The words of all worker commands: every line that is about the worker, without comments."""
    lines = [line.split(" #")[0] for line in text.splitlines() if not line.lstrip().startswith("#")]
    about = [line for line in lines if re.search(r"\bmy_app\.listeners\b|\bworker\b.*--", line)]
    return re.findall(r"[^\s\"',\[\]]+", "\n".join(about))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_options_exist(path):
    """Each option is one of the command's, and a choice among several is one of them."""
    options = {name: option for option in worker.params for name in option.opts if isinstance(option, click.Option)}
    words = command_of(path.read_text("utf-8"))
    used = [word for word in words if word.startswith("--")]
    assert used
    assert not set(used) - set(options)
    for name in CHOICES:
        for place in (i for i, word in enumerate(words) if word == name):
            assert words[place + 1] in options[name].type.choices


@pytest.mark.parametrize("name", ["mlq-worker.service", "compose.yaml", "kubernetes.yaml"])
def test_supervisors_outwait_the_grace(name):
    """Else a worker is killed before it has handed its jobs back."""
    text = (ROOT / "deploy" / name).read_text("utf-8")
    (grace,) = GRACE.findall(text)
    assert int(grace) + 10 <= max(map(int, PATIENCE.findall(text)))


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml"])
def test_yaml(name):
    """They parse."""
    assert yaml.safe_load((ROOT / "deploy" / name).read_text("utf-8"))


@pytest.mark.parametrize("name", ["mlq-serve.service", "nginx.conf", "compose.yaml"])
def test_options_of_the_http_service_exist(name):
    """Each is one of `mlq serve`."""
    known = {name for option in serve.params for name in option.opts}
    lines = [
        line
        for line in (ROOT / "deploy" / name).read_text("utf-8").splitlines()
        if re.search(r"mlq serve|0\.0\.0\.0|--prefix", line)
    ]
    used = {word for line in lines for word in re.findall(r"--[a-z-]+", line)}
    assert used
    assert not used - known


@pytest.mark.parametrize("name", ["mlq-worker.service", "compose.yaml", "kubernetes.yaml", "Dockerfile"])
def test_callbacks_stay_out_of_the_network(name):
    """Workers in production are told where callbacks may go, and the service's strangers can't change it."""
    text = (ROOT / "deploy" / name).read_text("utf-8")
    assert re.search(r"MLQ_CALLBACK_TARGETS\W.*(\n\s+value: )?public", text)
