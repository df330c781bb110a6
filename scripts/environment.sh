# shellcheck shell=bash
# Sourced by run_tests.sh and run_demo.sh: goes to the project's root, sets up .venv there and puts its Python in `python`.
#
# .venv is made anew when what it was made from has changed, and MLQ is installed anew when pyproject.toml has. Scripts
# that start together wait for the first: the lock lies on this very file, through descriptor 9, and ends with the last
# process that holds that descriptor.

CDPATH="" cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit

# Prints the path of the Python that the command $1 runs, outside any virtual environment; or why it is of no use.
usable_python() {
    if ! command -v -- "$1" >/dev/null; then
        echo "not found"
        return 1
    fi
    "$1" - <<'PYTHON' 2>&1
import sys
if sys.version_info < (3, 11):
    sys.exit(f"is Python {sys.version.split()[0]}; 3.11 or newer is needed")
try:
    import ensurepip, venv
except ImportError as missing:
    sys.exit(f"has no module {missing.name}; on Debian and Ubuntu: apt install python3-venv")
print(sys._base_executable)
PYTHON
}

find_python() {
    local candidate answer reasons="" candidates=(python3 python3.13 python3.12 python3.11 python)
    if [[ -n ${PYTHON-} ]]; then
        candidates=("$PYTHON")
    fi
    for candidate in "${candidates[@]}"; do
        if answer=$(usable_python "$candidate"); then
            echo "$answer"
            return
        fi
        reasons+=$'\n'"  $candidate: ${answer:-fails}"
    done
    echo "No usable Python; PYTHON=/path/to/python names one.$reasons" >&2
    return 1
}

make_environment() {
    local base made_from
    base=$(find_python)
    made_from=$(pwd && "$base" -VV && cat requirements.txt)
    exec 9<>scripts/environment.sh
    "$base" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    if [[ ! -x .venv/bin/python || $(cat .venv/made-from 2>/dev/null) != "$made_from" ]]; then
        echo "Setting up .venv with $base; this takes a minute" >&2
        "$base" -m venv --clear .venv
        .venv/bin/python -m pip install --quiet --requirement requirements.txt
        echo "$made_from" >.venv/made-from
    fi
    if ! cmp -s pyproject.toml .venv/pyproject.toml; then
        .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
        cp pyproject.toml .venv/
    fi
    exec 9>&-
}

make_environment
# shellcheck disable=SC2034 # for whoever sources this
python=$PWD/.venv/bin/python
