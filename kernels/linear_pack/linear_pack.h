/* SPDX-License-Identifier: MIT */
/* Packed weights of linear layers: the panel layout, its sizes, and packing into it. Plain C, not
 * slots: packing runs once per load.
 *
 * A weight matrix W[n][k] (out = x * W^T, ONNX MatMulNBits order) is cut into panels of KERN_NR
 * columns (= output features). The last panel is padded with zero scales and zero data. Panels
 * follow each other without gaps; everything about one panel is contiguous, so a decode step reads
 * one forward stream, and panels p..q are a matrix of their own.
 *
 * Block-quantised panel: k is cut into blocks; for each block in order
 *
 *     +-----------------------+--------------------------------+-------------------------------+
 *     | scale[16] f32 (64 B)  | zero points: none, u8[16] (16B)| data: block * 16 * bits/8 B   |
 *     |                       |   or f32[16] (64 B)            |                               |
 *     +-----------------------+--------------------------------+-------------------------------+
 *
 *   data, 8 bits: for each group g of 4 k: 64 bytes [16 columns][4 k], so that one 64-byte load
 *   is the unsigned operand of vpdpbusd against 4 broadcast activations:
 *
 *       byte 4c+j = q[column c][k = 4g+j]
 *
 *   data, 4 bits: for each pair of groups (2h, 2h+1): 64 bytes; low nibbles are group 2h and high
 *   nibbles group 2h+1:
 *
 *       byte 4c+j = q[c][8h+j] | q[c][8h+4+j] << 4
 *
 * The weight is (q - zp) * scale, zp = 2^(bits-1) when none is stored; or e2m1(q) * scale: the 16
 * numbers of the 4-bit float, 0 0.5 1 1.5 2 3 4 6 and, from code 8 on, their negatives. k is padded
 * to whole blocks: padding q is the column's zero point where it is an integer (e2m1: code 0), and
 * activations are zero there.
 *
 * Plain panel (f32, f16, bf16 weights): [k][16] elements, no padding of k.
 *
 * Packed data should start 64-byte aligned for speed; nothing breaks if it does not. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERN_NR = 16 };

/* How zero points are stored. E2M1: not at all, the codes are floats (4 bits only; no a8 kernels).
 */
enum kern_zp { KERN_ZP_NONE, KERN_ZP_U8, KERN_ZP_F32, KERN_ZP_E2M1 };

/* A block-quantised matrix. bits is 4 or 8; block is a power of two, 16..256; n, k > 0. */
struct kern_qshape {
    size_t n, k;
    uint32_t block;
    uint8_t bits;
    uint8_t zp; /* enum kern_zp */
};

/* False when bits, block or zp is none of the above, n or k is 0, or sizes overflow. The size
 * functions and the packers below assume true. */
bool kern_qshape_ok(const struct kern_qshape *s);

size_t kern_panel_count(size_t n);                                   /* ceil(n / 16) */
size_t kern_q_blocks(size_t k, uint32_t block);                      /* ceil(k / block) */
size_t kern_q_block_bytes(uint32_t block, uint8_t bits, uint8_t zp); /* one block of a panel */
size_t kern_q_panel_bytes(const struct kern_qshape *s);
size_t kern_q_packed_bytes(const struct kern_qshape *s); /* all panels */

/* A matrix in ONNX MatMulNBits form. */
struct kern_qsource {
    const uint8_t *b;     /* [n][blocks][block * bits / 8], low bits first */
    const float *scales;  /* [n][blocks] */
    const uint8_t *zp_u8; /* KERN_ZP_U8: [n][ceil(blocks * bits / 8)], packed low first per row */
    const float *zp_f32;  /* KERN_ZP_F32: [n][blocks] */
};

/* Packs panels [first, first + count) of the matrix to `out`, which points at panel `first` and
 * has count * kern_q_panel_bytes(s) bytes. Panels are independent: threads may share the work. */
void kern_pack_q(void *out, const struct kern_qshape *s, const struct kern_qsource *src,
                 size_t first, size_t count);

/* Plain weights. elem_size is 4 (f32) or 2 (f16, bf16): bits are moved, not converted. Element
 * (n, k) of the source is at n * stride_n + k * stride_k elements: (k, 1) for W[n][k], (1, n) for
 * W[k][n]. Columns past n in the last panel become zero. */
struct kern_plain_source {
    const void *w;
    size_t n, k;
    size_t stride_n, stride_k; /* in elements */
    size_t elem_size;
};
size_t kern_plain_panel_bytes(size_t k, size_t elem_size);            /* k * 16 * elem_size */
size_t kern_plain_packed_bytes(size_t n, size_t k, size_t elem_size); /* 0 on overflow */
void kern_pack_plain(void *out, const struct kern_plain_source *src, size_t first, size_t count);
/* Column c (0 to 15) of the plain panel at `panel`: k elements to out. */
void kern_plain_column(void *out, const void *panel, size_t k, size_t elem_size, size_t c);
/* Of panel p at `panel` only k in [first, first + count): for W[k][n], whose rows of k are best
 * read one after the other. */
void kern_pack_plain_rows(void *panel, const struct kern_plain_source *src, size_t p, size_t first,
                          size_t count);
