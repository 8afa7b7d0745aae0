#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# House style that a compiler does not see; the rules are listed in lint_style.py.
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 tools/lint_style.py
