/* SPDX-License-Identifier: MIT */
/* Roofline probes for `cupola doctor` and benchmarks: the best this ISA level can do, with nothing
 * in the way. Time the call, divide. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Reads `bytes` (rounded down to 256) from p as a stream; returns a checksum, so that the reads
 * stay. */
typedef uint64_t kern_probe_read_fn(const void *p, size_t bytes);

/* Register-only multiply-adds; returns the floating-point operations done (2 per FMA). */
typedef double kern_probe_fma_f32_fn(size_t iterations);

/* Register-only u8 x s8 dot products; returns the integer operations done (2 per MAC). */
typedef double kern_probe_dot_i8_fn(size_t iterations);
