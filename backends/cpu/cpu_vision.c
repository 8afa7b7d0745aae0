/* SPDX-License-Identifier: MIT */
/* GridSample, AffineGrid, RoiAlign: reading between the elements of images. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

/* ---- GridSample ---- */

enum grid_pad { PAD_ZEROS, PAD_BORDER, PAD_REFLECTION };

struct grid {
    const struct tensor *x;
    int n;    /* spatial dimensions */
    int taps; /* 1 nearest, 2 linear, 4 cubic */
    enum grid_pad pad;
    bool corners;
    double at[IR_DIMS_MAX]; /* place of the present element */
};

/* Reflects at the borders of a dimension until within. */
static double reflect(const struct grid *g, double x, int64_t dim)
{
    const double low = g->corners ? 0 : -0.5, high = (double)dim - (g->corners ? 1 : 0.5);
    const double range = high - low;

    if (x >= low && x <= high) return x;
    if (!(range > 0)) return low;
    const double dx = x < low ? low - x : x - high, n = floor(dx / range);
    const double r = dx - n * range;
    const bool even = fmod(n, 2) == 0;
    return (x < low) == even ? low + r : high - r;
}

static double denormalize(const struct grid *g, double x, int64_t dim)
{
    const double d = (double)dim;
    double at = (float)(g->corners ? (x + 1) / 2 * (d - 1) : ((x + 1) * d - 1) / 2);

    if (!(at > -1e9)) at = -1e9;
    if (at > 1e9) at = 1e9;
    if (g->taps == 1) at = rint(at);
    /* Beyond the border cubic taps differ in how many of them repeat it: they are clamped, not
     * this. */
    if (g->pad == PAD_BORDER && g->taps != 4) at = at < 0 ? 0 : at > d - 1 ? d - 1 : at;
    return g->pad == PAD_REFLECTION ? reflect(g, at, dim) : at;
}

static double cubic(double x)
{
    const double a = -0.75;

    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
}

static double grid_sample(const struct grid *g, int d, size_t flat)
{
    if (d == g->n) return cpu_get(g->x, flat);
    const int64_t n = g->x->type.dim[d + 2];
    const double base = g->taps == 1 ? g->at[d] : floor(g->at[d]), f = g->at[d] - base;
    double sum = 0;

    for (int i = g->taps == 4 ? -1 : 0; i < (g->taps == 4 ? 3 : g->taps); i++) {
        const double w = g->taps == 1 ? 1 : g->taps == 2 ? (i ? f : 1 - f) : cubic(f - i);
        int64_t j = (int64_t)base + i;

        if (g->pad == PAD_ZEROS && (j < 0 || j >= n)) continue;
        if (g->pad == PAD_REFLECTION) j = (int64_t)reflect(g, (double)j, n);
        j = j < 0 ? 0 : j >= n ? n - 1 : j;
        sum += w * grid_sample(g, d + 1, flat * (size_t)n + (size_t)j);
    }
    return sum;
}

static bool read_grid(const struct cpu_task *t, struct grid *g)
{
    const struct attrs_gridsample *a = &t->call->attr.gridsample;

    memset(g, 0, sizeof *g);
    g->x = cpu_in(t, 0);
    g->n = g->x->type.ndim - 2;
    g->corners = a->align_corners != 0;
    g->taps = strstr(a->mode, "cubic") ? 4 : strstr(a->mode, "linear") ? 2 : 1;
    g->pad = !strcmp(a->padding_mode, "border")       ? PAD_BORDER
             : !strcmp(a->padding_mode, "reflection") ? PAD_REFLECTION
                                                      : PAD_ZEROS;
    return g->n >= 1 && cpu_elements(g->x) > 0;
}

