#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The stock openai package against the service: openai_client.py in a virtual environment.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=$("$here/venv.sh") || exit $?
exec "$python" "$here/openai_client.py" "$@"
