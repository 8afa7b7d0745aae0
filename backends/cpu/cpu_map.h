/* SPDX-License-Identifier: MIT */
/* A function over the elements of one input. */
#pragma once
#include "backends/cpu/cpu_numeric.h"

/* Replaces n elements of class cls by their results; false when there are none for the class. */
typedef bool cpu_chunk_fn(const struct op_call *call, enum cpu_class cls, union cpu_chunk *x,
                          size_t n);
/* Output 0 from input 0 of its type and size, a chunk at a time. */
void cpu_map(const struct cpu_task *t, cpu_chunk_fn *fn);
