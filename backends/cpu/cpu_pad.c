/* SPDX-License-Identifier: MIT */
/* Pad, CenterCropPad, SpaceToDepth, DepthToSpace, EyeLike: elements moved to other places. */
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum pad_mode { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT, PAD_WRAP };

struct pad {
    int64_t first[IR_DIMS_MAX]; /* place of the output's element 0 in the input */
    enum pad_mode mode;
    const void *fill; /* one element, or NULL for zero */
};

/* Place in [0, n) that index i (any) stands for; -1: the fill. */
static int64_t pad_place(enum pad_mode mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n) return i;
    if (mode == PAD_CONSTANT || n < 1) return -1;
    if (mode == PAD_EDGE) return i < 0 ? 0 : n - 1;
    const int64_t period = mode == PAD_WRAP ? n : n > 1 ? 2 * (n - 1) : 1;
    int64_t r = i % period;

    if (r < 0) r += period;
    return mode == PAD_WRAP || r < n ? r : period - r;
}

/* Element i of the output: that at `from` of the input, or the fill. */
static void pad_element(const struct pad *p, const struct tensor *out, size_t i,
                        const struct tensor *x, size_t from, bool inside)
{
    static const struct ir_string nothing = { "", 0 };
    const size_t size = cpu_size(out->type.dtype);
    const void *fill = p->fill || out->type.dtype != DT_STRING ? p->fill : &nothing;
    const struct tensor filled = { out->type, (void *)(uintptr_t)fill };

    if (size == 0) /* less than a byte */
        cpu_put(out, i, inside ? cpu_get(x, from) : fill ? cpu_get(&filled, 0) : 0);
    else if (inside)
        memcpy((char *)out->data + i * size, (const char *)x->data + from * size, size);
    else if (fill)
        memcpy((char *)out->data + i * size, fill, size);
    else
        memset((char *)out->data + i * size, 0, size);
}

static void pad_run(const struct cpu_task *t, const struct pad *p)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const struct cpu_share s = cpu_share(t, cpu_elements(out), 64);

    for (size_t i = s.begin; i < s.end; i++) {
        size_t rest = i, from = 0, stride = 1;
        bool inside = true;

        for (int d = x->type.ndim - 1; d >= 0; d--) {
            const int64_t at = (int64_t)(rest % (size_t)out->type.dim[d]) + p->first[d];
            const int64_t place = pad_place(p->mode, at, x->type.dim[d]);

            rest /= (size_t)out->type.dim[d];
            inside = inside && place >= 0;
            from += stride * (size_t)place;
            stride *= (size_t)x->type.dim[d];
        }
        pad_element(p, out, i, x, from, inside);
    }
}

static bool pad_mode_of(const char *text, enum pad_mode *mode)
{
    static const char *const names[] = { "constant", "edge", "reflect", "wrap" };

    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i], text) == 0) {
            *mode = (enum pad_mode)i;
            return true;
        }
    return false;
}

/* Begins and ends of the axes: input 1 since opset 11, attributes before. */
void cpu_pad(const struct cpu_task *t)
{
    const struct attrs_pad *a = &t->call->attr.pad;
    const struct tensor *x = cpu_in(t, 0), *pads = cpu_in(t, 1), *axes = cpu_in(t, 3);
    const struct tensor *value = cpu_in(t, 2), *out = cpu_out(t, 0);
    const int ndim = x->type.ndim, n = axes ? (int)cpu_elements(axes) : ndim;
    const size_t count = pads ? cpu_elements(pads) : (size_t)a->pads.n;
    struct pad p = { .fill = value ? value->data : NULL };
    double attr_fill[1];

    bool fits = pad_mode_of(a->mode, &p.mode) && out->type.ndim == ndim && count == 2 * (size_t)n &&
                (!value || (cpu_elements(value) == 1 && value->type.dtype == x->type.dtype));
    for (int i = 0; fits && i < n; i++) {
        const int d = axes ? cpu_axis(cpu_int_at(axes, (size_t)i), ndim) : i;

        fits = d >= 0;
        if (fits) p.first[d] = -(pads ? cpu_int_at(pads, (size_t)i) : a->pads.v[i]);
    }
    if (!fits) {
        cpu_fail(t, ST_SHAPE, "pads do not fit the input");
        return;
    }
    if (!pads && a->value != 0) {
        const struct tensor one = { type_make(x->type.dtype, 0, NULL), attr_fill };

        cpu_put(&one, 0, (double)a->value);
        p.fill = attr_fill;
    }
    pad_run(t, &p);
}

/* The middle of what is larger; what is smaller in the middle. The odd element goes behind. */
void cpu_centercroppad(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    struct pad p = { .mode = PAD_CONSTANT };

    if (out->type.ndim != x->type.ndim) {
        cpu_fail(t, ST_SHAPE, "the output has another rank");
        return;
    }
    for (int d = 0; d < x->type.ndim; d++) {
        const int64_t more = out->type.dim[d] - x->type.dim[d];
        p.first[d] = more >= 0 ? -(more / 2) : (-more) / 2;
    }
    pad_run(t, &p);
}

/* ---- blocks of channels and places ---- */

/* Both ways: element (n, c, y, x) of the wide image, block (by, bx) of it, channel of the deep one.
 */
void cpu_depthspace(const struct cpu_task *t)
{
    const bool to_depth = t->call->op == OP_SPACETODEPTH;
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const struct tensor *deep = to_depth ? out : in, *wide = to_depth ? in : out;
    const int64_t b = t->call->attr.depthspace.blocksize;
    const bool crd = strcmp(t->call->attr.depthspace.mode, "CRD") == 0;
    const size_t size = cpu_size(in->type.dtype);

    if (in->type.ndim != 4 || out->type.ndim != 4 || b < 1 || b > INT32_MAX ||
        wide->type.dim[1] * b * b != deep->type.dim[1] ||
        deep->type.dim[2] * b != wide->type.dim[2] || deep->type.dim[3] * b != wide->type.dim[3]) {
        cpu_fail(t, ST_SHAPE, "blocksize does not lead to the output's shape");
        return;
    }
    const int64_t c_wide = wide->type.dim[1], h = wide->type.dim[2], w = wide->type.dim[3];
    const struct cpu_share s = cpu_share(t, cpu_elements(wide), 64);
    for (size_t i = s.begin; i < s.end; i++) {
        const int64_t x = (int64_t)i % w, y = (int64_t)i / w % h;
        const int64_t c = (int64_t)i / w / h % c_wide, n = (int64_t)i / w / h / c_wide;
        const int64_t block = y % b * b + x % b;
        const int64_t channel = crd ? c * b * b + block : block * c_wide + c;
        const size_t at =
            (size_t)(((n * c_wide * b * b + channel) * (h / b) + y / b) * (w / b) + x / b);

        memcpy((char *)out->data + (to_depth ? at : i) * size,
               (const char *)in->data + (to_depth ? i : at) * size, size);
    }
}

void cpu_eyelike(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    const int64_t k = t->call->attr.eyelike.k;

    if (out->type.ndim != 2) {
        cpu_fail(t, ST_SHAPE, "the output is no matrix");
        return;
    }
    const struct cpu_share s = cpu_share(t, cpu_elements(out), 64);
    for (size_t i = s.begin; i < s.end; i++) {
        const int64_t row = (int64_t)i / out->type.dim[1], col = (int64_t)i % out->type.dim[1];

        cpu_put(out, i, col - row == k);
    }
}
