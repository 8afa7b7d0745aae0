#!/bin/sh
# SPDX-License-Identifier: MIT
# The official ONNX node tests that are recorded as passing, through the real binary. Skipped (77)
# where the onnx package is not installed: PYTHON names an interpreter that has it.
python=${PYTHON:-python3}
"$python" -c 'import onnx, numpy' 2>/dev/null || { echo "skipped: $python has no onnx"; exit 77; }
exec "$python" tests/conformance/node_tests.py --cupola "${CUPOLA_BIN:?}" \
    --cache "${CUPOLA_BUILD:?}/node-tests" --jobs 2 --check
