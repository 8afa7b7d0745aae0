/* SPDX-License-Identifier: MIT */
/* Inference of operators that resize, pad, sample and rearrange images, and of those that choose
 * elements by conditions. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <string.h>

static struct tensor_type unknown_of_rank(enum dtype dt, int ndim)
{
    struct tensor_type t = { .dtype = dt, .ndim = ndim };

    for (int d = 0; d < ndim; d++) t.dim[d] = DIM_UNKNOWN;
    return t;
}

/* ---- Resize ---- */

status infer_resize(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_resize *a = &call->attr.resize;
    const struct tensor_type *x = &call->in[0].type;
    const bool old = call->op == OP_UPSAMPLE || call->version < 11;
    const int at = old ? 1 : 2;
    const struct tensor attr = { type_make(DT_F32, 1, (int64_t[]){ a->scales.n }),
                                 (void *)(uintptr_t)a->scales.v };
    const struct tensor *scales = infer_has_in(call, at) ? &call->in[at] : NULL, *sizes = NULL;
    struct ir_resize r;
    size_t n;

    TRY(infer_dtype_in(call, 0, SET_NUMBER | SET_BOOL, err));
    if (scales && type_elements(&scales->type, &n) && n == 0) scales = NULL;
    if (old && !scales) scales = a->scales.v ? &attr : NULL;
    if (!old && infer_has_in(call, 3)) sizes = &call->in[3];
    if (!scales == !sizes)
        return infer_fail(call, err, ST_FORMAT, "expected either scales or sizes");
    if (scales && scales != &attr) TRY(infer_dtype_is(call, at, DT_F32, err));
    if (sizes) TRY(infer_dtype_is(call, 3, DT_I64, err));
    call->out[0].type = unknown_of_rank(x->dtype, x->ndim);
    if (!type_known(x) || !(scales ? scales->data : sizes->data)) return ST_OK;
    if (!ir_resize_plan(&r, x, scales, sizes, a))
        return infer_fail(call, err, ST_SHAPE, "scales, sizes or axes do not fit the input");
    for (int d = 0; d < r.n; d++) call->out[0].type.dim[d] = r.out[d];
    return infer_size_check(call, 0, err);
}

/* ---- Pad, CenterCropPad ---- */

static status pad_lists(const struct op_call *call, int64_t v[2 * IR_DIMS_MAX],
                        int64_t axes[IR_DIMS_MAX], int *n, struct err *err)
{
    const struct ir_ints *attr = &call->attr.pad.pads;
    const int ndim = call->in[0].type.ndim;
    size_t count = (size_t)attr->n;
    int n_axes = ndim;

    *n = -1;
    for (int d = 0; d < ndim; d++) axes[d] = d;
    if (infer_has_in(call, 3)) {
        TRY(infer_dtype_in(call, 3, SET_INDEX, err));
        TRY(infer_ints(call, 3, axes, &n_axes, err));
        if (n_axes < 0) return ST_OK;
    }
    if (infer_has_in(call, 1)) {
        TRY(infer_dtype_is(call, 1, DT_I64, err));
        if (!call->in[1].data || !type_elements(&call->in[1].type, &count)) return ST_OK;
    } else if (!attr->v) {
        return infer_fail(call, err, ST_FORMAT, "no pads");
    }
    if (n_axes > ndim || count != 2 * (size_t)n_axes)
        return infer_fail(call, err, ST_SHAPE, "%zu pads for %d axes", count, n_axes);
    for (size_t i = 0; i < count; i++) {
        if (infer_has_in(call, 1))
            (void)infer_int_at(call, 1, i, &v[i]);
        else
            v[i] = attr->v[i];
    }
    *n = n_axes;
    return ST_OK;
}

