"""A virtual environment for each peer, so that their requirements never meet."""

import json
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


def versions_of(name: str) -> dict[str, str]:
    """The versions of all packages in a peer's environment."""
    command = [python_of(name), "-m", "benchmarks.peers", "versions"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT)
    return json.loads(answer.stdout)


def version_of(name: str) -> str:
    return versions_of(name)[PEERS[name].requirements[0].partition("[")[0]]
