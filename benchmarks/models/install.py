"""Makes the environments of the peers, and says which of them are there."""

import shutil
import subprocess
from pathlib import Path

from benchmarks.models.peers import SERVICES, environment_of
from benchmarks.peers import ENVIRONMENTS
from benchmarks.peers.environments import make_environment, python_of


def install() -> None:
    """The latest versions. Of a peer that can't be installed, only the reason stays."""
    for name, each in SERVICES.items():
        if each.requirements:
            _failure_of(name).unlink(missing_ok=True)
            try:
                make_environment(environment_of(name), each.requirements)
            except subprocess.CalledProcessError as error:
                _failure_of(name).write_text(_reason(name, each.requirements) or str(error))
                shutil.rmtree(ENVIRONMENTS / environment_of(name))


def lacking(name: str) -> str:
    """Why a service can't be measured; nothing if it can."""
    if name == "mlq" or python_of(environment_of(name)).exists():
        return ""
    failure = _failure_of(name)
    return failure.read_text() if failure.exists() else "python -m benchmarks.models install has not been run"


def _failure_of(name: str) -> Path:
    return ENVIRONMENTS / f"{environment_of(name)}.failed"


def _reason(name: str, requirements: tuple[str, ...]) -> str:
    """What pip says at the end, asked once more."""
    command = [str(python_of(environment_of(name))), "-m", "pip", "install", "--quiet", "--no-color", *requirements]
    told = subprocess.run(command, check=False, capture_output=True, text=True).stderr.strip().splitlines()
    return told[-1] if told else ""
