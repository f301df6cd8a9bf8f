#!/usr/bin/env bash
# Makes .venv when there is none, installs the pinned packages of LOCK and links the workspace members given.
# usage: scripts/setup.sh LOCK [MEMBER …]
set -euo pipefail
lock=$1
shift
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Saras needs Python 3.11 or newer; '$python' is not. Set PYTHON, e.g. make setup PYTHON=python3.12" >&2
    exit 1
fi
if [ ! -x .venv/bin/pip ]; then
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "Installing python3-venv …"
            apt-get update -qq
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
        else
            echo "This Python has no 'venv'. On Debian or Ubuntu: sudo apt install python3-venv" >&2
            exit 1
        fi
    fi
    echo "Making .venv …"
    "$python" -m venv .venv
fi
echo "Installing $lock …"
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
if [ $# -gt 0 ]; then
    echo "Linking $* …"
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation "${@/#/--editable=}"
fi
