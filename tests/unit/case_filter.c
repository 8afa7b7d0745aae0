/* SPDX-License-Identifier: MIT */
/* Linked into every cmocka test: `unit_kv_pages 'evicts*'` runs only the cases whose names match.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* glibc hands a constructor main's arguments, so that no test's main has to know of this. */
__attribute__((constructor)) static void case_filter(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
}
