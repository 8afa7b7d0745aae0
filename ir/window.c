/* SPDX-License-Identifier: MIT */
/* Where a window lies on an input: pads, strides and sizes of convolutions and pools. */
#include "ir/ir.h"
#include <string.h>

enum { WINDOW_MAX = INT32_MAX };

static bool list_ok(const struct ir_ints *list, int n, int64_t low)
{
    if (!list->v) return true;
    for (int i = 0; i < list->n; i++)
        if (list->v[i] < low || list->v[i] > WINDOW_MAX) return false;
    return list->n == n;
}

/* Kernel, strides, dilations, explicit pads; false when lengths or values are out of range. */
static bool window_lists(struct ir_window *w, const struct attrs_window *a)
{
    if (w->n < 0 || w->n > IR_SPACE_MAX || !list_ok(&a->kernel_shape, w->n, 1) ||
        !list_ok(&a->strides, w->n, 1) || !list_ok(&a->dilations, w->n, 1) ||
        !list_ok(&a->pads, 2 * w->n, 0))
        return false;
    for (int d = 0; d < w->n; d++) {
        if (a->kernel_shape.v && w->kernel[d] >= 0 && w->kernel[d] != a->kernel_shape.v[d] &&
            w->kernel[d] != 0)
            return false;
        if (a->kernel_shape.v) w->kernel[d] = a->kernel_shape.v[d];
        if (w->in[d] > WINDOW_MAX || w->kernel[d] > WINDOW_MAX) return false;
        w->stride[d] = a->strides.v ? a->strides.v[d] : 1;
        w->dilation[d] = a->dilations.v ? a->dilations.v[d] : 1;
        w->pad[d] = a->pads.v ? a->pads.v[d] : 0;
        w->pad_end[d] = a->pads.v ? a->pads.v[w->n + d] : 0;
        w->out[d] = DIM_UNKNOWN;
    }
    return true;
}

enum auto_pad { PAD_NOTSET, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_UNKNOWN };

static enum auto_pad auto_pad_of(const char *text)
{
    static const char *const names[] = { "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER" };

    for (int i = 0; i < PAD_UNKNOWN; i++)
        if (!strcmp(names[i], text)) return (enum auto_pad)i;
    return PAD_UNKNOWN;
}

/* Elements from a window's first tap to its last. */
static int64_t extent(const struct ir_window *w, int d)
{
    return (w->kernel[d] - 1) * w->dilation[d] + 1;
}

static void same_pads(struct ir_window *w, int d, enum auto_pad how, int64_t total)
{
    if (total < 0) total = 0;
    w->pad[d] = how == PAD_SAME_UPPER ? total / 2 : total - total / 2;
    w->pad_end[d] = total - w->pad[d];
}

bool ir_window_fill(struct ir_window *w, const struct attrs_window *a)
{
    const enum auto_pad how = auto_pad_of(a->auto_pad);

    if (how == PAD_UNKNOWN || !window_lists(w, a)) return false;
    for (int d = 0; d < w->n; d++) {
        if (w->in[d] < 0 || w->kernel[d] < 0) continue;
        if (w->kernel[d] == 0) return false;
        if (how == PAD_VALID) w->pad[d] = w->pad_end[d] = 0;
        if (how == PAD_SAME_UPPER || how == PAD_SAME_LOWER) {
            w->out[d] = (w->in[d] + w->stride[d] - 1) / w->stride[d];
            same_pads(w, d, how, (w->out[d] - 1) * w->stride[d] + extent(w, d) - w->in[d]);
            continue;
        }
        const int64_t room = w->in[d] + w->pad[d] + w->pad_end[d] - extent(w, d);
        if (room < 0) return false;
        w->out[d] = (a->ceil_mode ? room + w->stride[d] - 1 : room) / w->stride[d] + 1;
        /* a last window that would begin behind the input and its first pad is left out */
        if (a->ceil_mode && (w->out[d] - 1) * w->stride[d] >= w->in[d] + w->pad[d]) w->out[d]--;
    }
    return true;
}

bool ir_window_transposed(struct ir_window *w, const struct attrs_window *a)
{
    const enum auto_pad how = auto_pad_of(a->auto_pad);
    const bool same = how == PAD_SAME_UPPER || how == PAD_SAME_LOWER;
    const struct ir_ints *shape = &a->output_shape;
    const int skip = shape->n == w->n + 2 ? 2 : 0; /* some give batch and channels too */

    if (how == PAD_UNKNOWN || !window_lists(w, a) || !list_ok(&a->output_padding, w->n, 0))
        return false;
    if (shape->v && !list_ok(shape, w->n + skip, 1)) return false;
    for (int d = 0; d < w->n; d++) {
        const int64_t extra = a->output_padding.v ? a->output_padding.v[d] : 0;

        if (w->in[d] < 0 || w->kernel[d] < 0) continue;
        const int64_t full = w->stride[d] * (w->in[d] - 1) + extra + extent(w, d);
        if (how == PAD_VALID) w->pad[d] = w->pad_end[d] = 0;
        if (shape->v || same) {
            w->out[d] = shape->v ? shape->v[skip + d] : w->in[d] * w->stride[d];
            same_pads(w, d, how, full - w->out[d]);
        } else {
            w->out[d] = full - w->pad[d] - w->pad_end[d];
        }
        if (w->out[d] < 0 || w->in[d] < 1) return false;
    }
    return true;
}
