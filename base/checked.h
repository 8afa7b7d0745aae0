/* SPDX-License-Identifier: MIT */
/* Checked arithmetic for sizes that come from outside: false on overflow, *out untouched. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool checked_add(size_t a, size_t b, size_t *out);
bool checked_mul(size_t a, size_t b, size_t *out);
bool checked_add_i64(int64_t a, int64_t b, int64_t *out);
bool checked_mul_i64(int64_t a, int64_t b, int64_t *out);
/* True when [offset, offset + n) lies within [0, size). */
bool checked_range(uint64_t offset, uint64_t n, uint64_t size);
