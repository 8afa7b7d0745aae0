/* SPDX-License-Identifier: MIT */
/* Inference of operators that make or ask shapes: constants, Shape, Size, Reshape, Flatten,
 * Transpose, Squeeze, Unsqueeze, Expand, Tile, Range. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- making values ---- */

static void constant_list(struct op_call *call, enum dtype dt, int n)
{
    call->out[0].type = (struct tensor_type){ .dtype = dt, .ndim = 1, .dim = { n } };
}

status infer_constant(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_constant *a = &call->attr.constant;
    struct tensor_type *out = &call->out[0].type;

    if (a->value)
        *out = a->value->type;
    else if (a->value_ints.v)
        constant_list(call, DT_I64, a->value_ints.n);
    else if (a->value_floats.v)
        constant_list(call, DT_F32, a->value_floats.n);
    else if (a->value_strings.v)
        constant_list(call, DT_STRING, a->value_strings.n);
    else
        *out = (struct tensor_type){ .dtype = a->has_value_int  ? DT_I64
                                              : a->value_string ? DT_STRING
                                                                : DT_F32 };
    return ST_OK;
}

/* A shape given as a value: known dims into *out, or as many unknown ones as the list is long. */
static status shape_from_input(struct op_call *call, int i, struct tensor_type *out,
                               struct err *err)
{
    int64_t v[IR_DIMS_MAX], count;
    int n;

    TRY(infer_dtype_is(call, i, DT_I64, err));
    TRY(infer_index_list(call, i, false, &count, err));
    TRY(infer_ints(call, i, v, &n, err));
    out->ndim = n >= 0 ? n : count >= 0 ? (int)count : -1;
    for (int k = 0; k < out->ndim; k++) {
        out->dim[k] = n >= 0 ? v[k] : DIM_UNKNOWN;
        if (n >= 0 && v[k] < 0)
            return infer_fail(call, err, ST_SHAPE, "dimension %d would be %" PRId64, k, v[k]);
    }
    return ST_OK;
}

