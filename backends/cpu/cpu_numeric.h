/* SPDX-License-Identifier: MIT */
/* Element types by the way they are computed: floats of 16 bits and less in f32, integers and bool
 * in i64. */
#pragma once
#include "backends/cpu/cpu.h"
#include "backends/cpu/mini_float.h"

enum cpu_class { CPU_NONE, CPU_F32, CPU_F64, CPU_I64, CPU_U64 };

enum { CPU_CHUNK = 512 }; /* elements converted at a time */

/* One chunk in any class. */
union cpu_chunk {
    float f32[CPU_CHUNK];
    double f64[CPU_CHUNK];
    int64_t i64[CPU_CHUNK];
    uint64_t u64[CPU_CHUNK];
};

/* CPU_NONE for what the cpu does not compute with (strings, complex). */
enum cpu_class cpu_class_of(enum dtype dt);

/* Elements off, off + step, … of a tensor of type dt, in its class. n <= CPU_CHUNK. */
void cpu_load(union cpu_chunk *out, const void *base, enum dtype dt, int64_t off, int64_t step,
              size_t n);
/* Contiguous elements from off on, from a chunk of dt's class; integers wrap. */
void cpu_store(void *base, enum dtype dt, size_t off, const union cpu_chunk *in, size_t n);
/* From one class to another: floats to integers truncate, and saturate at the ends. */
void cpu_convert(union cpu_chunk *x, enum cpu_class from, enum cpu_class to, size_t n);

/* The form of an f8 or f4 type; false for others. */
bool cpu_mini_kind(enum dtype dt, enum mini_kind *kind);
/* How floats become those of a byte or less; cpu_store saturates and rounds up. */
struct cpu_mini_rule {
    bool saturate;
    enum mini_round round;
};
/* As cpu_store for an f8 or f4 type (others: nothing). */
void cpu_store_mini(void *base, enum dtype dt, size_t off, const float *in, size_t n,
                    struct cpu_mini_rule rule);

/* One element of any numeric type as f64, for operators that need no speed. cpu_put converts as
 * cpu_convert and cpu_store do. */
double cpu_get(const struct tensor *x, size_t i);
void cpu_put(const struct tensor *x, size_t i, double v);
