/* SPDX-License-Identifier: MIT */
/* Linear attention, NEON. */
#define KERN(slot) kern_##slot##_neon
#include "kernels/vec/vec_neon.inc"

#include "kernels/linattn/linattn_vec.inc"
