#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Prints the python of a virtual environment with requirements.txt (or the file named, of this folder) installed, making
# it on first use (in the build folder). Exit 77 where the packages cannot be had.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=${1:-requirements.txt}
suffix=${file#requirements}
venv=${CUPOLA_BUILD:-$here/../../build}/e2e-venv${suffix%.txt}

if [ ! -f "$venv/complete" ] || ! cmp -s "$here/$file" "$venv/complete"; then
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" &&
        "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/$file"; } >&2; then
        echo "e2e: the packages of tests/e2e/$file cannot be installed here (no PyPI?): skipped" >&2
        exit 77
    fi
    cp "$here/$file" "$venv/complete"
fi
echo "$venv/bin/python"
