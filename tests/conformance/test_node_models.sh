#!/bin/sh
# SPDX-License-Identifier: MIT
# The official ONNX node tests that are recorded as passing, through the real binary. PYTHON names an interpreter that has
# onnx and numpy; else they are installed into a virtual environment. Skipped (77) where neither is to be had.
python=${PYTHON:-python3}
if ! "$python" -c 'import onnx, numpy' 2>/dev/null; then
    python=$(tests/e2e/venv.sh requirements_binding.txt) || exit $?
fi
exec "$python" tests/conformance/node_tests.py --cupola "${CUPOLA_BIN:?}" \
    --cache "${CUPOLA_BUILD:?}/node-tests" --jobs 2 --check
