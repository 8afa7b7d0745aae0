/* SPDX-License-Identifier: MIT */
/* DeformConv and Col2Im, plain: sums in f64 in a fixed order. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_conv.h"
#include "backends/cpu/cpu_ops.h"

/* ---- DeformConv: taps stand beside their places, between elements ---- */

/* Plane [h, w] read at (y, x), linear between elements, zero beyond. */
static double plane_at(const struct tensor *x, size_t base, int64_t h, int64_t w, double py,
                       double px)
{
    const double y0 = floor(py), x0 = floor(px);
    double sum = 0;

    if (!(py > -1 && py < (double)h && px > -1 && px < (double)w)) return 0;
    for (int k = 0; k < 4; k++) {
        const int64_t yi = (int64_t)y0 + (k >> 1), xi = (int64_t)x0 + (k & 1);
        const double wy = 1 - fabs(py - (double)yi), wx = 1 - fabs(px - (double)xi);

        if (yi >= 0 && yi < h && xi >= 0 && xi < w)
            sum += wy * wx * cpu_get(x, base + (size_t)(yi * w + xi));
    }
    return sum;
}

struct deform {
    struct conv c;
    const struct tensor *offset, *mask; /* [N, groups*taps*2, oh, ow], [N, groups*taps, oh, ow] */
    size_t offset_groups;
};

static double deform_at(const struct deform *f, size_t n, size_t m, size_t o)
{
    const struct conv *c = &f->c;
    const struct ir_window *w = &c->w;
    const size_t g = m / c->m_each, per_group = c->groups * c->c_each / f->offset_groups;
    const int64_t oy = (int64_t)o / w->out[1], ox = (int64_t)o % w->out[1];
    double sum = 0;

    for (size_t i = 0; i < c->c_each; i++) {
        const size_t ch = g * c->c_each + i, og = ch / per_group;

        for (size_t k = 0; k < c->taps; k++) {
            const int64_t ky = (int64_t)k / w->kernel[1], kx = (int64_t)k % w->kernel[1];
            const size_t at = (n * f->offset_groups + og) * c->taps + k;
            const double dy = cpu_get(f->offset, 2 * at * c->out_space + o);
            const double dx = cpu_get(f->offset, (2 * at + 1) * c->out_space + o);
            const double v =
                plane_at(c->x, (n * c->groups * c->c_each + ch) * c->space, w->in[0], w->in[1],
                         (double)(oy * w->stride[0] + ky * w->dilation[0] - w->pad[0]) + dy,
                         (double)(ox * w->stride[1] + kx * w->dilation[1] - w->pad[1]) + dx);

            sum += v * cpu_get(c->k, (m * c->c_each + i) * c->taps + k) *
                   (f->mask ? cpu_get(f->mask, at * c->out_space + o) : 1);
        }
    }
    return sum;
}

/* X, W, offset, B?, mask?; two spatial dimensions. */
void cpu_deformconv(const struct cpu_task *t)
{
    struct deform f = {
        .c = { .x = cpu_in(t, 0), .k = cpu_in(t, 1), .bias = cpu_in(t, 3), .out = cpu_out(t, 0) },
        .offset = cpu_in(t, 2),
        .mask = cpu_in(t, 4)
    };
    struct conv *c = &f.c;
    const int64_t groups = t->call->attr.window.offset_group;
    const bool fits = conv_shapes(t, c) && c->w.n == 2 && groups >= 1 &&
                      (int64_t)(c->groups * c->c_each) % groups == 0;
    const size_t places =
        fits ? (size_t)c->x->type.dim[0] * (size_t)groups * c->taps * c->out_space : 0;

    if (!fits || cpu_elements(f.offset) != 2 * places ||
        (f.mask && cpu_elements(f.mask) != places)) {
        cpu_fail(t, ST_SHAPE, "input, weights, offsets and output do not fit each other");
        return;
    }
    f.offset_groups = (size_t)groups;
    const size_t channels = c->groups * c->m_each;
    const struct cpu_share s = cpu_share(t, cpu_elements(c->out), 64);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t m = i / c->out_space % channels;
        const double v = deform_at(&f, i / c->out_space / channels, m, i % c->out_space);

        cpu_put(c->out, i, c->bias ? v + cpu_get(c->bias, m) : v);
    }
}

/* ---- Col2Im: the blocks that a window saw are added up where they came from ---- */

static bool col2im_window(const struct cpu_task *t, struct ir_window *w)
{
    const struct tensor *image = cpu_in(t, 1), *block = cpu_in(t, 2), *out = cpu_out(t, 0);

    memset(w, 0, sizeof *w);
    w->n = out->type.ndim - 2;
    if (w->n < 1 || cpu_elements(image) != (size_t)w->n || cpu_elements(block) != (size_t)w->n)
        return false;
    for (int d = 0; d < w->n; d++) {
        w->in[d] = out->type.dim[d + 2];
        w->kernel[d] = cpu_int_at(block, (size_t)d);
        if (w->kernel[d] < 1) return false;
    }
    return ir_window_fill(w, &t->call->attr.window);
}

void cpu_col2im(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    struct ir_window w;
    struct cpu_taps p;

    if (x->type.ndim != 3 || !col2im_window(t, &w) ||
        cpu_product(w.out, w.n) != (size_t)x->type.dim[2] ||
        cpu_product(w.kernel, w.n) * (size_t)out->type.dim[1] != (size_t)x->type.dim[1] ||
        out->type.dim[0] != x->type.dim[0]) {
        cpu_fail(t, ST_SHAPE, "blocks do not fit the image");
        return;
    }
    const size_t space = cpu_product(w.in, w.n), places = (size_t)x->type.dim[2];
    const size_t taps = cpu_product(w.kernel, w.n);
    const struct cpu_share s = cpu_share(t, cpu_span(out, 0, 2), 1);
    for (size_t nc = s.begin; nc < s.end; nc++) {
        for (size_t i = 0; i < space; i++) cpu_put(out, nc * space + i, 0);
        for (size_t o = 0; o < places; o++)
            for (bool more = cpu_taps_begin(&p, &w, o); more; more = cpu_taps_next(&p)) {
                const size_t to = nc * space + p.in;

                cpu_put(out, to,
                        cpu_get(out, to) + cpu_get(x, (nc * taps + p.kernel) * places + o));
            }
    }
}
