/* SPDX-License-Identifier: MIT */
/* Names of characters for "\N{…}" in template strings, and what may stand in a name. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Code point of a Unicode name (any case), -1 if unknown. Known: Latin-1, punctuation,
 * currency, common arrows, mathematical signs, geometric shapes, symbols and dingbats. */
int32_t unicode_name_find(const char *name, size_t n);
/* May a non-ASCII character stand in an identifier? */
bool name_character(int32_t cp);