status infer_fill(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor *value;
    struct tensor_type out = { .dtype = DT_F32 };
    size_t n;

    value = call->attr.fill.value;
    if (value) {
        if (!type_elements(&value->type, &n) || n != 1 || value->type.dtype == DT_STRING)
            return infer_fail(call, err, ST_FORMAT, "attribute 'value' is not one number");
        out.dtype = value->type.dtype;
    }
    TRY(shape_from_input(call, 0, &out, err));
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

status infer_shape(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_shape *a = &call->attr.shape;
    struct tensor_type out = { .dtype = DT_I64, .ndim = 1, .dim = { DIM_UNKNOWN } };

    const int64_t ndim = call->in[0].type.ndim;
    if (ndim >= 0) {
        const int64_t end = a->has_end ? a->end : ndim;
        const int64_t from =
            clamp(a->start < 0 ? clamp(a->start, -ndim, 0) + ndim : a->start, 0, ndim);
        const int64_t to = clamp(end < 0 ? clamp(end, -ndim - 1, 0) + ndim : end, 0, ndim);
        out.dim[0] = to > from ? to - from : 0;
    }
    call->out[0].type = out;
    return ST_OK;
}

status infer_size(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    call->out[0].type = (struct tensor_type){ .dtype = DT_I64 };
    return ST_OK;
}

/* ---- range ---- */

static status range_ints(const struct op_call *call, int64_t start, int64_t limit, int64_t delta,
                         int64_t *n, struct err *err)
{
    uint64_t span, step;

    if (delta == 0) return infer_fail(call, err, ST_SHAPE, "the step is 0");
    *n = 0;
    if (delta > 0 ? start >= limit : start <= limit) return ST_OK;
    span = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    const uint64_t count = (span - 1) / step + 1;
    if (count > INT64_MAX)
        return infer_fail(call, err, ST_LIMIT, "a range of %" PRIu64 " elements", count);
    *n = (int64_t)count;
    return ST_OK;
}

static bool range_read(const struct tensor *t, double *v)
{
    uint16_t half;
    float f;

    if (!t->data) return false;
    if (t->type.dtype == DT_F64) {
        memcpy(v, t->data, sizeof *v);
    } else if (t->type.dtype != DT_F32) {
        memcpy(&half, t->data, sizeof half);
        *v = (double)(t->type.dtype == DT_F16 ? half_to_f32(half) : bf16_to_f32(half));
    } else {
        memcpy(&f, t->data, sizeof f);
        *v = (double)f;
    }
    return true;
}

static status range_floats(const struct op_call *call, int64_t *n, struct err *err)
{
    double v[3];

    for (int i = 0; i < 3; i++) {
        if (!range_read(&call->in[i], &v[i])) return ST_OK;
    }
    const bool single = call->in[0].type.dtype == DT_F32;
    const double span = single ? (double)((float)v[1] - (float)v[0]) : v[1] - v[0];
    const double count = ceil(span / v[2]);
    if (v[2] == 0.0 || !isfinite(count))
        return infer_fail(call, err, ST_SHAPE, "the range is not finite");
    if (count > 9e15) return infer_fail(call, err, ST_LIMIT, "a range of %g elements", count);
    *n = count > 0 ? (int64_t)count : 0;
    return ST_OK;
}

static bool range_int_at(const struct tensor *t, int64_t *out)
{
    int16_t i16;
    int32_t i32;

    if (!t->data) return false;
    switch (t->type.dtype) {
    case DT_I16:
        memcpy(&i16, t->data, sizeof i16);
        *out = i16;
        return true;
    case DT_I32:
        memcpy(&i32, t->data, sizeof i32);
        *out = i32;
        return true;
    default: memcpy(out, t->data, sizeof *out); return true;
    }
}

status infer_range(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    int64_t n = DIM_UNKNOWN, v[3];
    size_t count;

    const enum dtype dt = call->in[0].type.dtype;
    if (dt != DT_I16 && dt != DT_I32 && dt != DT_I64 && dt != DT_F32 && dt != DT_F64 &&
        dt != DT_F16 && dt != DT_BF16)
        return infer_fail(call, err, ST_UNSUPPORTED, "a range of %s", dtype_name(dt));
    for (int i = 0; i < 3; i++) {
        TRY(infer_same_dtype(call, 0, i, err));
        TRY(infer_rank(call, i, 0, 1, err));
        if (type_elements(&call->in[i].type, &count) && count != 1)
            return infer_fail(call, err, ST_SHAPE, "input %d has %zu elements, expected a scalar",
                              i, count);
    }
    if (dtype_is_float(dt))
        TRY(range_floats(call, &n, err));
    else if (range_int_at(&call->in[0], &v[0]) && range_int_at(&call->in[1], &v[1]) &&
             range_int_at(&call->in[2], &v[2]))
        TRY(range_ints(call, v[0], v[1], v[2], &n, err));
    call->out[0].type = (struct tensor_type){ .dtype = dt, .ndim = 1, .dim = { n } };
    return infer_size_check(call, 0, err);
}

/* ---- reshape ---- */

/* The product of an input's dimensions with those that the target copies taken out: numbers, and
 * how many symbols (the last of them kept). */
struct reshape_rest {
    size_t product;
    int symbols;
    int64_t symbol;
};

static status rest_add(const struct op_call *call, struct reshape_rest *r, int64_t dim,
                       struct err *err)
{
    if (dim < 0) {
        r->symbols++;
        r->symbol = dim;
        return ST_OK;
    }
    if (checked_mul(r->product, (size_t)dim, &r->product)) return ST_OK;
    return infer_fail(call, err, ST_LIMIT, "the number of elements overflows");
}

struct reshape_rests {
    struct reshape_rest x, y; /* of the input, of the target */
};

/* Dimensions that stand in both shapes cancel out, symbols included. */
static status reshape_rests(const struct op_call *call, const struct tensor_type *x,
                            const struct tensor_type *y, int wild, struct reshape_rests *r,
                            struct err *err)
{
    bool taken[IR_DIMS_MAX] = { false };

    r->x = r->y = (struct reshape_rest){ .product = 1 };
    for (int i = 0; i < y->ndim; i++) {
        int k = 0;
        if (i == wild) continue;
        while (k < x->ndim &&
               (taken[k] || y->dim[i] >= 0 || y->dim[i] == DIM_UNKNOWN || x->dim[k] != y->dim[i]))
            k++;
        if (k < x->ndim)
            taken[k] = true;
        else
            TRY(rest_add(call, &r->y, y->dim[i], err));
    }
    for (int k = 0; k < x->ndim; k++) {
        if (!taken[k]) TRY(rest_add(call, &r->x, x->dim[k], err));
    }
    return ST_OK;
}

/* Fills the dimension `wild` (-1: there is none) of y so that it has as many elements as x, and
 * compares. */
static status reshape_solve(const struct op_call *call, const struct tensor_type *x,
                            struct tensor_type *y, int wild, struct err *err)
{
    char x_text[128], y_text[128];
    struct reshape_rests r;

    TRY(reshape_rests(call, x, y, wild, &r, err));
    if (wild < 0) {
        if (r.x.symbols > 0 || r.y.symbols > 0 || r.x.product == r.y.product) return ST_OK;
    } else if (r.x.symbols == 0 && r.y.symbols == 0) {
        if (r.y.product != 0 && r.x.product % r.y.product == 0) {
            y->dim[wild] = (int64_t)(r.x.product / r.y.product);
            return ST_OK;
        }
    } else {
        if (r.x.symbols == 1 && r.y.symbols == 0 && r.x.product == r.y.product)
            y->dim[wild] = r.x.symbol;
        return ST_OK;
    }
    return infer_fail(call, err, ST_SHAPE, "%s cannot become %s",
                      type_print(x, x_text, sizeof x_text), type_print(y, y_text, sizeof y_text));
}

/* The list of Reshape: 0 copies (unless allowzero), -1 is computed. */
static status reshape_to(struct op_call *call, const int64_t *v, int n, struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;
    struct tensor_type y = { .dtype = x->dtype, .ndim = n };
    const bool allow_zero = call->attr.reshape.allowzero != 0;
    int wild = -1;

    for (int i = 0; i < n; i++) {
        y.dim[i] = v[i];
        if (v[i] == -1) {
            if (wild >= 0) return infer_fail(call, err, ST_SHAPE, "the shape has two -1");
            wild = i;
        } else if (v[i] < -1) {
            return infer_fail(call, err, ST_SHAPE, "the shape holds %" PRId64, v[i]);
        } else if (v[i] == 0 && !allow_zero) {
            if (x->ndim >= 0 && i >= x->ndim)
                return infer_fail(call, err, ST_SHAPE,
                                  "dimension %d is to be copied, the input has %d", i, x->ndim);
            y.dim[i] = x->ndim >= 0 ? x->dim[i] : DIM_UNKNOWN;
        }
    }
    call->out[0].type = y;
    if (x->ndim < 0) return ST_OK;
    return reshape_solve(call, x, &call->out[0].type, wild, err);
}

status infer_reshape(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct ir_ints *attr = &call->attr.reshape.shape;
    int64_t v[IR_DIMS_MAX], count = 0;
    int n = -1;

    if (!infer_has_in(call, 1)) {
        if (!attr->v) return infer_fail(call, err, ST_FORMAT, "input 1 is required");
        if (attr->n > IR_DIMS_MAX)
            return infer_fail(call, err, ST_UNSUPPORTED, "%d dimensions", attr->n);
        return reshape_to(call, attr->v, attr->n, err);
    }
    TRY(infer_dtype_is(call, 1, DT_I64, err));
    TRY(infer_index_list(call, 1, false, &count, err));
    TRY(infer_ints(call, 1, v, &n, err));
    if (n >= 0) return reshape_to(call, v, n, err);
    struct tensor_type out = infer_unranked(call->in[0].type.dtype);
    if (count >= 0) out.ndim = (int)count;
    for (int i = 0; i < out.ndim; i++) out.dim[i] = DIM_UNKNOWN;
    call->out[0].type = out;
    return ST_OK;
}

static status span_product(const struct op_call *call, const struct tensor_type *t, int from,
                           int to, int64_t *out, struct err *err)
{
    *out = 1;
    for (int i = from; i < to; i++) TRY(infer_dim_mul(call, *out, t->dim[i], out, err));
    return ST_OK;
}

status infer_flatten(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    struct tensor_type out = { .dtype = x->dtype, .ndim = 2, .dim = { DIM_UNKNOWN, DIM_UNKNOWN } };
    const int64_t axis = call->attr.flatten.axis;

    if (x->ndim >= 0) {
        if (axis < -x->ndim || axis > x->ndim)
            return infer_fail(call, err, ST_SHAPE, "axis %" PRId64 " with %d dimensions", axis,
                              x->ndim);
        const int at = (int)(axis < 0 ? axis + x->ndim : axis);
        TRY(span_product(call, x, 0, at, &out.dim[0], err));
        TRY(span_product(call, x, at, x->ndim, &out.dim[1], err));
    }
    call->out[0].type = out;
    return ST_OK;
}

status infer_transpose(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    const struct ir_ints *perm = &call->attr.transpose.perm;
    struct tensor_type out = *x;
    bool seen[IR_DIMS_MAX] = { false };

    if (perm->v && perm->n > IR_DIMS_MAX)
        return infer_fail(call, err, ST_UNSUPPORTED, "perm has %d entries", perm->n);
    if (x->ndim < 0) {
        call->out[0].type = out;
        return ST_OK;
    }
    if (perm->v && perm->n != x->ndim)
        return infer_fail(call, err, ST_SHAPE, "perm has %d entries, the input %d dimensions",
                          perm->n, x->ndim);
    for (int i = 0; i < x->ndim; i++) {
        const int64_t from = perm->v ? perm->v[i] : x->ndim - 1 - i;
        if (from < 0 || from >= x->ndim || seen[from])
            return infer_fail(call, err, ST_FORMAT, "perm is no permutation");
        seen[from] = true;
        out.dim[i] = x->dim[from];
    }
    call->out[0].type = out;
    return ST_OK;
}

/* ---- axes that come and go ---- */

/* Axes of Squeeze and Unsqueeze: attribute before opset 13, input since. *n = -1: not known; -2:
 * not given. */
static status axes_of(const struct op_call *call, int64_t v[IR_DIMS_MAX], int *n, int64_t *count,
                      struct err *err)
{
    const struct ir_ints *attr = &call->attr.axes.axes;

    if (infer_has_in(call, 1)) {
        if (call->version < 13)
            return infer_fail(call, err, ST_FORMAT,
                              "axes as an input need opset 13, the model has %d", call->version);
        TRY(infer_index_list(call, 1, true, count, err));
        return infer_ints(call, 1, v, n, err);
    }
    *n = -2;
    *count = 0;
    if (!attr->v) return ST_OK;
    if (attr->n > IR_DIMS_MAX) return infer_fail(call, err, ST_UNSUPPORTED, "%d axes", attr->n);
    if (attr->n > 0) memcpy(v, attr->v, (size_t)attr->n * sizeof *v);
    *count = *n = attr->n;
    return ST_OK;
}

/* Marks the axes in `set`; negative ones count from the end of `ndim`; twice the same is an error.
 */
static status axes_mark(const struct op_call *call, const int64_t *v, int n, int ndim,
                        bool set[IR_DIMS_MAX], struct err *err)
{
    for (int i = 0; i < n; i++) {
        int at;
        TRY(infer_axis(call, "an axis", v[i], ndim, &at, err));
        if (set[at]) return infer_fail(call, err, ST_SHAPE, "axis %d is given twice", at);
        set[at] = true;
    }
    return ST_OK;
}

static struct tensor_type unknown_dims(enum dtype dt, int64_t ndim)
{
    struct tensor_type t = infer_unranked(dt);

    if (ndim < 0 || ndim > IR_DIMS_MAX) return t;
    t.ndim = (int)ndim;
    for (int i = 0; i < t.ndim; i++) t.dim[i] = DIM_UNKNOWN;
    return t;
}

status infer_squeeze(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    struct tensor_type out = { .dtype = x->dtype };
    bool gone[IR_DIMS_MAX] = { false };
    int64_t v[IR_DIMS_MAX], count;
    int n;

    TRY(axes_of(call, v, &n, &count, err));
    call->out[0].type =
        unknown_dims(x->dtype, x->ndim >= 0 && count >= 0 && n != -2 ? x->ndim - count : -1);
    if (x->ndim < 0 || n == -1) return ST_OK;
    if (n >= 0) TRY(axes_mark(call, v, n, x->ndim, gone, err));
    for (int i = 0; i < x->ndim; i++) {
        if (n == -2 && x->dim[i] < 0) return ST_OK;
        if (n == -2) gone[i] = x->dim[i] == 1;
        if (gone[i])
            TRY(infer_dim_is(call, 0, i, 1, err));
        else
            (void)infer_push_dim(&out, x->dim[i]);
    }
    call->out[0].type = out;
    return ST_OK;
}

status infer_unsqueeze(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    struct tensor_type out = { .dtype = x->dtype };
    bool fresh[IR_DIMS_MAX] = { false };
    int64_t v[IR_DIMS_MAX], count;
    int n, from = 0;

    TRY(axes_of(call, v, &n, &count, err));
    if (n == -2) return infer_fail(call, err, ST_FORMAT, "axes are required");
    if (x->ndim >= 0 && count >= 0 && x->ndim + count > IR_DIMS_MAX)
        return infer_fail(call, err, ST_UNSUPPORTED, "the result has %" PRId64 " dimensions",
                          x->ndim + count);
    call->out[0].type = unknown_dims(x->dtype, x->ndim >= 0 && count >= 0 ? x->ndim + count : -1);
    if (x->ndim < 0 || n < 0) return ST_OK;
    TRY(axes_mark(call, v, n, x->ndim + n, fresh, err));
    for (int i = 0; i < x->ndim + n; i++) (void)infer_push_dim(&out, fresh[i] ? 1 : x->dim[from++]);
    call->out[0].type = out;
    return ST_OK;
}

/* ---- repetition ---- */

status infer_expand(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct tensor_type shape = { .dtype = DT_NONE }, out = { .dtype = call->in[0].type.dtype };

    TRY(shape_from_input(call, 1, &shape, err));
    TRY(infer_broadcast(call, &call->in[0].type, &shape, &out, err));
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

status infer_tile(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    struct tensor_type times = { .dtype = DT_NONE };

    TRY(shape_from_input(call, 1, &times, err));
    if (x->ndim >= 0 && times.ndim >= 0 && x->ndim != times.ndim)
        return infer_fail(call, err, ST_SHAPE, "%d repeats for %d dimensions", times.ndim, x->ndim);
    struct tensor_type out = unknown_dims(x->dtype, x->ndim >= 0 ? x->ndim : times.ndim);
    for (int i = 0; x->ndim >= 0 && times.ndim >= 0 && i < x->ndim; i++)
        TRY(infer_dim_mul(call, x->dim[i], times.dim[i], &out.dim[i], err));
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

/* x and one value: the shape of the one, the type of the other. */
status infer_filllike(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    size_t n;

    if (type_elements(&call->in[1].type, &n) && n != 1)
        return infer_fail(call, err, ST_SHAPE, "the value has %zu elements, expected 1", n);
    if (dtype_bits(call->in[1].type.dtype) < 8)
        return infer_fail(call, err, ST_UNSUPPORTED, "the value is %s",
                          dtype_name(call->in[1].type.dtype));
    call->out[0].type = infer_typed(call->in[1].type.dtype, &call->in[0].type);
    return infer_size_check(call, 0, err);
}
