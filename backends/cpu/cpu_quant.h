/* SPDX-License-Identifier: MIT */
/* Scale and zero point of a quantised operand: one, or one for each of `n` channels. */
#pragma once
#include "backends/cpu/cpu_numeric.h"

struct cpu_quant {
    const struct tensor *scale, *zero; /* NULL: 1, 0 */
};

/* False when scale or zero point have neither one element nor `each`. */
bool cpu_quant_of(struct cpu_quant *q, const struct tensor *scale, const struct tensor *zero,
                  size_t each);
double cpu_quant_scale(const struct cpu_quant *q, size_t i);
double cpu_quant_zero(const struct cpu_quant *q, size_t i);
/* v / scale + zero point, rounded to even, within the range of the integer type dt. */
double cpu_quantize(const struct cpu_quant *q, size_t i, double v, enum dtype dt);
/* Smallest and largest number of an integer type of up to 32 bits; false for others. */
bool cpu_int_range(enum dtype dt, double *low, double *high);
