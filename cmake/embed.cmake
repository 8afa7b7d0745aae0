# SPDX-License-Identifier: MIT
# Script (cmake -P): writes OUT, a C file that holds the bytes of FILE as `const char NAME[]` with a NUL
# behind, and their number as `const size_t NAME_bytes`. HEADER declares both.

file(READ ${FILE} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes_text "${hex}")
file(WRITE ${OUT} "/* SPDX-License-Identifier: MIT */
/* Generated. */
#include \"${HEADER}\"

const size_t ${NAME}_bytes = ${bytes};
const char ${NAME}[] = {
    ${bytes_text}0,
};
")