/* x [N, C, …], grid [N, places…, n] with the last dimension of x first -> y [N, C, places…]. */
void cpu_gridsample(const struct cpu_task *t)
{
    const struct tensor *grid = cpu_in(t, 1), *out = cpu_out(t, 0);
    struct grid g;

    if (cpu_elements(out) == 0) return;
    const size_t places = cpu_span(out, 2, out->type.ndim);
    if (!read_grid(t, &g) || cpu_span(out, 0, 2) != cpu_span(g.x, 0, 2) ||
        cpu_elements(grid) != (size_t)g.x->type.dim[0] * places * (size_t)g.n) {
        cpu_fail(t, ST_SHAPE, "grid and input do not lead to the output's shape");
        return;
    }
    const size_t channels = (size_t)g.x->type.dim[1];
    const struct cpu_share s = cpu_share(t, cpu_elements(out), 64);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t plane = i / places;
        const size_t at = (plane / channels * places + i % places) * (size_t)g.n;

        for (int d = 0; d < g.n; d++)
            g.at[d] =
                denormalize(&g, cpu_get(grid, at + (size_t)(g.n - 1 - d)), g.x->type.dim[d + 2]);
        cpu_put(out, i, grid_sample(&g, 0, plane));
    }
}

/* ---- AffineGrid ---- */

static double grid_coord(int64_t i, int64_t n, bool corners)
{
    if (corners) return n > 1 ? -1 + 2.0 * (double)i / (double)(n - 1) : -1;
    return -1 + (2.0 * (double)i + 1) / (double)n;
}

/* theta [N, n, n+1], size -> [N, places…, n]. */
void cpu_affinegrid(const struct cpu_task *t)
{
    const struct tensor *theta = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int n = out->type.ndim - 2;
    const bool corners = t->call->attr.gridsample.align_corners != 0;

    if (n < 2 || n > 3 || out->type.dim[n + 1] != n ||
        cpu_elements(theta) != (size_t)(out->type.dim[0] * n * (n + 1))) {
        cpu_fail(t, ST_SHAPE, "theta does not fit the output");
        return;
    }
    const size_t places = cpu_span(out, 1, n + 1);
    const struct cpu_share s = cpu_share(t, (size_t)out->type.dim[0] * places, 64);
    for (size_t i = s.begin; i < s.end; i++) {
        double at[4] = { 0 };
        size_t rest = i;

        at[n] = 1;
        for (int d = n; d >= 1; d--) {
            const size_t dim = (size_t)out->type.dim[d];

            at[n - d] = grid_coord((int64_t)(rest % dim), (int64_t)dim, corners);
            rest /= dim;
        }
        for (int r = 0; r < n; r++) {
            double sum = 0;

            for (int k = 0; k <= n; k++)
                sum += at[k] *
                       cpu_get(theta, ((size_t)rest * (size_t)n + (size_t)r) * (size_t)(n + 1) +
                                          (size_t)k);
            cpu_put(out, i * (size_t)n + (size_t)r, sum);
        }
    }
}

/* ---- RoiAlign ---- */

struct roi {
    const struct tensor *x;
    size_t plane; /* first element of the channel */
    double y0, x0, bin_h, bin_w;
    int64_t grid_h, grid_w; /* samples in a bin */
    bool max;
};

/* The four neighbours of a place; the largest weighted one for max. */
static double roi_sample(const struct roi *r, double y, double x)
{
    const int64_t h = r->x->type.dim[2], w = r->x->type.dim[3];

    if (!(y >= -1 && y <= (double)h && x >= -1 && x <= (double)w)) return 0;
    y = y < 0 ? 0 : y > (double)(h - 1) ? (double)(h - 1) : y;
    x = x < 0 ? 0 : x > (double)(w - 1) ? (double)(w - 1) : x;
    const int64_t yl = (int64_t)y, xl = (int64_t)x;
    const double ly = y - (double)yl, lx = x - (double)xl;
    double sum = 0, max = -INFINITY;

    for (int k = 0; k < 4; k++) {
        const int64_t yi = yl + (k >> 1) < h ? yl + (k >> 1) : h - 1;
        const int64_t xi = xl + (k & 1) < w ? xl + (k & 1) : w - 1;
        const double v = (k >> 1 ? ly : 1 - ly) * (k & 1 ? lx : 1 - lx) *
                         cpu_get(r->x, r->plane + (size_t)(yi * w + xi));

        sum += v;
        max = v > max ? v : max;
    }
    return r->max ? max : sum;
}

