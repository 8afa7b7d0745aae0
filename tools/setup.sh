#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what Cupola needs to build, on Debian 12, Ubuntu 22.04 and 24.04 (and their like). Installs only
# what is missing, says what it does, and may be run again at any time.
#
#   tools/setup.sh          compiler, CMake, Ninja and the libraries
#   tools/setup.sh --dev    also: clang with libFuzzer, clang-format, clang-tidy, python3-venv, and on Debian
#                           the arm64 cross compiler, qemu-user and the arm64 libraries
set -euo pipefail

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

libraries=(libprotobuf-c-dev libcjson-dev libmicrohttpd-dev libopenblas-dev libcurl4-openssl-dev
    libpcre2-dev libutf8proc-dev libssl-dev libcmocka-dev)
packages=(gcc libc6-dev cmake ninja-build pkg-config protobuf-c-compiler git curl ca-certificates python3
    "${libraries[@]}")
dev_packages=(clang llvm clang-tidy python3-venv)
arm64_packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user "${libraries[@]/%/:arm64}")

dev=0
for argument in "$@"; do
    case $argument in
    --dev) dev=1 ;;
    --help | -h) sed -n '3,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown option $argument (see --help)" ;;
    esac
done

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || die "no apt-get here. Needed: a C17 compiler, cmake >= 3.22, ninja, pkg-config, protoc-c, and the libraries
  protobuf-c, cJSON, libmicrohttpd, OpenBLAS, libcurl, PCRE2, utf8proc, OpenSSL, cmocka"

# Root, or sudo where there is one: filled only when something has to be installed.
as_root=()
become_root() {
    if [ "$(id -u)" -eq 0 ]; then
        as_root=(env DEBIAN_FRONTEND=noninteractive)
    elif command -v sudo >/dev/null; then
        as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
    else
        die "packages are missing (${missing[*]}) and there is no sudo; run this as root"
    fi
}

# is_installed NAME[:ARCHITECTURE]
is_installed() {
    local architecture=${1#*:}
    [ "$architecture" != "$1" ] || architecture=$(dpkg --print-architecture)
    dpkg-query -W -f '${db:Status-Status} ${Architecture}\n' "${1%:*}" 2>/dev/null |
        grep -qxE "installed ($architecture|all)"
}

find_missing() {
    missing=()
    local package
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
}

updated=0
update_lists() {
    [ $updated -eq 1 ] && return
    say "reading the package lists"
    "${as_root[@]}" apt-get update -q >/dev/null || die "apt-get update failed"
    updated=1
}

# install WHAT PACKAGE...
install() {
    local what=$1
    shift
    find_missing "$@"
    if [ ${#missing[@]} -eq 0 ]; then
        say "$what: there already"
        return
    fi
    become_root
    update_lists
    say "$what: installing ${missing[*]}"
    "${as_root[@]}" apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1 ||
        { tail -20 "$log" >&2; die "$what: apt-get install failed"; }
}

# The first of the given packages that is installed or can be.
first_available() {
    local package
    for package in "$@"; do
        if is_installed "$package" || apt-cache show "$package" >/dev/null 2>&1; then
            printf '%s\n' "$package"
            return
        fi
    done
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

install "compiler and libraries" "${packages[@]}"
if [ $dev -eq 1 ]; then
    install "development tools" "${dev_packages[@]}"
    # libFuzzer and the sanitizers' runtimes come in a package named after clang's version.
    version=$(clang -dumpversion | cut -d. -f1)
    runtime=$(first_available "libclang-rt-$version-dev" "libclang-common-$version-dev")
    [ -z "$runtime" ] || install "clang runtimes" "$runtime"
    format=$(first_available clang-format-14)
    if [ -n "$format" ]; then
        install "formatter" "$format"
    else
        say "formatter: this system has no clang-format-14; lint.format stays off"
    fi
    if [ "$(. /etc/os-release && echo "$ID")" = debian ] && [ "$(dpkg --print-architecture)" = amd64 ]; then
        if ! dpkg --print-foreign-architectures | grep -qx arm64; then
            missing=(arm64)
            become_root
            say "arm64: adding the architecture to dpkg"
            "${as_root[@]}" dpkg --add-architecture arm64
            updated=0
        fi
        install "arm64 cross build" "${arm64_packages[@]}"
    else
        say "arm64 cross build: only on Debian amd64 (its mirrors carry arm64 packages); left out"
    fi
fi
say "done"
