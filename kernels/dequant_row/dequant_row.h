/* SPDX-License-Identifier: MIT */
/* One row of a block-quantised table in its ONNX form (GatherBlockQuantized, or a MatMulNBits
 * matrix read as an embedding): out[k] = (q[k] - zp[k / block]) * scale[k / block]. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct kern_dequant_row_args {
    const uint8_t *q;   /* ceil(k * bits / 8) bytes, low nibble first */
    const float *scale; /* [ceil(k / block)] */
    const uint8_t *zp;  /* packed as q, one per block, low first; NULL for 2^(bits-1) */
    float *out;         /* [k] */
    size_t k;
    uint32_t block;     /* > 0; even for 4 bits */
    uint32_t is_signed; /* not 0: q and zp are two's complement and a NULL zp means 0 */
};
typedef void kern_dequant_row_q4_fn(const struct kern_dequant_row_args *a);
typedef void kern_dequant_row_q8_fn(const struct kern_dequant_row_args *a);
