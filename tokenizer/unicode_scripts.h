/* SPDX-License-Identifier: MIT */
/* Scripts of Unicode: a sorted table of ranges. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct script_range {
    int32_t first, last;
    int32_t script;
};

extern const struct script_range script_ranges[]; /* [n_script_ranges] */
extern const size_t n_script_ranges;
