# shellcheck shell=bash
# Sourced by run_tests.sh and run_demo.sh: goes to the project's root, sets up .venv there and puts its Python in `python`.
#
# `requirements` names what to install: requirements.txt, or its part requirements-demo.txt, which needs a third of the
# time. The first completes a .venv that the second made; the second is content with one that has everything. .venv is
# made anew when what it was made from has changed, and MLQ is installed anew when pyproject.toml has; the demo needs no
# MLQ in .venv, since it runs in the root. Scripts that start together wait for the first: the lock lies on this very
# file, through descriptor 9, and ends with the last process that holds that descriptor.

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

# Whether .venv was made from $1, and everything that was installed there is still what is wanted.
is_current() {
    local file found=1
    [[ -x .venv/bin/python && $(cat .venv/made-from 2>/dev/null) == "$1" ]] || return
    for file in requirements.txt requirements-demo.txt; do
        if [[ -e .venv/$file ]]; then
            cmp -s "$file" ".venv/$file" || return
            found=0
        fi
    done
    return $found # 1: what was begun was not completed
}

make_environment() {
    local base made_from
    base=$(find_python)
    made_from=$(pwd && "$base" -VV)
    exec 9<>scripts/environment.sh
    "$base" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    if ! is_current "$made_from"; then
        echo "Setting up .venv with $base; this takes up to a minute" >&2
        "$base" -m venv --clear .venv
        echo "$made_from" >.venv/made-from
    fi
    if [[ ! -e .venv/requirements.txt && ! -e .venv/$requirements ]]; then
        # what is imported is compiled then; to compile everything takes longer than to unpack it
        .venv/bin/python -m pip install --quiet --no-compile --requirement "$requirements"
        cp "$requirements" .venv/
    fi
    if [[ $requirements == requirements.txt ]] && ! cmp -s pyproject.toml .venv/pyproject.toml; then
        .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
        cp pyproject.toml .venv/
    fi
    exec 9>&-
}

make_environment
# shellcheck disable=SC2034 # for whoever sources this
python=$PWD/.venv/bin/python
