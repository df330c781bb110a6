#!/usr/bin/env bash
# Sets up .venv, then trains and serves a model on real data through an embedded server. Arguments go to the example.
# Needs Python 3.11 or newer (PYTHON names another one) and, the first time, a package index.

# Sourced, or run by another shell: run as a child of this one, so that no failure ends the shell of whoever sourced it.
# shellcheck disable=SC2128 # zsh and sh know no such array
if [ "${BASH_SOURCE-}" != "$0" ]; then
    bash "${BASH_SOURCE:-$0}" "$@"
    return
fi

set -euo pipefail
# shellcheck disable=SC2034 # for environment.sh
requirements=requirements-demo.txt
# shellcheck source=scripts/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/scripts/environment.sh"

exec "$python" -m examples.digits "$@"
