/* SPDX-License-Identifier: MIT */
/* The byte-level alphabet of GPT-2: each byte stands as a printable character. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Writes the bytes that a text of the alphabet stands for to out[0..n) (never more than the text
 * has), as far as the alphabet goes without quotes and backslashes; how many bytes of the text that
 * is. */
size_t byte_level_unmap_prefix(char *out, const char *p, size_t n, size_t *out_n);
/* The same for a whole text, quotes and backslashes included; false if some character is outside
 * the alphabet, out then holds anything. */
bool byte_level_unmap_to(char *out, const char *p, size_t n, size_t *out_n);
