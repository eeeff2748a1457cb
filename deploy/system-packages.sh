#!/bin/sh
# Installs what the environment needs of the system, through apt where that is allowed; else says what to type.
# PYTHON names the interpreter that the environment will be made with.
set -eu
PYTHON=${PYTHON:-python3}

if ! command -v "$PYTHON" >/dev/null || ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "copydetect needs Python 3.11 or newer; make it with: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
fi

missing=""
# Debian ships the module without the package that can make environments with it.
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq $missing
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n apt-get update -qq && sudo -n apt-get install -y -qq $missing
else
    echo "missing system packages; type: sudo apt-get install -y$missing" >&2
    exit 1
fi
