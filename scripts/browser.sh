# shellcheck shell=bash
# Sourced by run_tests.sh, with `python` set: sees to it that there is a Chromium for tests/browser. MLQ_NO_BROWSER=1 leaves
# those tests out. Where none can be had this only warns: the tests then fail, and say so.

have_browser() {
    command -v chromium || command -v chromium-browser || command -v google-chrome ||
        "$python" -c 'from pathlib import Path; from playwright.sync_api import sync_playwright as start
with start() as p: raise SystemExit(not Path(p.chromium.executable_path).exists())'
}

install_browser() {
    if [[ $(id -u) == 0 ]] && command -v apt-get; then
        apt-get update -q || true # what is known already may do
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium && return
    fi
    "$python" -m playwright install chromium
}

if [[ ${MLQ_NO_BROWSER-} != 1 ]] && ! have_browser >/dev/null 2>&1; then
    echo "Installing Chromium for the tests in a browser; MLQ_NO_BROWSER=1 leaves them out" >&2
    install_browser >&2 || echo "Chromium can't be installed here: install it, or set MLQ_NO_BROWSER=1" >&2
fi
