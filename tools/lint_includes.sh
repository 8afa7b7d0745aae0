#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The include table of ARCHITECTURE.md, enforced: a folder includes the public headers (and the .def lists)
# of the folders in its row and nothing else of them. tests/ and bench/ may include anything. api/cupola.h, which is
# installed, and api/examples/, which are compiled against the installed library, include nothing of ours by path.
set -euo pipefail
cd "$(dirname "$0")/.."

find . \( -path './build*' -o -path './.git' -o -path '*/recipe' \) -prune -o \
    -type f \( -name '*.c' -o -name '*.h' -o -name '*.inc' -o -name '*.def' -o -name '*.cu' \) -print |
    sed 's|^\./||' | sort | xargs -r awk '
BEGIN {
    uses["base"] = ""
    uses["ir"] = "base"
    uses["kernels"] = "base"
    uses["backends"] = "base ir kernels"
    uses["tokenizer"] = "base"
    uses["models"] = "base"
    uses["engine"] = "base ir backends models"
    uses["server"] = "base models tokenizer engine"
    uses["api"] = "base models tokenizer engine"
    uses["cli"] = "base models tokenizer engine server api"

    public["base"] = "base/base.h"
    public["ir"] = "ir/ir.h"
    public["kernels"] = "kernels/kernels.h"
    public["backends"] = "backends/backend.h"
    public["tokenizer"] = "tokenizer/tokenizer.h"
    public["models"] = "models/models.h"
    public["engine"] = "engine/engine.h"
    public["server"] = "server/server.h"
    public["api"] = "api/cupola.h"

    for (folder in uses) {
        n = split(uses[folder], list, " ")
        for (i = 1; i <= n; i++) may[folder, list[i]] = 1
    }
}

function complain(what) {
    printf "%s:%d: %s\n", FILENAME, FNR, what
    bad++
}

FNR == 1 {
    split(FILENAME, parts, "/")
    from = parts[1]
    if (!(from in uses) && from != "tests" && from != "bench")
        complain("folder " from "/ is not in the include table")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    path = quoted[2]
    if (FILENAME == "api/cupola.h" || FILENAME ~ /^api\/examples\//) {
        complain("\"" path "\": only what is installed may be included here")
        next
    }
    if (!(from in uses) || path == "cupola_version.h") next
    if (path !~ /\//) {
        complain("\"" path "\": write the path from the repository root")
        next
    }
    split(path, parts, "/")
    to = parts[1]
    if (to == from) next
    if (!((from, to) in may))
        complain(from "/ may not include " to "/ (" path ")")
    else if (path != public[to] && path !~ /\.def$/)
        complain(path " is not the public header of " to "/: include " public[to])
}

END {
    if (bad) print bad " includes outside the table"
    exit bad > 0
}'
echo "lint.includes: ok"
