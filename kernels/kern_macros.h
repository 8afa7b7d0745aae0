/* SPDX-License-Identifier: MIT */
/* Compiler hints used by kernel bodies, and nothing else: the only place in kernels/ that names a
 * compiler. */
#pragma once

#define KERN_INLINE static inline __attribute__((always_inline))

/* Before a loop whose trip count is a small constant: unroll it whole, so that arrays of vectors
 * live in registers. KERN_UNROLL_4: four turns at a time. */
#ifdef __clang__
#define KERN_UNROLL   _Pragma("clang loop unroll(full)")
#define KERN_UNROLL_4 _Pragma("clang loop unroll_count(4)")
#else
#define KERN_UNROLL   _Pragma("GCC unroll 16")
#define KERN_UNROLL_4 _Pragma("GCC unroll 4")
#endif
