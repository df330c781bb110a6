"""Make two environments with versions of scikit-learn that can't read each other's pickles, and train in each."""

import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = {
    "old": ("scikit-learn==1.3.2", "numpy<2", "scipy<1.14"),  # what was installed when the first model was trained
    "new": ("scikit-learn==1.8.0",),
}


def python_of(name: str) -> str:
    """The interpreter of an environment; models.toml names it, too."""
    return str(HERE / "environments" / name / "bin" / "python")


def made(name: str) -> None:
    """Make the environment, if it is not there."""
    if not Path(python_of(name)).exists():
        venv.create(HERE / "environments" / name, with_pip=True)
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile")
    subprocess.run([python_of(name), *install, *ENVIRONMENTS[name]], check=True)


def ran(name: str, *words: str) -> None:
    """Run train.py in an environment."""
    subprocess.run([python_of(name), str(HERE / "train.py"), *words], check=True)


if __name__ == "__main__":
    if sys.version_info >= (3, 13):
        sys.exit("scikit-learn 1.3.2 needs Python 3.12 or older")
    for name in ENVIRONMENTS:
        made(name)
        ran(name, "write", name)
    ran("old", "read", "new")
    ran("new", "read", "old")
