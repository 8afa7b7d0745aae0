/* SPDX-License-Identifier: MIT */
/* Inference of convolutions and pools: what a window (ir_window) makes of the spatial dimensions.
 */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <string.h>

/* Places of a convolution's inputs. */
struct conv_inputs {
    int k, bias;
    bool transposed;
};

/* The window over x [N, C, …], with the kernel of input k (-1: by attributes), or ST_SHAPE. */
static status window_over(const struct op_call *call, int k, bool transposed, struct ir_window *w,
                          struct err *err)
{
    const struct tensor_type *x = &call->in[0].type;

    memset(w, 0, sizeof *w);
    w->n = x->ndim - 2;
    for (int d = 0; d < w->n; d++) {
        w->in[d] = x->dim[d + 2] < 0 ? DIM_UNKNOWN : x->dim[d + 2];
        if (k >= 0) w->kernel[d] = call->in[k].type.ndim > 0 ? call->in[k].type.dim[d + 2] : -1;
        if (k >= 0 && w->kernel[d] == 0)
            return infer_fail(call, err, ST_SHAPE, "input %d: dimension %d is 0", k, d + 2);
        if (k >= 0 && w->kernel[d] < 0) w->kernel[d] = DIM_UNKNOWN;
    }
    if (transposed ? ir_window_transposed(w, &call->attr.window)
                   : ir_window_fill(w, &call->attr.window))
        return ST_OK;
    return infer_fail(call, err, ST_SHAPE,
                      "kernel, strides, dilations and pads do not fit the input");
}

static status output_of_window(struct op_call *call, const struct ir_window *w, enum dtype dt,
                               int64_t channels, struct err *err)
{
    struct tensor_type out = infer_typed(dt, &call->in[0].type);

    out.dim[1] = channels;
    for (int d = 0; d < w->n; d++) out.dim[d + 2] = w->out[d];
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

static status conv_shape(struct op_call *call, const struct conv_inputs *at, enum dtype dt,
                         struct err *err)
{
    const struct tensor_type *x = &call->in[0].type, *k = &call->in[at->k].type;
    const int64_t groups = call->attr.window.group;
    int64_t channels = DIM_UNKNOWN;
    struct ir_window w;

    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    if (groups < 1) return infer_fail(call, err, ST_FORMAT, "group is %" PRId64, groups);
    call->out[0].type = infer_unranked(dt);
    if (x->ndim < 0) return ST_OK;
    TRY(infer_rank(call, at->k, x->ndim, x->ndim, err));
    TRY(window_over(call, at->k, at->transposed, &w, err));
    if (x->dim[1] >= 0 && x->dim[1] % groups != 0)
        return infer_fail(call, err, ST_SHAPE, "%" PRId64 " channels in %" PRId64 " groups",
                          x->dim[1], groups);
    if (k->ndim >= 0) {
        const int64_t each = x->dim[1] >= 0 ? x->dim[1] / groups : DIM_UNKNOWN;

        TRY(infer_dim_is(call, at->k, at->transposed ? 0 : 1, at->transposed ? x->dim[1] : each,
                         err));
        channels = k->dim[at->transposed ? 1 : 0];
        if (at->transposed) TRY(infer_dim_mul(call, channels, groups, &channels, err));
        if (channels >= 0 && channels % groups != 0)
            return infer_fail(call, err, ST_SHAPE, "%" PRId64 " filters in %" PRId64 " groups",
                              channels, groups);
    }
    if (at->bias >= 0 && infer_has_in(call, at->bias)) {
        TRY(infer_rank(call, at->bias, 1, 1, err));
        TRY(infer_dim_is(call, at->bias, 0, channels, err));
    }
    return output_of_window(call, &w, dt, channels, err);
}

static status bytes_in(const struct op_call *call, int i, struct err *err)
{
    const enum dtype dt = call->in[i].type.dtype;

    if (dt == DT_U8 || dt == DT_I8) return ST_OK;
    return infer_fail(call, err, ST_UNSUPPORTED, "input %d is %s, expected u8 or i8", i,
                      dtype_name(dt));
}

/* Scales are f32, zero points of their operand's type. */
static status conv_quantised(const struct op_call *call, bool linear, struct err *err)
{
    if (!linear) {
        if (infer_has_in(call, 2)) TRY(infer_same_dtype(call, 0, 2, err));
        return infer_has_in(call, 3) ? infer_same_dtype(call, 1, 3, err) : ST_OK;
    }
    for (int i = 1; i <= 6; i += i == 1 ? 3 : 2) TRY(infer_dtype_is(call, i, DT_F32, err));
    TRY(infer_same_dtype(call, 0, 2, err));
    TRY(infer_same_dtype(call, 3, 5, err));
    TRY(bytes_in(call, 7, err));
    return infer_has_in(call, 8) ? infer_dtype_is(call, 8, DT_I32, err) : ST_OK;
}

status infer_conv(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const enum dtype dt = call->in[0].type.dtype;

    if (call->op == OP_CONVINTEGER || call->op == OP_QLINEARCONV) {
        const bool linear = call->op == OP_QLINEARCONV;

        TRY(bytes_in(call, 0, err));
        TRY(bytes_in(call, linear ? 3 : 1, err));
        TRY(conv_quantised(call, linear, err));
        return conv_shape(call, &(struct conv_inputs){ linear ? 3 : 1, linear ? 8 : -1, false },
                          linear ? call->in[7].type.dtype : DT_I32, err);
    }
    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_same_dtype(call, 0, 1, err));
    const bool deform = call->op == OP_DEFORMCONV;
    for (int i = 2; deform && i <= 4; i += 2)
        if (infer_has_in(call, i)) TRY(infer_same_dtype(call, 0, i, err));
    if (infer_has_in(call, deform ? 3 : 2)) TRY(infer_same_dtype(call, 0, deform ? 3 : 2, err));
    return conv_shape(
        call, &(struct conv_inputs){ 1, deform ? 3 : 2, call->op == OP_CONVTRANSPOSE }, dt, err);
}

