"""What is shipped is whole, works outside the source tree, and asks for what it was tested with."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mlq
from mlq.server import scratch
from mlq.system.extras import EXTRAS

pytestmark = pytest.mark.slow

OTHERWISE = {"pyyaml": "yaml"}  # packages whose modules have another name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SHIPPED = ("mlq/**/*.py", "mlq/**/*.lua", "mlq/**/*.html", "mlq/py.typed")


def run(*command, cwd, **environment):
    """What the command prints; a failure shows everything that it said."""
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of what the distributions are made of, since a build leaves its own files beside the sources."""
    copy = tmp_path_factory.mktemp("sources")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("mlq", "controller"):  # a build must leave the second one alone
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignore)
    for file in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    return copy


@pytest.fixture(scope="module")
def distributions(sources, tmp_path_factory):
    """The sdist, and the wheel that was built from it; nothing is fetched."""
    out = tmp_path_factory.mktemp("distributions")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, sources, cwd=out)
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


def with_wheel(environment, wheel):
    """Makes an environment that holds the wheel alone; returns where packages are."""
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    offline = ("--quiet", "--no-index", "--no-deps")
    run(sys.executable, "-m", "pip", "--python", python, "install", *offline, wheel, cwd=environment)
    return Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=environment))


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory):
    """A fresh environment that holds the wheel and sees the dependencies of this one."""
    environment = tmp_path_factory.mktemp("installed")
    site_packages = with_wheel(environment, distributions[1])
    Path(site_packages, "dependencies.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    return environment


@pytest.fixture(scope="module")
def core(distributions, tmp_path_factory):
    """An environment that holds the wheel and what it requires without an extra, as links to what this one has."""
    environment = tmp_path_factory.mktemp("core")
    site_packages = with_wheel(environment, distributions[1])
    for name in required(list(wanted())):
        for top in {file.parts[0] for file in metadata.files(name) if file.parts[0] not in ("..", "__pycache__")}:
            (site_packages / top).symlink_to(metadata.distribution(name).locate_file(top))
    return environment


def required(requirements):
    """The names of installed distributions that these need, and of those that they need in turn."""
    found = set()
    while requirements:
        requirement = requirements.pop()
        if requirement.name not in found and (not requirement.marker or requirement.marker.evaluate({"extra": ""})):
            found.add(requirement.name)
            requirements += map(Requirement, metadata.requires(requirement.name) or ())
    return found


def test_sdist_and_wheel_are_whole(sources, distributions):
    """Every module, every script and the marker for type checkers; a folder without `__init__.py` would be missed."""
    shipped = {str(file.relative_to(sources)) for pattern in SHIPPED for file in sources.glob(pattern)}
    assert {"mlq/py.typed", "mlq/lua/post.lua"} <= shipped
    sdist, wheel = distributions
    with tarfile.open(sdist) as archive:
        assert not shipped - {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        assert not shipped - set(archive.namelist())
        assert {name.partition("/")[0] for name in archive.namelist()} == {"mlq", f"mlq-{mlq.__version__}.dist-info"}


def test_the_wheel_works_from_anywhere(installed, tmp_path):
    """The package and the command are those of the wheel, not of the source tree."""
    file = run(installed / "bin" / "python", "-c", "import mlq; print(mlq.__file__)", cwd=tmp_path, PYTHONPATH="")
    assert Path(file).is_relative_to(installed)
    assert mlq.__version__ in run(installed / "bin" / "mlq", "--version", cwd=tmp_path, PYTHONPATH="")


LISTENERS = """
from mlq import MLQ
mlq = MLQ("core")
@mlq.listener
def double(number):
    return number * 2
"""


@pytest.mark.parametrize("pool", ["process", "thread", "asyncio", "solo"])
def test_the_core_posts_and_works(core, pool, tmp_path):
    """Without any extra."""
    (tmp_path / "listeners.py").write_text(LISTENERS, "utf-8")
    mlq_command = core / "bin" / "mlq"
    with scratch(appendfsync=None) as server:
        there = {"cwd": tmp_path, "MLQ_URL": server.url, "MLQ_NAMESPACE": "core", "PYTHONPATH": ""}
        assert run(mlq_command, "post", "21", "--functions", "double", **there) == "1"
        run(mlq_command, "worker", "listeners.py", "--burst", "--pool", pool, **there)
        assert run(mlq_command, "wait", "1", **there) == "42"


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["mlq.cli", "serve", "--port", "0"], "serve"),
        (["mlq.cli", "worker", "listeners.py", "--pool", "gevent"], "gevent"),
        (["controller.app", "consumer", "--server", "--server_port", "0"], "serve"),
        (["mlq.cli", "predict", "iris", "s3://bucket/in.csv", "-o", "out.csv"], "files"),
    ],
    ids=["serve", "gevent", "controller", "predict"],
)
def test_a_missing_extra_is_named(core, command, extra, tmp_path):
    """With the command that installs it, in one line; the pool's children are not even started."""
    (tmp_path / "listeners.py").write_text(LISTENERS, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT) if command[0].startswith("controller") else ""}
    done = subprocess.run(
        [core / "bin" / "python", "-m", *command],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].endswith(f"pip install 'mlq[{extra}]'")
    assert "Traceback" not in done.stderr


