"""mypy sees what a listener takes and returns, and misspelt options: `typed_listeners.py` says how.

pyright does so, too, but brings a Node.js of 200 MB: CONTRIBUTING.md has the command.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SNIPPETS = Path(__file__).with_name("typed_listeners.py")
WRONG = {n for n, line in enumerate(SNIPPETS.read_text("utf-8").splitlines(), 1) if line.endswith("# expect: error")}


def test_mypy(tmp_path):
    """In strict mode, without our own configuration, as in another project."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", str(tmp_path)]
    command += ["--show-traceback", "--no-error-summary", "--hide-error-context", str(SNIPPETS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.findall(rf"^\S*{SNIPPETS.name}:(\d+): error: ", done.stdout, re.MULTILINE)
    assert {int(line) for line in found} == WRONG, done.stdout + done.stderr
    assert not re.search(rf"^(?!\S*{SNIPPETS.name}).*: error: ", done.stdout, re.MULTILINE), done.stdout
