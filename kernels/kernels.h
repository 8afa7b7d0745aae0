/* SPDX-License-Identifier: MIT */
/* kernels/: pure compute. One folder per kernel family; <name>.h is the contract, <name>_scalar.c
 * the reference, <name>_<isa>.c a variant, <name>_vec.inc a body shared by variants (it is written
 * over the vector vocabulary of vec/vec_<isa>.inc). kernels.def lists every (slot, variant) once.
 *
 * Kernels see pointers, sizes and strides: no tensors, threads, status, or allocation. All are
 * reentrant. Unless its header says otherwise a kernel needs no alignment, reads nothing past the
 * last element and writes nothing but its output; sizes may be zero.
 *
 * Use: kern_init(kern_cpu_features()) once at start, then call through the table, e.g.
 *     kern.rmsnorm_f32(out, in, weight, rows, cols, eps);
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/attn/attn.h"
#include "kernels/causal_conv/causal_conv.h"
#include "kernels/convert/convert.h"
#include "kernels/dequant_row/dequant_row.h"
#include "kernels/eltwise/eltwise.h"
#include "kernels/layernorm/layernorm.h"
#include "kernels/kv_quant/kv_quant.h"
#include "kernels/linattn/linattn.h"
#include "kernels/linear_fp/linear_fp.h"
#include "kernels/linear_i8/linear_i8.h"
#include "kernels/linear_pack/linear_pack.h"
#include "kernels/linear_q/linear_q.h"
#include "kernels/probe/probe.h"
#include "kernels/quantize/quantize.h"
#include "kernels/reduce/reduce.h"
#include "kernels/rmsnorm/rmsnorm.h"
#include "kernels/rope/rope.h"
#include "kernels/softmax/softmax.h"

/* What a variant may need of the CPU (and of the OS: wide registers must be saved). */
enum kern_cpu {
    CPU_AVX2 = 1 << 0,       /* AVX2 */
    CPU_FMA = 1 << 1,        /* FMA3 */
    CPU_F16C = 1 << 2,       /* half <-> float conversion */
    CPU_AVX512 = 1 << 3,     /* AVX-512 F, BW, CD, DQ, VL together */
    CPU_AVX512VNNI = 1 << 4, /* vpdpbusd zmm */
    CPU_AVX512BF16 = 1 << 5, /* vdpbf16ps zmm */
    CPU_AVXVNNI = 1 << 6,    /* vpdpbusd ymm, VEX form */
    CPU_NEON = 1 << 7,       /* Advanced SIMD: every arm64 */
    CPU_NEONDOT = 1 << 8,    /* sdot/udot */
};
#define KERN_CPU_ALL 0x1ffu

/* Features of this CPU, as a mask of enum kern_cpu. */
uint32_t kern_cpu_features(void);

/* Mask for the name of an ISA level: "scalar", "avx2", "avxvnni", "avx512", "avx512vnni",
 * "avx512bf16", "neon", "neondot", "native" (everything). A level includes the ones beneath it.
 * False when the name is unknown; *mask is then untouched. */
bool kern_isa_mask(const char *name, uint32_t *mask);

/* The names kern_isa_mask knows, i = 0..; NULL past the end. */
const char *kern_isa_name(size_t i);

/* Writes the features of `mask` as "avx2+fma", "-" when there are none. Always terminated;
 * text is cut when size is too small. */
void kern_cpu_text(uint32_t mask, char *out, size_t size);

/* One pointer per slot. */
struct kern_table {
#define KERNEL_SLOT(slot) kern_##slot##_fn *slot;
#define KERNEL(slot, variant, needs)
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT
};
extern struct kern_table kern;

/* Fills `kern`: for each slot the first row of kernels.def whose needs are in `allowed` and in
 * this CPU. May be called again (tests do); not while kernels run. */
void kern_init(uint32_t allowed);

/* The listing behind `cupola kernels`: every row built into this binary, in list order. */
struct kern_row {
    const char *slot, *variant;
    uint32_t needs; /* mask of enum kern_cpu */
    bool runnable;  /* this CPU has what it needs */
    bool chosen;    /* kern.<slot> is this one */
};
size_t kern_row_count(void);
struct kern_row kern_row_at(size_t i);

/* Declarations of every variant, for kernels.c, the variants themselves and the checker. */
#define KERNEL_SLOT(slot)
#define KERNEL(slot, variant, needs) kern_##slot##_fn kern_##slot##_##variant;
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT
