/* SPDX-License-Identifier: MIT */
/* A convolution's operands, and the runs of elements that a tap of its kernel connects. */
#pragma once
#include "backends/cpu/cpu_quant.h"
#include "backends/cpu/cpu_window.h"

/* Operands of one convolution; x [N, C, …], k [M, C/groups, …] (transposed: [C, M/groups, …]). */
struct conv {
    const struct tensor *x, *k, *bias, *out;
    struct ir_window w;
    struct cpu_quant xq, kq, yq; /* integer forms */
    size_t groups, c_each, m_each, space, taps, out_space;
    bool transposed;
};

/* Fills in sizes from x, k, bias, out and transposed; false when they do not fit each other. */
bool conv_shapes(const struct cpu_task *t, struct conv *c);

/* Positions of one side that a tap connects with the other: position i of `from` meets
 * i * stride + tap * dilation - pad of `to`, in each dimension. */
struct conv_tap_walk {
    const struct ir_window *w;
    const int64_t *from, *to; /* sizes of both sides */
    size_t tap, at, end;      /* positions [at, end) of `from` are still to come */
};
/* Neighbours along the last dimension: `from` + i meets `to` + i * step. */
struct conv_tap_run {
    size_t from, to, n, step;
};
bool conv_tap_next(struct conv_tap_walk *t, struct conv_tap_run *run);

/* ---- matrices of floats or doubles ---- */

/* c [m, n] += a' [m, k] * b [k, n]; sizes within int. */
struct conv_gemm {
    bool is_double, trans_a;
    size_t m, n, k, lda, ldb, ldc;
};
void conv_gemm_add(const struct conv_gemm *g, const void *a, const void *b, void *c);

/* n elements of x from `at` on, `step` apart, as float or double. */
void conv_load_run(const struct tensor *x, size_t at, size_t step, size_t n, bool is_double,
                   void *out);
