/* SPDX-License-Identifier: MIT */
/* The byte-level alphabet of GPT-2: each byte stands as a printable character. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Writes the bytes that a text of the alphabet stands for to out[0..n) (never more than the text
 * has); false if some character is outside it, out then holds anything. The text is valid UTF-8. */
bool byte_level_unmap_to(char *out, const char *p, size_t n, size_t *out_n);
