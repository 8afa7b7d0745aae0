#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bindings/python against the library that was built: python_binding.py with the system's python where it has numpy and
# onnx, else in a virtual environment.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${CUPOLA_BUILD:-$here/../../build/release}

python=${CUPOLA_PYTHON:-python3}
if ! "$python" -c 'import numpy, onnx, ml_dtypes' 2>/dev/null; then
    python=$("$here/venv.sh" requirements_binding.txt) || exit $?
fi
export CUPOLA_LIBRARY=$build/libcupola.so PYTHONPATH=$here/../../bindings/python PYTHONDONTWRITEBYTECODE=1
# A library with AddressSanitizer wants its runtime loaded first; Python itself leaks at exit.
runtime=$(ldd "$CUPOLA_LIBRARY" | awk '/lib(clang_rt\.)?[at]san/ { print $3 }')
[ -z "$runtime" ] || export LD_PRELOAD=$runtime ASAN_OPTIONS="${ASAN_OPTIONS-}:detect_leaks=0"
exec "$python" "$here/python_binding.py" "$@"
