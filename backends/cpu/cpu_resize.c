/* SPDX-License-Identifier: MIT */
/* Resize and Upsample: each axis is resampled by a kernel around the place that an output element
 * has in the input; the axes nest. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"
#include "backends/cpu/cpu_quant.h"

enum resize_mode { NEAREST, LINEAR, CUBIC };

struct resize {
    const struct tensor *x;
    const struct attrs_resize *a;
    struct ir_resize p;
    enum resize_mode mode;
    bool asymmetric; /* Upsample, and Resize before opset 11 */
    double roi[2][IR_DIMS_MAX];
    double at[IR_DIMS_MAX]; /* place of the present element */
    int64_t o[IR_DIMS_MAX]; /* its index */
};

static bool is(const char *text, const char *name) { return strcmp(text, name) == 0; }

/* Whether the axis is copied. */
static bool plain(const struct resize *r, int d)
{
    return r->p.roi[d] < 0 || (r->p.scale[d] == 1 && r->p.in[d] == r->p.out[d] &&
                               !is(r->a->coord, "tf_crop_and_resize"));
}

/* Place of output element o of axis d; *outside: beyond the region that tf_crop_and_resize cuts. */
static double place(const struct resize *r, int d, int64_t o, bool *outside)
{
    const double in = (double)r->p.in[d], scale = r->p.scale[d], out = in * scale;
    const double x = (double)o;
    const char *how = r->a->coord;

    if (r->asymmetric || is(how, "asymmetric")) return x / scale;
    if (is(how, "align_corners")) return out == 1 ? 0 : x * (in - 1) / (out - 1);
    if (is(how, "tf_crop_and_resize")) {
        const double r0 = r->roi[0][d], r1 = r->roi[1][d];
        const double at = r0 * (in - 1) + (out == 1 ? (r1 - r0) * (in - 1) / 2
                                                    : x * (r1 - r0) * (in - 1) / (out - 1));

        if (!(at >= 0 && at <= in - 1)) *outside = true;
        return at;
    }
    if (is(how, "pytorch_half_pixel") && r->p.out[d] <= 1) return 0;
    if (is(how, "half_pixel_symmetric"))
        return in / 2 * (1 - (double)r->p.out[d] / out) + (x + 0.5) / scale - 0.5;
    return (x + 0.5) / scale - 0.5;
}

static double kernel_at(const struct resize *r, double x)
{
    const double a = (double)r->a->cubic_coeff_a;

    x = fabs(x);
    if (r->mode == LINEAR) return x < 1 ? 1 - x : 0;
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static int64_t nearest(const struct resize *r, double at)
{
    const char *how = r->a->nearest_mode;

    if (r->asymmetric || is(how, "floor")) return (int64_t)floor(at);
    if (is(how, "ceil")) return (int64_t)ceil(at);
    if (is(how, "round_prefer_ceil")) return (int64_t)floor(at + 0.5);
    return (int64_t)ceil(at - 0.5);
}

static int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

/* Value of the axes from d on, where those before stand at flat index `flat`. */
static double sample(const struct resize *r, int d, size_t flat)
{
    if (d == r->p.n) return cpu_get(r->x, flat);
    const int64_t n = r->p.in[d];
    const size_t from = flat * (size_t)n;

    if (plain(r, d)) return sample(r, d + 1, from + (size_t)r->o[d]);
    if (r->mode == NEAREST) return sample(r, d + 1, from + (size_t)clamp(nearest(r, r->at[d]), n));
    const double shrink = r->a->antialias ? fmin(r->p.scale[d], 1) : 1;
    const double base = ceil(r->at[d]) - 1, ratio = r->at[d] - base;
    const int64_t first = (int64_t)floor((r->mode == LINEAR ? -1 : -2) / shrink) + 1;
    double sum = 0, norm = 0;

    for (int64_t i = first; i < 2 - first; i++) {
        const double w = kernel_at(r, ((double)i - ratio) * shrink);
        const int64_t j = (int64_t)base + i;

        if (w == 0 || (r->a->exclude_outside && (j < 0 || j >= n))) continue;
        sum += w * sample(r, d + 1, from + (size_t)clamp(j, n));
        norm += w;
    }
    return norm != 0 ? sum / norm : 0;
}

static bool read_mode(struct resize *r)
{
    const char *m = r->a->mode;

    r->mode = is(m, "nearest") ? NEAREST : is(m, "cubic") ? CUBIC : LINEAR;
    return r->mode != LINEAR || is(m, "linear") || is(m, "bilinear");
}

static bool read_roi(struct resize *r, const struct tensor *roi)
{
    if (!is(r->a->coord, "tf_crop_and_resize") || r->asymmetric) return true;
    if (!roi || cpu_elements(roi) != 2 * (size_t)r->p.n_axes) return false;
    for (int d = 0; d < r->p.n; d++)
        for (int k = 0; k < 2 && r->p.roi[d] >= 0; k++)
            r->roi[k][d] = cpu_get(roi, (size_t)(r->p.roi[d] + k * r->p.n_axes));
    return true;
}

static bool read_resize(const struct cpu_task *t, struct resize *r)
{
    const struct op_call *c = t->call;
    const bool old = c->op == OP_UPSAMPLE || c->version < 11;
    const struct tensor *scales = cpu_in(t, old ? 1 : 2), *sizes = old ? NULL : cpu_in(t, 3);
    const struct tensor attr = { type_make(DT_F32, 1, (int64_t[]){ c->attr.resize.scales.n }),
                                 (void *)(uintptr_t)c->attr.resize.scales.v };

    memset(r, 0, sizeof *r);
    r->x = cpu_in(t, 0);
    r->a = &c->attr.resize;
    r->asymmetric = old;
    if (scales && cpu_elements(scales) == 0) scales = NULL;
    if (old && !scales) scales = &attr;
    return read_mode(r) &&
           ir_resize_plan(&r->p, &r->x->type, scales, scales ? NULL : sizes, r->a) &&
           read_roi(r, old ? NULL : cpu_in(t, 1));
}

void cpu_resize(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    struct resize r;
    double low = 0, high = 0;

    bool fits = read_resize(t, &r) && out->type.ndim == r.p.n;
    for (int d = 0; fits && d < r.p.n; d++) fits = out->type.dim[d] == r.p.out[d];
    if (!fits || cpu_elements(r.x) == 0) {
        if (!fits || cpu_elements(out) > 0)
            cpu_fail(t, ST_SHAPE, "scales or sizes do not lead to the output's shape");
        return;
    }
    const bool integer = cpu_int_range(out->type.dtype, &low, &high);
    const struct cpu_share s = cpu_share(t, cpu_elements(out), 64);
    for (size_t i = s.begin; i < s.end; i++) {
        bool outside = false;
        size_t rest = i;

        for (int d = r.p.n - 1; d >= 0; d--) {
            r.o[d] = (int64_t)(rest % (size_t)r.p.out[d]);
            rest /= (size_t)r.p.out[d];
            if (!plain(&r, d)) r.at[d] = place(&r, d, r.o[d], &outside);
        }
        double v = outside ? (double)r.a->extrapolation_value : sample(&r, 0, 0);
        /* onnxruntime cuts off what linear resizing gives of integers */
        if (integer && (r.mode != LINEAR || r.a->antialias)) v = rint(v);
        if (integer) v = fmin(fmax(v, low), high);
        cpu_put(out, i, v);
    }
}