static double roi_bin(const struct roi *r, int64_t ph, int64_t pw)
{
    double sum = 0, max = -INFINITY;

    for (int64_t iy = 0; iy < r->grid_h; iy++)
        for (int64_t ix = 0; ix < r->grid_w; ix++) {
            const double v = roi_sample(
                r, r->y0 + r->bin_h * ((double)ph + ((double)iy + 0.5) / (double)r->grid_h),
                r->x0 + r->bin_w * ((double)pw + ((double)ix + 0.5) / (double)r->grid_w));

            sum += v;
            max = v > max ? v : max;
        }
    const double n = (double)(r->grid_h * r->grid_w);
    return n < 1 ? 0 : r->max ? max : sum / n;
}

enum { ROI_GRID_MAX = 4096 };

/* Samples along a side of a bin; -1: too many. */
static int64_t roi_grid(int64_t ratio, double bin)
{
    const double n = ratio > 0 ? (double)ratio : ceil(bin);

    return n > ROI_GRID_MAX ? -1 : n > 0 ? (int64_t)n : 0;
}

static bool roi_read(const struct cpu_task *t, size_t n, struct roi *r)
{
    const struct attrs_roialign *a = &t->call->attr.roialign;
    const struct tensor *rois = cpu_in(t, 1);
    const bool half = t->call->version >= 16 && strcmp(a->coord, "half_pixel") == 0;
    const double scale = (double)a->spatial_scale, off = half ? 0.5 : 0;
    const int64_t batch = cpu_int_at(cpu_in(t, 2), n);
    double at[4];

    for (size_t k = 0; k < 4; k++) at[k] = cpu_get(rois, 4 * n + k) * scale - off;
    double w = at[2] - at[0], h = at[3] - at[1];
    if (!half) w = w < 1 ? 1 : w;
    if (!half) h = h < 1 ? 1 : h;
    r->x = cpu_in(t, 0);
    r->plane = (size_t)batch * cpu_span(r->x, 1, 4);
    r->x0 = at[0];
    r->y0 = at[1];
    r->bin_h = h / (double)a->output_height;
    r->bin_w = w / (double)a->output_width;
    r->grid_h = roi_grid(a->sampling_ratio, r->bin_h);
    r->grid_w = roi_grid(a->sampling_ratio, r->bin_w);
    r->max = strcmp(a->mode, "max") == 0;
    return batch >= 0 && batch < r->x->type.dim[0] && r->grid_h >= 0 && r->grid_w >= 0;
}

/* x [N, C, H, W], rois [R, 4], batch_indices [R] -> [R, C, output_height, output_width]. */
void cpu_roialign(const struct cpu_task *t)
{
    const struct attrs_roialign *a = &t->call->attr.roialign;
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    struct roi r;

    if (x->type.ndim != 4 || out->type.ndim != 4 || out->type.dim[1] != x->type.dim[1] ||
        cpu_elements(cpu_in(t, 1)) != 4 * (size_t)out->type.dim[0] ||
        cpu_elements(cpu_in(t, 2)) != (size_t)out->type.dim[0] ||
        out->type.dim[2] != a->output_height || out->type.dim[3] != a->output_width) {
        cpu_fail(t, ST_SHAPE, "rois and input do not lead to the output's shape");
        return;
    }
    const size_t bins = cpu_span(out, 2, 4), channels = (size_t)x->type.dim[1];
    const struct cpu_share s = cpu_share(t, cpu_span(out, 0, 2), 1);
    for (size_t i = s.begin; i < s.end; i++) {
        if (!roi_read(t, i / channels, &r)) {
            cpu_fail(t, ST_INVALID, "roi %zu: its batch, or more than %d samples a bin and side",
                     i / channels, ROI_GRID_MAX);
            return;
        }
        r.plane += i % channels * cpu_span(x, 2, 4);
        for (size_t b = 0; b < bins; b++)
            cpu_put(out, i * bins + b,
                    roi_bin(&r, (int64_t)b / a->output_width, (int64_t)b % a->output_width));
    }
}