status infer_pad(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct tensor_type out = call->in[0].type;
    int64_t v[2 * IR_DIMS_MAX] = { 0 }, axes[IR_DIMS_MAX];
    bool seen[IR_DIMS_MAX] = { false };
    int n, at;

    if (infer_has_in(call, 2)) TRY(infer_same_dtype(call, 0, 2, err));
    call->out[0].type = unknown_of_rank(out.dtype, out.ndim);
    if (out.ndim < 0) return ST_OK;
    TRY(pad_lists(call, v, axes, &n, err));
    if (n < 0) return ST_OK;
    for (int i = 0; i < n; i++) {
        TRY(infer_axis(call, "an axis", axes[i], out.ndim, &at, err));
        if (seen[at]) return infer_fail(call, err, ST_SHAPE, "axis %d is padded twice", at);
        seen[at] = true;
        if (v[i] > INT32_MAX || v[i] < -INT32_MAX || v[n + i] > INT32_MAX || v[n + i] < -INT32_MAX)
            return infer_fail(call, err, ST_LIMIT, "a pad of %" PRId64 " or %" PRId64, v[i],
                              v[n + i]);
        if (out.dim[at] < 0) continue;
        const bool grows = v[i] + v[n + i] > 0;
        if (grows && out.dim[at] == 0 && strcmp(call->attr.pad.mode, "constant") != 0)
            return infer_fail(call, err, ST_SHAPE, "dimension %d is empty", at);
        out.dim[at] += v[i] + v[n + i];
        if (out.dim[at] < 0)
            return infer_fail(call, err, ST_SHAPE, "dimension %d would be %" PRId64, at,
                              out.dim[at]);
    }
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

status infer_centercroppad(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct ir_ints *axes = &call->attr.axes.axes;
    struct tensor_type out = call->in[0].type;
    int64_t v[IR_DIMS_MAX];
    int n, at;

    TRY(infer_dtype_in(call, 1, SET_INDEX, err));
    TRY(infer_ints(call, 1, v, &n, err));
    call->out[0].type = unknown_of_rank(out.dtype, out.ndim);
    if (out.ndim < 0 || n < 0) return ST_OK;
    if (n != (axes->v ? axes->n : out.ndim))
        return infer_fail(call, err, ST_SHAPE, "%d sizes for another number of axes", n);
    for (int i = 0; i < n; i++) {
        TRY(infer_axis(call, "an axis", axes->v ? axes->v[i] : i, out.ndim, &at, err));
        if (v[i] < 0) return infer_fail(call, err, ST_SHAPE, "a size is %" PRId64, v[i]);
        out.dim[at] = v[i];
    }
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

/* ---- blocks ---- */

status infer_depthspace(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const int64_t b = call->attr.depthspace.blocksize;
    const bool to_depth = call->op == OP_SPACETODEPTH;
    struct tensor_type out = call->in[0].type;

    TRY(infer_rank(call, 0, 4, 4, err));
    if (b < 1 || b > INT16_MAX) return infer_fail(call, err, ST_FORMAT, "blocksize is %" PRId64, b);
    for (int d = 1; d < out.ndim; d++) {
        const int64_t by = d == 1 ? b * b : b;
        const bool shrinks = (d == 1) != to_depth;

        if (out.dim[d] < 0) {
            out.dim[d] = DIM_UNKNOWN;
        } else if (!shrinks) {
            TRY(infer_dim_mul(call, out.dim[d], by, &out.dim[d], err));
        } else {
            if (out.dim[d] % by != 0)
                return infer_fail(call, err, ST_SHAPE,
                                  "dimension %d is %" PRId64 ", no multiple of %" PRId64, d,
                                  out.dim[d], by);
            out.dim[d] /= by;
        }
    }
    call->out[0].type = out;
    return ST_OK;
}

status infer_eyelike(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_eyelike *a = &call->attr.eyelike;
    const enum dtype dt = a->dtype ? (enum dtype)a->dtype : call->in[0].type.dtype;

    TRY(infer_rank(call, 0, 2, 2, err));
    if (a->dtype < 0 || a->dtype >= DT_COUNT || dtype_bits(dt) < 8 || dt == DT_C64 || dt == DT_C128)
        return infer_fail(call, err, ST_UNSUPPORTED, "dtype is %" PRId64, a->dtype);
    call->out[0].type = infer_typed(dt, &call->in[0].type);
    return infer_size_check(call, 0, err);
}

status infer_reversesequence(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_reversesequence *a = &call->attr.reversesequence;

    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    TRY(infer_dtype_is(call, 1, DT_I64, err));
    if (a->time_axis < 0 || a->time_axis > 1 || a->batch_axis != 1 - a->time_axis)
        return infer_fail(call, err, ST_FORMAT, "time_axis and batch_axis are not 0 and 1");
    if (call->in[0].type.ndim >= 0) {
        TRY(infer_rank(call, 1, 1, 1, err));
        TRY(infer_dim_is(call, 1, 0, call->in[0].type.dim[a->batch_axis], err));
    }
    call->out[0].type = call->in[0].type;
    return ST_OK;
}

/* ---- sampling ---- */

status infer_gridsample(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type, *grid = &call->in[1].type;
    const struct attrs_gridsample *a = &call->attr.gridsample;
    static const char *const modes[] = { "bilinear", "linear", "nearest", "bicubic", "cubic" };
    static const char *const pads[] = { "zeros", "border", "reflection" };
    size_t m = 0, p = 0;

    while (m < COUNT(modes) && strcmp(modes[m], a->mode) != 0) m++;
    while (p < COUNT(pads) && strcmp(pads[p], a->padding_mode) != 0) p++;
    if (m == COUNT(modes) || p == COUNT(pads))
        return infer_fail(call, err, ST_UNSUPPORTED, "mode '%s' with padding_mode '%s'", a->mode,
                          a->padding_mode);
    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    TRY(infer_dtype_in(call, 1, SET_FLOAT, err));
    TRY(infer_rank(call, 0, 3, IR_DIMS_MAX, err));
    call->out[0].type = unknown_of_rank(x->dtype, x->ndim);
    if (x->ndim < 0) return ST_OK;
    TRY(infer_rank(call, 1, x->ndim, x->ndim, err));
    if (grid->ndim < 0) return ST_OK;
    TRY(infer_dim_is(call, 1, 0, x->dim[0], err));
    TRY(infer_dim_is(call, 1, -1, x->ndim - 2, err));
    for (int d = 0; d < x->ndim; d++)
        call->out[0].type.dim[d] = d < 2 ? x->dim[d] : grid->dim[d - 1];
    return infer_size_check(call, 0, err);
}

/* theta [N, n, n+1], size [N, C, …]. */
status infer_affinegrid(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    int64_t v[IR_DIMS_MAX];
    int n;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_rank(call, 0, 3, 3, err));
    TRY(infer_dtype_is(call, 1, DT_I64, err));
    TRY(infer_ints(call, 1, v, &n, err));
    call->out[0].type = infer_unranked(call->in[0].type.dtype);
    if (n < 0) return ST_OK;
    if (n != 4 && n != 5) return infer_fail(call, err, ST_SHAPE, "size has %d numbers", n);
    struct tensor_type out = { .dtype = call->in[0].type.dtype, .ndim = n };
    for (int d = 0; d < n; d++) {
        if (v[d] < 1) return infer_fail(call, err, ST_SHAPE, "size holds %" PRId64, v[d]);
        if (d != 1) out.dim[d == 0 ? 0 : d - 1] = v[d];
    }
    out.dim[n - 1] = n - 2;
    TRY(infer_dim_is(call, 0, 0, v[0], err));
    TRY(infer_dim_is(call, 0, 1, n - 2, err));
    TRY(infer_dim_is(call, 0, 2, n - 1, err));
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

status infer_roialign(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_roialign *a = &call->attr.roialign;
    const struct tensor_type *x = &call->in[0].type, *rois = &call->in[1].type;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    TRY(infer_dtype_is(call, 2, DT_I64, err));
    TRY(infer_rank(call, 0, 4, 4, err));
    TRY(infer_rank(call, 1, 2, 2, err));
    TRY(infer_rank(call, 2, 1, 1, err));
    TRY(infer_dim_is(call, 1, 1, 4, err));
    if (a->output_height < 1 || a->output_width < 1 || a->output_height > INT32_MAX ||
        a->output_width > INT32_MAX || a->sampling_ratio < 0)
        return infer_fail(call, err, ST_FORMAT, "output size or sampling_ratio out of range");
    call->out[0].type = unknown_of_rank(x->dtype, 4);
    if (x->ndim < 0 || rois->ndim < 0) return ST_OK;
    TRY(infer_dim_is(call, 2, 0, rois->dim[0], err));
    const int64_t dims[] = { rois->dim[0], x->dim[1], a->output_height, a->output_width };
    call->out[0].type = type_make(x->dtype, 4, dims);
    return infer_size_check(call, 0, err);
}

/* ---- elements by index and condition ---- */

status infer_gathernd(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type, *ids = &call->in[1].type;
    const int64_t b = call->attr.gathernd.batch_dims;
    struct tensor_type out = { .dtype = x->dtype };
    bool fits = true;

    TRY(infer_dtype_is(call, 1, DT_I64, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(infer_rank(call, 1, 1, IR_DIMS_MAX, err));
    call->out[0].type = infer_unranked(x->dtype);
    if (x->ndim < 0 || ids->ndim < 0 || ids->dim[ids->ndim - 1] < 0) return ST_OK;
    const int64_t depth = ids->dim[ids->ndim - 1];
    if (b < 0 || b >= ids->ndim || depth > x->ndim || b + depth > x->ndim)
        return infer_fail(call, err, ST_SHAPE,
                          "batch_dims %" PRId64 " and indices of %" PRId64 " numbers", b, depth);
    for (int d = 0; d < b; d++) TRY(infer_dim_is(call, 1, d, x->dim[d], err));
    for (int d = 0; d < ids->ndim - 1; d++) fits = fits && infer_push_dim(&out, ids->dim[d]);
    for (int d = (int)(b + depth); d < x->ndim; d++) fits = fits && infer_push_dim(&out, x->dim[d]);
    if (!fits) return infer_fail(call, err, ST_UNSUPPORTED, "the result has too many dimensions");
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

status infer_scatternd(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type, *ids = &call->in[1].type,
                             *updates = &call->in[2].type;

    TRY(infer_dtype_is(call, 1, DT_I64, err));
    TRY(infer_same_dtype(call, 0, 2, err));
    TRY(infer_scatter_reduction(call, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    TRY(infer_rank(call, 1, 1, IR_DIMS_MAX, err));
    call->out[0].type = *x;
    if (x->ndim < 0 || ids->ndim < 0 || updates->ndim < 0) return ST_OK;
    const int64_t depth = ids->dim[ids->ndim - 1];
    if (depth < 0) return ST_OK;
    if (depth > x->ndim)
        return infer_fail(call, err, ST_SHAPE, "indices of %" PRId64 " numbers", depth);
    TRY(infer_rank(call, 2, ids->ndim - 1 + x->ndim - (int)depth,
                   ids->ndim - 1 + x->ndim - (int)depth, err));
    for (int d = 0; d < updates->ndim; d++)
        TRY(infer_dim_is(call, 2, d,
                         d < ids->ndim - 1 ? ids->dim[d] : x->dim[d - ids->ndim + 1 + (int)depth],
                         err));
    return ST_OK;
}

/* A count given as one number of any type; false when not known. */
static bool count_of(const struct tensor *t, int64_t *out)
{
    if (!t->data) return false;
    double v;

    switch (t->type.dtype) {
    case DT_I64: *out = *(const int64_t *)t->data; return true;
    case DT_I32: *out = *(const int32_t *)t->data; return true;
    case DT_I16: *out = *(const int16_t *)t->data; return true;
    case DT_I8: *out = *(const int8_t *)t->data; return true;
    case DT_U64: v = (double)*(const uint64_t *)t->data; break;
    case DT_U32: *out = *(const uint32_t *)t->data; return true;
    case DT_U16: *out = *(const uint16_t *)t->data; return true;
    case DT_U8: *out = *(const uint8_t *)t->data; return true;
    case DT_F64: v = *(const double *)t->data; break;
    case DT_F32: v = (double)*(const float *)t->data; break;
    case DT_F16: v = (double)half_to_f32(*(const uint16_t *)t->data); break;
    case DT_BF16: v = (double)bf16_to_f32(*(const uint16_t *)t->data); break;
    default: return false;
    }
    *out = v >= 0 && v < 1e9 ? (int64_t)v : -1;
    return true;
}

status infer_onehot(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *ids = &call->in[0].type;
    struct tensor_type out = { .dtype = call->in[2].type.dtype };
    int64_t depth = DIM_UNKNOWN;
    size_t n;
    int axis;

    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    TRY(infer_dtype_in(call, 1, SET_NUMBER, err));
    if (type_elements(&call->in[1].type, &n) && n != 1)
        return infer_fail(call, err, ST_SHAPE, "depth is no scalar");
    if (count_of(&call->in[1], &depth) && depth < 1)
        return infer_fail(call, err, ST_SHAPE, "depth is %" PRId64, depth);
    call->out[0].type = infer_unranked(out.dtype);
    if (ids->ndim < 0) return ST_OK;
    if (ids->ndim >= IR_DIMS_MAX)
        return infer_fail(call, err, ST_UNSUPPORTED, "the result has too many dimensions");
    TRY(infer_axis(call, "axis", call->attr.axis_last.axis, ids->ndim + 1, &axis, err));
    for (int d = 0; d <= ids->ndim; d++)
        (void)infer_push_dim(&out, d == axis ? depth : ids->dim[d > axis ? d - 1 : d]);
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

/* How many slices the condition keeps: known once it is. */
status infer_compress(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_compress *a = &call->attr.compress;
    const struct tensor_type *x = &call->in[0].type;
    const struct tensor *cond = &call->in[1];
    int64_t kept = DIM_UNKNOWN;
    struct tensor_type out = { .dtype = x->dtype, .ndim = 1 };
    size_t n, limit = SIZE_MAX;
    int axis = 0;

    TRY(infer_dtype_is(call, 1, DT_BOOL, err));
    TRY(infer_rank(call, 1, 1, 1, err));
    TRY(infer_rank(call, 0, 1, IR_DIMS_MAX, err));
    if (a->has_axis) out = *x;
    if (a->has_axis && x->ndim >= 0) TRY(infer_axis(call, "axis", a->axis, x->ndim, &axis, err));
    if (a->has_axis ? x->ndim < 0 || x->dim[axis] < 0 : !type_elements(x, &limit)) limit = 0;
    if (a->has_axis && limit > 0) limit = (size_t)x->dim[axis];
    if (cond->data && type_elements(&cond->type, &n)) {
        kept = 0;
        for (size_t i = 0; i < n && i < limit; i++) kept += ((const uint8_t *)cond->data)[i] != 0;
    }
    if (out.ndim > 0) out.dim[axis] = kept;
    call->out[0].type = out;
    return ST_OK;
}

static bool element_zero(const struct tensor *x, size_t i)
{
    const size_t size = dtype_bits(x->type.dtype) / 8;
    const unsigned char *p = (const unsigned char *)x->data + i * size;
    const bool is_float = dtype_is_float(x->type.dtype);

    for (size_t b = 0; b < size; b++)
        if (p[b] != 0 && !(is_float && b == size - 1 && p[b] == 0x80)) return false; /* -0 */
    return true;
}

status infer_nonzero(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor *x = &call->in[0];
    int64_t count = DIM_UNKNOWN;
    size_t n;

    TRY(infer_dtype_in(call, 0, SET_NUMBER | SET_BOOL, err));
    if (x->data && type_elements(&x->type, &n)) {
        count = 0;
        for (size_t i = 0; i < n; i++) count += !element_zero(x, i);
    }
    const int64_t dims[] = { x->type.ndim >= 0 ? x->type.ndim : DIM_UNKNOWN, count };
    call->out[0].type = type_make(DT_I64, 2, dims);
    return ST_OK;
}
