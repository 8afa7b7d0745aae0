#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs a libFuzzer target once over the files of its corpus folder: fuzz_replay.sh TARGET FOLDER
set -euo pipefail
target=$1 corpus=$2
shopt -s nullglob
files=("$corpus"/*)
if [ ${#files[@]} -eq 0 ]; then
    exec "$target" -runs=1
fi
exec "$target" "${files[@]}"
