"""A virtual environment for each peer, so that their requirements never meet."""

import json
import shutil
import subprocess
import venv
from pathlib import Path

from benchmarks.peers import ENVIRONMENTS, PEERS, PROJECT


def python_of(name: str) -> Path:
    """The interpreter that runs a peer."""
    return ENVIRONMENTS / name / "bin" / "python"


def make_environment(name: str, requirements: tuple[str, ...]) -> None:
    """Install the latest versions."""
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENTS / name, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", "--upgrade", "--disable-pip-version-check"]
    subprocess.run([*command, *requirements], check=True)


def make(name: str) -> None:
    """Install a peer's latest version; MLQ's is this one."""
    make_environment(name, (str(PROJECT),) if name == "mlq" else PEERS[name].requirements)
    print(f"{name}: {PEERS[name].requirements[0].partition('[')[0]} {version_of(name)}")


def try_to_make(name: str, requirements: tuple[str, ...]) -> None:
    """Of a peer that can't be installed, only the reason stays."""
    _failure_of(name).unlink(missing_ok=True)
    try:
        make_environment(name, requirements)
    except subprocess.CalledProcessError as error:
        _failure_of(name).write_text(_reason(name, requirements) or str(error))
        shutil.rmtree(ENVIRONMENTS / name)


def lacking(name: str, command: str) -> str:
    """Why a peer can't be measured; nothing if it can. `command` installs it."""
    if python_of(name).exists():
        return ""
    failure = _failure_of(name)
    return failure.read_text() if failure.exists() else f"{command} has not been run"


def _failure_of(name: str) -> Path:
    return ENVIRONMENTS / f"{name}.failed"


def _reason(name: str, requirements: tuple[str, ...]) -> str:
    """What pip says at the end, asked once more."""
    command = [str(python_of(name)), "-m", "pip", "install", "--quiet", "--no-color", *requirements]
    told = subprocess.run(command, check=False, capture_output=True, text=True).stderr.strip().splitlines()
    return told[-1] if told else ""


def versions_of(name: str) -> dict[str, str]:
    """The versions of all packages in a peer's environment."""
    command = [python_of(name), "-m", "benchmarks.peers", "versions"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT)
    return json.loads(answer.stdout)


def version_of(name: str) -> str:
    return versions_of(name)[PEERS[name].requirements[0].partition("[")[0]]
