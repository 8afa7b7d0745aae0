/* SPDX-License-Identifier: MIT */
/* engine/ops/: what every operator's types and shapes must be. One infer_<stem> per stem of
 * ops.def, grouped by file; they run at import with symbols and before each dense kernel with
 * concrete shapes, so they are the guard that keeps kernels safe. This header is for the folder
 * itself; others reach inference through op_row(). */
#pragma once
#include "engine/ops/infer_all.h"

/* "node 'n' (Op)" for messages. Every FAIL of this folder begins with it. */
status infer_fail(const struct op_call *call, struct err *err, status st, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* First statement of each inference: arity and the presence of required inputs. */
status infer_begin(struct op_call *call, struct err *err);

bool infer_has_in(const struct op_call *call, int i);
bool infer_has_out(const struct op_call *call, int i);

/* ---- dtypes ---- */

enum dtype_set {
    SET_FLOAT = 1, /* f16 bf16 f32 f64 */
    SET_INT = 2,   /* 8 to 64 bits, signed or not */
    SET_BOOL = 4,
    SET_NUMBER = SET_FLOAT | SET_INT,
    SET_ANY = 8,     /* everything with a dtype */
    SET_INDEX = 16,  /* i32 i64 */
    SET_SIGNED = 32, /* SET_FLOAT and signed integers */
    SET_F32_F16 = 64 /* f32 f16 bf16 */
};
/* Input i has a dtype of the set. */
status infer_dtype_in(const struct op_call *call, int i, unsigned set, struct err *err);
/* Inputs i and j have one dtype. */
status infer_same_dtype(const struct op_call *call, int i, int j, struct err *err);
status infer_dtype_is(const struct op_call *call, int i, enum dtype dt, struct err *err);

/* ---- shapes ---- */

/* Input i has a rank within [min, max], or an unknown one. */
status infer_rank(const struct op_call *call, int i, int min, int max, struct err *err);
/* 1 equal (or the same symbol), 0 cannot be said, -1 different. */
int infer_dim_compare(int64_t a, int64_t b);
/* Dimension d of input i is `want`: error when known to differ. Unknown on either side passes. d <
 * 0 counts from the end. */
status infer_dim_is(const struct op_call *call, int i, int d, int64_t want, struct err *err);
/* The better known of two that agree. */
int64_t infer_dim_merge(int64_t a, int64_t b);
/* a * b, or DIM_UNKNOWN; a symbol times 1 stays. */
status infer_dim_mul(const struct op_call *call, int64_t a, int64_t b, int64_t *out,
                     struct err *err);
/* a + b, likewise (a symbol plus 0 stays). */
status infer_dim_add(const struct op_call *call, int64_t a, int64_t b, int64_t *out,
                     struct err *err);
/* Numpy broadcasting of two shapes into *out (dims and ndim only). */
status infer_broadcast(const struct op_call *call, const struct tensor_type *a,
                       const struct tensor_type *b, struct tensor_type *out, struct err *err);
/* Shape a can be broadcast to exactly shape b. */
status infer_broadcasts_to(const struct op_call *call, int i, const struct tensor_type *b,
                           struct err *err);
/* Output 0 of a product of inputs 0 and 1, both of known rank, by numpy's rules: leading dimensions
 * broadcast, the last two are M and N, those of a vector fall away. */
status infer_matmul_shape(struct op_call *call, enum dtype dtype, struct err *err);
/* Adds known output sizes up: a result whose bytes overflow is ST_LIMIT. */
status infer_size_check(const struct op_call *call, int out, struct err *err);
/* Attribute or input axis: [-ndim, ndim) to [0, ndim). */
status infer_axis(const struct op_call *call, const char *what, int64_t axis, int ndim, int *out,
                  struct err *err);
/* Result type: dtype and the shape of `shape`. */
struct tensor_type infer_typed(enum dtype dtype, const struct tensor_type *shape);
struct tensor_type infer_unranked(enum dtype dtype);
/* Adds a dimension at the end. False beyond IR_DIMS_MAX. */
bool infer_push_dim(struct tensor_type *t, int64_t dim);

/* attr.scatter.reduction is one of those that ONNX names, and input 0 of a type it works on. */
status infer_scatter_reduction(const struct op_call *call, struct err *err);

/* ---- values ---- */

/* Reads input i, if its value is known, as integers (i32 or i64), at most IR_DIMS_MAX of them. *n =
 * count, or -1 when not known. More than IR_DIMS_MAX elements are an error. */
status infer_ints(const struct op_call *call, int i, int64_t v[IR_DIMS_MAX], int *n,
                  struct err *err);
/* Element k of a known integer input (i32, i64); false when not known. */
bool infer_int_at(const struct op_call *call, int i, size_t k, int64_t *out);
/* Input i is a 1-D (or, if scalar_ok, 0-D) index tensor of `count` elements (DIM_UNKNOWN: any
 * number); its count when known comes back. */
status infer_index_list(const struct op_call *call, int i, bool scalar_ok, int64_t *count,
                        struct err *err);