def test_extras_are_those_of_the_project():
    """The modules that are looked for, and the packages that are installed."""
    for extra, modules in EXTRAS.items():
        names = (requirement.name.replace("-", "_") for requirement in wanted(extra))
        assert set(modules) == {OTHERWISE.get(name, name) for name in names}


def test_all_is_all():
    """Whoever wants everything that MLQ can do."""
    usable = {name for extra in PROJECT["optional-dependencies"] if extra not in ("demo", "examples", "dev", "all")
              for name in (each.name for each in wanted(extra))}  # fmt: skip
    assert {each.name for each in wanted("all")} == usable


SETS = {"requirements.txt": "dev", "requirements-demo.txt": "demo"}  # and the extra that each one is made for


def pins(file):
    """The requirements in a file."""
    lines = (ROOT / file).read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def wanted(extra=""):
    """The requirements in pyproject.toml: the dependencies, or those of an extra with the extras that it names."""
    for text in PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            for named in requirement.extras:
                yield from wanted(named)
        else:
            yield requirement


@pytest.mark.parametrize("file", SETS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_requirements_are_pinned_to_what_pyproject_allows(file, python):
    """Whoever changes a dependency makes both files anew."""
    here = {"python_version": python, "python_full_version": f"{python}.9"}
    pinned = {canonicalize_name(pin.name): pin for pin in pins(file) if not pin.marker or pin.marker.evaluate(here)}
    for requirement in [*wanted(), *wanted(SETS[file])]:
        (pin,) = pinned[canonicalize_name(requirement.name)].specifier
        assert pin.operator == "=="
        assert pin.version in requirement.specifier, requirement


@pytest.mark.parametrize("file", SETS)
def test_requirements_name_no_place(file):
    """No index, no local path: they install anywhere."""
    assert not re.search(r"://|file:|^\s*-", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    assert all(pin.url is None for pin in pins(file))


def test_the_demo_installs_a_part_of_what_the_tests_need():
    """In the same versions, so that run_tests.sh can complete the environment; and none of their tools."""
    everything = {(pin.name, str(pin.specifier)) for pin in pins("requirements.txt")}
    part = {(pin.name, str(pin.specifier)) for pin in pins("requirements-demo.txt")}
    assert part < everything
    assert not {name for name, _ in part} & {"playwright", "pytest", "mypy", "ruff", "pandas", "fastapi"}


def test_the_scripts_say_which_python_is_missing(tmp_path):
    """A Python that is too old is named before anything is made."""
    old = tmp_path / "python"
    old.write_text(
        f"#!/bin/sh\n(echo 'import sys; sys.version_info = (3, 10)'; cat) | exec '{sys.executable}' -\n", "utf-8"
    )
    old.chmod(0o755)
    for script in ("run_tests.sh", "run_demo.sh"):
        done = subprocess.run(
            ["bash", ROOT / script],
            cwd=tmp_path,
            env={**os.environ, "PYTHON": str(old)},
            capture_output=True,
            check=False,
        )
        assert done.returncode
        assert b"3.11 or newer is needed" in done.stderr


@pytest.fixture
def set_up(tmp_path):
    """A project whose sets of requirements are empty; gives what sets up its environment as the scripts do."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "environment.sh", tmp_path / "scripts")
    for file in SETS:
        (tmp_path / file).write_text("# nothing", "utf-8")

    def run_it(file):
        command = f"set -euo pipefail; requirements={file}; source scripts/environment.sh; $python -c 'import pip'"
        run("bash", "-c", command, cwd=tmp_path, PYTHON=sys.executable)

    return run_it


def test_both_scripts_share_an_environment(set_up, tmp_path):
    """The tests complete what the demo made; what has changed since is no longer used."""
    made = tmp_path / ".venv"
    set_up("requirements-demo.txt")
    assert sorted(path.name for path in made.glob("requirements*")) == ["requirements-demo.txt"]
    (made / "kept").touch()
    for folder in (tmp_path, made):  # as if MLQ was installed
        (folder / "pyproject.toml").touch()
    set_up("requirements.txt")
    set_up("requirements-demo.txt")
    assert {path.name for path in made.iterdir()} >= {"kept", *SETS}
    (tmp_path / "requirements.txt").write_text("# another", "utf-8")
    set_up("requirements-demo.txt")
    assert not (made / "kept").exists()
    assert not (made / "requirements.txt").exists()


def test_an_environment_that_was_not_completed_is_made_anew(set_up, tmp_path):
    """What an interrupted pip left behind is not trusted."""
    (tmp_path / "requirements-demo.txt").write_text("./nothing-there", "utf-8")
    with pytest.raises(AssertionError, match="nothing-there"):
        set_up("requirements-demo.txt")
    left = tmp_path / ".venv" / "left-behind"
    left.touch()
    (tmp_path / "requirements-demo.txt").write_text("# nothing", "utf-8")
    set_up("requirements-demo.txt")
    assert not left.exists()


@pytest.mark.parametrize("shell", list(filter(shutil.which, ["bash", "zsh"])))
def test_a_sourced_script_spares_the_shell(shell, tmp_path):
    """It fails as a child."""
    command = f"source '{ROOT}/run_tests.sh' >/dev/null 2>&1; echo still here"
    assert run(shell, "-c", command, cwd=tmp_path, PYTHON="/nonexistent") == "still here"


def test_the_description_has_no_relative_links(distributions):
    """On a package index they would lead nowhere."""
    with zipfile.ZipFile(distributions[1]) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith("/METADATA"))
        described = archive.read(name).decode()
    assert "Description-Content-Type: text/markdown\n" in described
    assert "# MLQ, a job queue for machine-learning work" in described
    assert "how a job flows" in described
    assert not re.findall(r"\]\((?!https?://|#)", described)


def test_links_of_the_description():
    """To where the files are, if that is known; else no links. Others stay."""
    setup = runpy.run_path(str(ROOT / "setup.py"))["description"]
    readme = "[a](docs/a.md#b), [c](https://c.example) and [d](#d)"
    assert setup(readme, None) == "a, [c](https://c.example) and [d](#d)"
    assert setup(readme, "https://s.example/x/") == (
        "[a](https://s.example/x/blob/main/docs/a.md#b), [c](https://c.example) and [d](#d)"
    )


def test_links_to_files_lead_somewhere():
    """In the README and the pages of `docs/`: the file is there, and so is the heading."""
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for link in re.findall(r"\]\((?!https?://)([^)]+)\)", page.read_text("utf-8")):
            path, _, place = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), f"{page.name}: {link}"
            if place and target.suffix == ".md":
                text = target.read_text("utf-8")
                found = {
                    re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
                    for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
                }
                assert place.removesuffix("-1") in found or f'id="{place}"' in text, f"{page.name}: {link}"
