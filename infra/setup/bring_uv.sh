#!/usr/bin/env bash
# Installs uv into .tools with pip. $1: a Python ≥ 3.11; $2: the version of uv.
set -euo pipefail
python=$1 version=$2

if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; then
    echo "Soundlake needs Python 3.11 to 3.13; '$python' is $("$python" -V 2>&1). Name another one: make PYTHON=python3.12 …" >&2
    exit 1
fi
echo "installing uv $version into .tools" >&2
if "$python" -m venv .tools 2>/dev/null; then
    .tools/bin/pip install --quiet --disable-pip-version-check "uv==$version"
elif "$python" -m pip --version >/dev/null 2>&1; then
    # A Debian Python without python3-venv cannot create environments with pip; uv does not need it.
    rm -rf .tools
    "$python" -m pip install --quiet --disable-pip-version-check --target .tools/lib "uv==$version"
    mkdir -p .tools/bin && ln -sf ../lib/bin/uv .tools/bin/uv
else
    rm -rf .tools
    echo "This Python has neither venv nor pip. On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
fi
