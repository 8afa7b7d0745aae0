/* SPDX-License-Identifier: MIT */
/* Constant matrices into the panels of kernels/linear_pack, all workers sharing the work. Each goes
 * through the source slice by slice and says what it is done with (op_call.packed), so that loading
 * takes the packed weights and some slices, not the source as well. */
#pragma once
#include "backends/cpu/cpu.h"

/* What is done with before the next is read, for each worker: small beside any model, large beside
 * the cost of giving pages back. */
enum { CPU_PACK_SLICE_BYTES = 512 << 10 };

struct cpu_panels {
    char *out; /* [count] of `bytes` each */
    size_t count, bytes;
};

/* How many of `n` things of `each` bytes make a slice; at least 1. */
size_t cpu_pack_slice(size_t n, size_t each);

/* The call's constant is done with in [data, data + n). */
void cpu_pack_tell(const struct op_call *call, const void *data, size_t n);

/* As cpu_to_f32, of elements that may lie misaligned. */
void cpu_pack_floats(float *out, const void *base, enum dtype dt, size_t offset, size_t n);

void cpu_pack_plain(struct cpu_backend *be, const struct op_call *call, const struct cpu_panels *to,
                    const struct kern_plain_source *src);

/* A matrix in MatMulNBits form as the file has it; nothing need be aligned. */
struct cpu_qsource {
    const uint8_t *b;   /* [n][blocks][block * bits / 8], low bits first */
    const void *scales; /* [n][blocks] of scale_type */
    const void *zp;     /* NULL; floats [n][blocks], or u8[n][ceil(blocks * bits / 8)] */
    enum dtype scale_type, zp_type;
    unsigned bits; /* 2, 4 or 8. Those of 2 bits are packed as 4, with zero points. */
};

/* shape: as packed; its zp is KERN_ZP_NONE or KERN_ZP_E2M1 where src->zp is not to be read.
 * ST_NOMEM. */
status cpu_pack_quantised(struct cpu_backend *be, const struct op_call *call,
                          const struct cpu_panels *to, const struct kern_qshape *shape,
                          const struct cpu_qsource *src, struct err *err);
