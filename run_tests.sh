#!/usr/bin/env bash
# Sets up .venv, then passes everything: lint, types, tests. Arguments go to pytest: ./run_tests.sh tests/unit -k codec
# With --fast first, the tests that are marked as slow are left out: an answer in about a minute.
# MLQ_TEST_SERVER=/usr/bin/redis-server has the tests run that server instead of the bundled Valkey.
# Needs Python 3.11 or newer (PYTHON names another one) and, the first time, a package index; for the tests in a browser
# it installs Chromium where there is none (MLQ_NO_BROWSER=1 leaves them out).

# Sourced, or run by another shell: run as a child of this one, so that no failure ends the shell of whoever sourced it.
# shellcheck disable=SC2128 # zsh and sh know no such array
if [ "${BASH_SOURCE-}" != "$0" ]; then
    bash "${BASH_SOURCE:-$0}" "$@"
    return
fi

set -euo pipefail
# shellcheck disable=SC2034 # for environment.sh
requirements=requirements.txt
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/environment.sh"
# shellcheck source=scripts/browser.sh
source scripts/browser.sh # environment.sh went to the root

selection=()
if [[ ${1-} == --fast ]]; then
    shift
    selection=(-m "not slow")
fi

"$python" -m ruff check
"$python" -m ruff format --check
"$python" -m mypy
# One more than there are cores, since many tests wait; no more than four, since some race a clock.
processes=$(($(getconf _NPROCESSORS_ONLN) + 1))
"$python" -m pytest --numprocesses=$((processes < 4 ? processes : 4)) "${selection[@]+"${selection[@]}"}" "$@"
