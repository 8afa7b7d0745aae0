#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""House style, checked line by line. Exceptions are the tables below, each with its reason."""
import os
import re
import sys

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
KERNEL_LINES_MAX = 120

C_SUFFIXES = (".c", ".h", ".inc", ".def", ".cl", ".cu", ".cuh")
SCRIPT_SUFFIXES = (".py", ".sh", ".cmake")
PRUNE = {".git", "build", "__pycache__", ".venv", "corpus"}

# Who may call malloc and free: the door itself.
MALLOC_ALLOWED = {
    "base/mem.c",
    "base/arena.c",
}
# Who may branch on the platform, besides base/os_*.c and *.def.
IFDEF_ALLOWED = {
    "backends/backends.c",
    "kernels/cpu_features.c",  # CPUID on x86-64, auxiliary vector on arm64
    "kernels/kernels.c",  # the rows of kernels.def for this processor
    "kernels/kern_macros.h",  # the compilers' spellings of "unroll"
    "api/cupola.h",  # C++ callers
}
# Who may read the environment; the file lists every variable.
GETENV_ALLOWED = {
    "base/os_env.c",
}

MALLOC = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf|getline"
                    r"|posix_memalign|aligned_alloc|memalign|valloc|reallocarray)\s*\(")
IFDEF = re.compile(r"^\s*#\s*(ifdef|ifndef|if|elif)\b")
GETENV = re.compile(r"\b(secure_)?getenv\s*\(")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w")
TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

complaints = []


def complain(path, line, what):
    complaints.append(f"{path}:{line}: {what}")


def source_files():
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(f for f in folders if f not in PRUNE and not f.startswith("build-"))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), ".")


def without_comments_and_strings(text):
    """The same text with the same lines, comments and literals blanked."""
    return TEXT.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def check_functions(path, lines):
    """A function body is what stands between a lone `{` and a lone `}` in the first column."""
    limit = KERNEL_LINES_MAX if path.startswith("kernels/") else FUNCTION_LINES_MAX
    start = None
    for i, line in enumerate(lines, 1):
        if line.rstrip() == "{":
            start = i
        elif line.rstrip() == "}" and start:
            if i - start + 1 > limit:
                complain(path, start, f"function of {i - start + 1} lines, at most {limit}")
            start = None


def check_c(path, text):
    lines = without_comments_and_strings(text).split("\n")
    in_tests = path.startswith(("tests/", "bench/"))
    is_platform = re.match(r"base/os_\w+\.[ch]$", path) or path.endswith(".def") or path in IFDEF_ALLOWED
    check_functions(path, lines)
    for i, line in enumerate(lines, 1):
        malloc = MALLOC.search(line)
        if malloc and not in_tests and path not in MALLOC_ALLOWED:
            complain(path, i, f"{malloc.group(1)}(): memory goes through base/mem.h or an arena")
        # An .inc is a template: it may give a parameter its default (#ifndef PARAMETER).
        is_default = path.endswith(".inc") and re.match(r"\s*#\s*ifndef\b", line)
        if IFDEF.match(line) and not in_tests and not is_platform and not is_default:
            complain(path, i, "conditional compilation: another platform or ISA is another file")
        if GETENV.search(line) and not in_tests and path not in GETENV_ALLOWED:
            complain(path, i, "getenv(): behaviour is chosen by options, not by the environment")
    if path.endswith(".h") and "#pragma once" not in text:
        complain(path, 1, "header without #pragma once")


def check_file(path):
    is_c = path.endswith(C_SUFFIXES)
    is_script = path.endswith(SCRIPT_SUFFIXES) or os.path.basename(path) == "CMakeLists.txt"
    if not is_c and not is_script and not path.endswith((".md", ".json", ".txt", ".jinja")):
        return
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
    except UnicodeDecodeError:
        complain(path, 1, "not UTF-8")
        return
    if is_c or is_script:
        head = text.split("\n", 2)[: 2 if text.startswith("#!") else 1]
        if not any("SPDX-License-Identifier: MIT" in line for line in head):
            complain(path, 1, "first line is not the SPDX line")
        n_lines = text.count("\n")
        if n_lines > FILE_LINES_MAX:
            complain(path, n_lines, f"{n_lines} lines, at most {FILE_LINES_MAX}")
    if is_c:
        check_c(path, text)
    for i, line in enumerate(text.split("\n"), 1):
        if MACHINE_PATH.search(line):
            complain(path, i, "path of one machine")


def main():
    seen = {}
    n_files = 0
    for path in source_files():
        n_files += 1
        check_file(path)
        if path.endswith(C_SUFFIXES):
            first = seen.setdefault(os.path.basename(path), path)
            if first != path:
                complain(path, 1, f"file name already taken by {first}")
    for line in complaints:
        print(line)
    print(f"lint.style: {n_files} files, {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
