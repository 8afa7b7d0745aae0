/* SPDX-License-Identifier: MIT */
/* Convolutions, plain: Conv, ConvInteger, QLinearConv, ConvTranspose, DeformConv, Col2Im. Sums in
 * f64 in a fixed order. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"
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

static bool conv_shapes(const struct cpu_task *t, struct conv *c)
{
    const struct tensor_type *x = &c->x->type, *k = &c->k->type, *y = &c->out->type;
    const int64_t groups = t->call->attr.window.group;

    if (!cpu_window_of(t, c->x, c->k, c->out, c->transposed, &c->w) || groups < 1 ||
        x->dim[1] % groups != 0 || y->dim[1] % groups != 0 || x->dim[0] != y->dim[0])
        return false;
    c->groups = (size_t)groups;
    c->c_each = (size_t)(x->dim[1] / groups);
    c->m_each = (size_t)(y->dim[1] / groups);
    c->space = cpu_product(c->w.in, c->w.n);
    c->taps = cpu_product(c->w.kernel, c->w.n);
    c->out_space = cpu_product(c->w.out, c->w.n);
    if (c->bias && cpu_elements(c->bias) != (size_t)y->dim[1]) return false;
    if (c->transposed) return k->dim[0] == x->dim[1] && (size_t)k->dim[1] == c->m_each;
    return k->dim[0] == y->dim[1] && (size_t)k->dim[1] == c->c_each;
}

static bool conv_operands(const struct cpu_task *t, struct conv *c)
{
    const enum op_kind op = t->call->op;

    memset(c, 0, sizeof *c);
    c->x = cpu_in(t, 0);
    c->out = cpu_out(t, 0);
    c->transposed = op == OP_CONVTRANSPOSE;
    if (op == OP_QLINEARCONV) {
        c->k = cpu_in(t, 3);
        c->bias = cpu_in(t, 8);
        return conv_shapes(t, c) && cpu_quant_of(&c->xq, cpu_in(t, 1), cpu_in(t, 2), 1) &&
               cpu_quant_of(&c->kq, cpu_in(t, 4), cpu_in(t, 5), c->groups * c->m_each) &&
               cpu_quant_of(&c->yq, cpu_in(t, 6), cpu_in(t, 7), 1);
    }
    c->k = cpu_in(t, 1);
    if (op == OP_CONVINTEGER)
        return conv_shapes(t, c) && cpu_quant_of(&c->xq, NULL, cpu_in(t, 2), 1) &&
               cpu_quant_of(&c->kq, NULL, cpu_in(t, 3), c->groups * c->m_each);
    c->bias = cpu_in(t, 2);
    return conv_shapes(t, c);
}

/* Sum of one output element: batch n, output channel m, position o. */
static double conv_at(const struct conv *c, size_t n, size_t m, size_t o)
{
    const size_t g = m / c->m_each, mg = m % c->m_each;
    const double xz = cpu_quant_zero(&c->xq, 0), kz = cpu_quant_zero(&c->kq, m);
    const size_t x0 = (n * c->groups + g) * c->c_each * c->space;
    const size_t k0 =
        c->transposed ? (g * c->c_each * c->m_each + mg) * c->taps : m * c->c_each * c->taps;
    const size_t k_step = c->transposed ? c->m_each * c->taps : c->taps;
    struct cpu_taps p;
    double sum = 0;
    bool more = c->transposed ? cpu_taps_back_begin(&p, &c->w, o) : cpu_taps_begin(&p, &c->w, o);

    while (more) {
        for (size_t i = 0; i < c->c_each; i++)
            sum += (cpu_get(c->x, x0 + i * c->space + p.in) - xz) *
                   (cpu_get(c->k, k0 + i * k_step + p.kernel) - kz);
        more = c->transposed ? cpu_taps_back_next(&p) : cpu_taps_next(&p);
    }
    return sum;
}

void cpu_conv(const struct cpu_task *t)
{
    struct conv c;

    if (!conv_operands(t, &c)) {
        cpu_fail(t, ST_SHAPE, "input, weights and output do not fit each other");
        return;
    }
    const size_t channels = c.groups * c.m_each;
    const struct cpu_share s = cpu_share(t, cpu_elements(c.out), 64);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t m = i / c.out_space % channels;
        double v = conv_at(&c, i / c.out_space / channels, m, i % c.out_space);

        if (c.bias) v += cpu_get(c.bias, m);
        if (t->call->op == OP_QLINEARCONV)
            v = cpu_quantize(&c.yq, 0, v * cpu_quant_scale(&c.xq, 0) * cpu_quant_scale(&c.kq, m),
                             c.out->type.dtype);
        cpu_put(c.out, i, v);
    }
}

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
