/* SPDX-License-Identifier: MIT */
/* UTF-8: decoding with the maximal-prefix rule (Unicode 15, table 3-8). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes one code point at s[0..n), n > 0. Returns bytes consumed (1..4). Ill-formed: *cp = -1 and
 * the length of the maximal bad prefix. */
size_t utf8_decode(const char *s, size_t n, int32_t *cp);
/* Writes 1..4 bytes; returns their number; cp must be a scalar value. */
size_t utf8_encode(int32_t cp, char out[4]);
bool utf8_valid(const char *s, size_t n);
/* How many of the last bytes of s are an incomplete but so far well-formed sequence (0..3). */
size_t utf8_incomplete_tail(const char *s, size_t n);