status infer_pool(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    struct ir_window w;

    TRY(infer_dtype_in(call, 0, call->op == OP_MAXPOOL ? SET_NUMBER : SET_FLOAT, err));
    TRY(infer_rank(call, 0, 3, IR_DIMS_MAX, err));
    if (!call->attr.window.kernel_shape.v)
        return infer_fail(call, err, ST_FORMAT, "attribute 'kernel_shape' is missing");
    if (call->attr.window.p < 1)
        return infer_fail(call, err, ST_FORMAT, "p is %" PRId64, call->attr.window.p);
    call->out[0].type = infer_unranked(x->dtype);
    if (x->ndim >= 0) {
        TRY(window_over(call, -1, false, &w, err));
        TRY(output_of_window(call, &w, x->dtype, x->dim[1], err));
    }
    if (infer_has_out(call, 1)) call->out[1].type = infer_typed(DT_I64, &call->out[0].type);
    return ST_OK;
}

status infer_globalpool(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct tensor_type out = call->in[0].type;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    if (call->attr.window.p < 1)
        return infer_fail(call, err, ST_FORMAT, "p is %" PRId64, call->attr.window.p);
    for (int d = 2; d < out.ndim; d++) {
        if (out.dim[d] == 0) return infer_fail(call, err, ST_SHAPE, "the input is empty");
        out.dim[d] = 1;
    }
    call->out[0].type = out;
    return ST_OK;
}

/* X, indices, output_shape?. */
status infer_maxunpool(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    int64_t v[IR_DIMS_MAX];
    struct ir_window w;
    int n = -1;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_dtype_is(call, 1, DT_I64, err));
    TRY(infer_rank(call, 0, 3, IR_DIMS_MAX, err));
    if (!call->attr.window.kernel_shape.v)
        return infer_fail(call, err, ST_FORMAT, "attribute 'kernel_shape' is missing");
    call->out[0].type = infer_unranked(x->dtype);
    if (x->ndim < 0) return ST_OK;
    TRY(infer_rank(call, 1, x->ndim, x->ndim, err));
    for (int d = 0; d < x->ndim; d++) TRY(infer_dim_is(call, 1, d, x->dim[d], err));
    TRY(window_over(call, -1, true, &w, err));
    TRY(output_of_window(call, &w, x->dtype, x->dim[1], err));
    if (!infer_has_in(call, 2)) return ST_OK;
    TRY(infer_dtype_is(call, 2, DT_I64, err));
    TRY(infer_ints(call, 2, v, &n, err));
    if (n >= 0 && n != x->ndim)
        return infer_fail(call, err, ST_SHAPE, "output_shape has %d dimensions, expected %d", n,
                          x->ndim);
    for (int d = 0; d < x->ndim; d++) {
        if (n >= 0 && v[d] < 0)
            return infer_fail(call, err, ST_SHAPE, "output_shape holds %" PRId64, v[d]);
        call->out[0].type.dim[d] = n >= 0 ? v[d] : DIM_UNKNOWN;
    }
    return infer_size_check(call, 0, err);
}

/* x [N, C*taps, L], image_shape, block_shape. */
status infer_col2im(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    int64_t image[IR_DIMS_MAX], block[IR_DIMS_MAX], taps = 1;
    int n = -1, n_block = -1;

    TRY(infer_dtype_in(call, 0, SET_NUMBER | SET_BOOL, err));
    TRY(infer_rank(call, 0, 3, 3, err));
    for (int i = 1; i <= 2; i++) TRY(infer_dtype_is(call, i, DT_I64, err));
    TRY(infer_ints(call, 1, image, &n, err));
    TRY(infer_ints(call, 2, block, &n_block, err));
    call->out[0].type = infer_unranked(x->dtype);
    if (x->ndim < 0 || n < 0 || n_block < 0) return ST_OK;
    if (n != n_block || n < 1 || n > IR_SPACE_MAX)
        return infer_fail(call, err, ST_SHAPE, "image_shape and block_shape have %d and %d numbers",
                          n, n_block);
    struct tensor_type out = { .dtype = x->dtype, .ndim = n + 2, .dim = { x->dim[0] } };
    for (int d = 0; d < n; d++) {
        if (image[d] < 1 || block[d] < 1)
            return infer_fail(call, err, ST_SHAPE, "image_shape and block_shape are not positive");
        TRY(infer_dim_mul(call, taps, block[d], &taps, err));
        out.dim[d + 2] = image[d];
    }
    if (x->dim[1] >= 0 && x->dim[1] % taps != 0)
        return infer_fail(call, err, ST_SHAPE, "%" PRId64 " rows for blocks of %" PRId64, x->dim[1],
                          taps);
    out.dim[1] = x->dim[1] >= 0 ? x->dim[1] / taps : DIM_UNKNOWN;
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}
