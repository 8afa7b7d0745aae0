/* SPDX-License-Identifier: MIT */
/* Fuzz targets: each fuzz_<name>.c defines this one function and keeps no state between calls. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Feeds one input to the parser under test; returns 0. The input is read-only and ends where it
 * ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
