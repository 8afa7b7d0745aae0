/* SPDX-License-Identifier: MIT */
#include "ir/ir.h"
#include <math.h>
#include <string.h>

static bool resize_axes(struct ir_resize *r, const struct attrs_resize *a, int axes[IR_DIMS_MAX])
{
    r->n_axes = a->axes.v ? a->axes.n : r->n;
    if (r->n_axes > r->n) return false;
    for (int d = 0; d < r->n; d++) r->roi[d] = -1;
    for (int i = 0; i < r->n_axes; i++) {
        const int64_t given = a->axes.v ? a->axes.v[i] : i;

        if (given < -r->n || given >= r->n) return false;
        axes[i] = (int)(given < 0 ? given + r->n : given);
        if (r->roi[axes[i]] >= 0) return false;
        r->roi[axes[i]] = i;
    }
    return true;
}

static bool apply_scale(struct ir_resize *r, int d, double scale, bool round_half_up)
{
    const double out = (double)r->in[d] * scale;

    if (!(scale > 0) || !(out < 1e12)) return false;
    r->scale[d] = scale;
    r->out[d] = (int64_t)floor(round_half_up ? out + 0.5 : out);
    return true;
}

/* One scale for all axes: the smallest (not_larger) or largest of those that the sizes ask for. */
static bool common_scale(struct ir_resize *r, const int axes[], bool not_larger)
{
    double scale = not_larger ? INFINITY : 0;

    for (int i = 0; i < r->n_axes; i++) {
        const double s = r->scale[axes[i]];
        scale = not_larger ? fmin(scale, s) : fmax(scale, s);
    }
    for (int i = 0; i < r->n_axes; i++)
        if (!apply_scale(r, axes[i], scale, true)) return false;
    return true;
}

static bool apply_sizes(struct ir_resize *r, const int axes[], const int64_t *sizes,
                        const char *policy)
{
    for (int i = 0; i < r->n_axes; i++) {
        const int d = axes[i];

        if (sizes[i] < 0 || sizes[i] > INT32_MAX || r->in[d] < 1) return false;
        r->out[d] = sizes[i];
        r->scale[d] = (double)sizes[i] / (double)r->in[d];
    }
    if (!strcmp(policy, "stretch")) return true;
    const bool not_larger = !strcmp(policy, "not_larger");
    return (not_larger || !strcmp(policy, "not_smaller")) && common_scale(r, axes, not_larger);
}

bool ir_resize_plan(struct ir_resize *r, const struct tensor_type *x, const struct tensor *scales,
                    const struct tensor *sizes, const struct attrs_resize *a)
{
    int axes[IR_DIMS_MAX];
    size_t count;

    memset(r, 0, sizeof *r);
    r->n = x->ndim;
    if (r->n < 0 || !resize_axes(r, a, axes)) return false;
    for (int d = 0; d < r->n; d++) {
        r->in[d] = r->out[d] = x->dim[d];
        r->scale[d] = 1;
        if (r->in[d] < 0 || r->in[d] > INT32_MAX) return false;
    }
    const struct tensor *list = scales ? scales : sizes;
    if (!list) return false;
    if (!list->data || !type_elements(&list->type, &count) || count != (size_t)r->n_axes)
        return false;
    if (!scales)
        return list->type.dtype == DT_I64 &&
               apply_sizes(r, axes, list->data, a->keep_aspect_ratio_policy);
    for (int i = 0; i < r->n_axes; i++)
        if (list->type.dtype != DT_F32 ||
            !apply_scale(r, axes[i], (double)((const float *)list->data)[i], false))
            return false;
    return true;
}
