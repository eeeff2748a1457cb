#!/bin/sh
# Installs the system packages of the environment, with apt if that is allowed; otherwise prints the command.
# PYTHON is the interpreter for the environment. With the argument `servers` it installs what Kafka, Redis and
# Milvus need, with `test` all that tests need; tests of packages that are still missing are skipped, so that is not a
# failure.
set -eu
PYTHON=${PYTHON:-python3}
FOR=${1:-setup}

has() {
    command -v "$1" >/dev/null
}

if [ "$FOR" = setup ] && { ! has "$PYTHON" || ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; }; then
    echo "copydetect needs Python 3.11 or newer; run: make setup PYTHON=/path/to/python3.11" >&2
    exit 1
fi

missing=""
services=""
case $FOR in
setup)
    # Debian ships venv without the package that it needs to create environments.
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
    ;;
servers | test)
    PATH=$PATH:/usr/sbin:/usr/local/go/bin # where Debian installs servers, and where Go's archive is unpacked
    has redis-server || { missing="$missing redis-server" && services="$services redis-server"; }
    has java || missing="$missing default-jre-headless"
    has mvn || missing="$missing maven"
    if [ "$FOR" = test ]; then
        { has prometheus && has promtool; } || { missing="$missing prometheus" && services="$services prometheus"; }
        has go || missing="$missing golang-go"
        has chromium || missing="$missing chromium"
    fi
    ;;
*)
    echo "usage: $0 [setup | servers | test]" >&2
    exit 2
    ;;
esac
[ -n "$missing" ] || exit 0

if ! has apt-get; then
    echo "missing (names of Debian packages):$missing" >&2
elif [ "$(id -u)" = 0 ]; then
    as_root=""
elif has sudo && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "missing system packages; run: sudo apt-get install -y --no-install-recommends$missing" >&2
fi
if [ -z "${as_root+set}" ]; then
    [ "$FOR" = test ] && exit 0
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
if ! { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing; } >&2; then
    [ "$FOR" = test ] || exit 1
    echo "cannot install$missing; tests that need them will be skipped" >&2
    exit 0
fi
# Debian starts installed servers now and at every boot. Tests start their own, on other ports.
if [ -n "$services" ] && [ -d /run/systemd/system ]; then
    $as_root systemctl disable --quiet --now $services || true
fi
