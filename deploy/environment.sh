#!/usr/bin/env bash
# Makes the Python environment in .venv from requirements.lock, with the system packages that building it needs.
# Run by `make`; does nothing when the environment is newer than the lock.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=$(grep -v '^#' deploy/debian-packages.txt | tr '\n' ' ')
python=${PYTHON:-python3}

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

has_all() {
    command -v g++ >/dev/null && command -v make >/dev/null && "$python" -c 'import ensurepip, venv' 2>/dev/null &&
        [ -f "$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] &&
        printf '#include <boost/program_options.hpp>\n#include <boost/thread.hpp>\n' | g++ -E -x c++ -o /dev/null - 2>/dev/null
}

if ! has_all; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing system packages: $packages"
        apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
    else
        say "These system packages are missing. Install them, then run make again:"
        echo "sudo apt-get update && sudo apt-get install -y $packages" >&2
        exit 1
    fi
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    say "Python 3.11 or newer is needed; $("$python" --version) is what '$python' is. Say which: make PYTHON=python3.12 …"
    exit 1
fi

say "making .venv (kenlm and fasttext are compiled: two to four minutes the first time)"
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet --upgrade pip
# The lock is complete; --no-deps also keeps out fasttext-predict, which would overwrite the fasttext module.
.venv/bin/python -m pip install --quiet --no-deps -r requirements.lock
.venv/bin/python -m pip install -qq --no-deps --editable .
# KenLM's lmplz trains the demo's perplexity model. Without it everything else works, and who needs it is told.
.venv/bin/python -m pipeline.models.kenlm_tools || say "KenLM's lmplz was not built: recipes that train perplexity models will not run"
touch .venv/ready
