#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Model folders against their golden.json, lowered and dense, at every ISA level and thread count.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${CUPOLA_BIN:?path of the cupola binary}"

core=(tests/fixtures/models/*/)
all=("${core[@]}")
zoo=${CUPOLA_FIXTURES:-}/zoo

# Prints the zoo's folders that folders.txt names and does not take out.
wanted() {
    local dir name line pattern keep
    for dir in "$zoo"/*/; do
        name=$(basename "$dir")
        keep=0
        while IFS= read -r line; do
            pattern=${line%%#*}
            pattern=${pattern%"${pattern##*[! ]}"}
            [ -n "$pattern" ] || continue
            # shellcheck disable=SC2254
            case $pattern in
            '!'*) case $name in ${pattern#!}) keep=0 ;; esac ;;
            *) case $name in $pattern) keep=1 ;; esac ;;
            esac
        done <tests/golden/folders.txt
        if [ $keep -eq 1 ]; then printf '%s\n' "$dir"; fi
    done
}

if [ -d "$zoo" ]; then
    mapfile -t more < <(wanted)
    all+=("${more[@]}")
fi

rc=0
verify() {
    printf '== verify %s %s\n' "$1" "$2" | cut -c1-60
    "$CUPOLA_BIN" verify "$@" || rc=1
}

# Whether dense_only.txt says that a folder has no lowered form.
known_dense() {
    local line pattern
    while IFS= read -r line; do
        pattern=${line%%#*}
        pattern=${pattern%"${pattern##*[! ]}"}
        # shellcheck disable=SC2254
        case $1 in $pattern) [ -n "$pattern" ] && return 0 ;; esac
    done <tests/golden/dense_only.txt
    return 1
}

# Reads what verify printed: which folders ran in the dense form must be as recorded.
check_forms() {
    local verdict name rest
    while read -r verdict name rest; do
        case $verdict in PASS | FAIL) ;; *) continue ;; esac
        name=$(basename "$name")
        case $rest in
        *'dense form'*)
            known_dense "$name" || { printf '%s: runs only in the dense form\n' "$name" && rc=1; } ;;
        *)
            ! known_dense "$name" || { printf '%s: is lowered, strike it out of dense_only.txt\n' "$name" && rc=1; } ;;
        esac
    done
}

# Every folder in both forms; the core set at every ISA level and on one thread.
forms=$(mktemp)
trap 'rm -f "$forms"' EXIT
verify --threads 2 "${all[@]}" >"$forms"
cat "$forms"
check_forms <"$forms"
verify --dense "${all[@]}"
verify --threads 1 "${core[@]}"
for isa in scalar avx2 avx512; do
    verify --isa "$isa" "${core[@]}"
done
exit $rc
