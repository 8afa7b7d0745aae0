#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# clang-format 14 over all C sources: complains, or with --fix rewrites. Other versions format differently.
#   tools/lint_format.sh [--fix] [FILE...]
set -euo pipefail
cd "$(dirname "$0")/.."

for format in clang-format-14 clang-format; do
    command -v "$format" >/dev/null && "$format" --version | grep -q 'version 14\.' && break
    format=
done
[ -n "$format" ] || { echo "lint.format: clang-format 14 not found (tools/setup.sh --dev)" >&2; exit 1; }

mode=(--dry-run -Werror)
if [ "${1-}" = --fix ]; then
    mode=(-i)
    shift
fi
if [ $# -gt 0 ]; then
    "$format" "${mode[@]}" "$@"
else
    find . \( -path './build*' -o -path './.git' -o -path '*/recipe' \) -prune -o \
        -type f \( -name '*.c' -o -name '*.h' \) -print0 |
        xargs -0 -r "$format" "${mode[@]}"
fi
echo "lint.format: ok"
