/* SPDX-License-Identifier: MIT */
/* Norms over channels and groups, plain, in f64: BatchNormalization, InstanceNormalization,
 * GroupNormalization, MeanVarianceNormalization, LRN. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

struct moments {
    double mean, var;
};

/* Of n elements from `at` on. */
static struct moments moments_of(const struct tensor *x, size_t at, size_t n)
{
    struct moments m = { 0, 0 };

    for (size_t i = 0; i < n; i++) m.mean += cpu_get(x, at + i);
    m.mean /= (double)n;
    for (size_t i = 0; i < n; i++) {
        const double d = cpu_get(x, at + i) - m.mean;
        m.var += d * d;
    }
    m.var /= (double)n;
    return m;
}

/* Training mode: mean and variance of channel c over batch and places. */
static struct moments channel_moments(const struct tensor *x, size_t c)
{
    const size_t channels = (size_t)x->type.dim[1], space = cpu_span(x, 2, x->type.ndim);
    const size_t batch = (size_t)x->type.dim[0];
    struct moments m = { 0, 0 };

    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < batch * space; i++) {
            const double v = cpu_get(x, (i / space * channels + c) * space + i % space);

            if (pass == 0) m.mean += v / (double)(batch * space);
            if (pass == 1) m.var += (v - m.mean) * (v - m.mean) / (double)(batch * space);
        }
    return m;
}

/* x [N, C, …], scale, bias, mean, var [C]. */
void cpu_batchnorm(const struct cpu_task *t)
{
    const struct attrs_batchnorm *a = &t->call->attr.batchnorm;
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const size_t channels = x->type.ndim > 1 ? (size_t)x->type.dim[1] : 1;
    const size_t space = x->type.ndim > 2 ? cpu_span(x, 2, x->type.ndim) : 1;
    const double keep = (double)a->momentum;

    for (int i = 1; i <= 4; i++)
        if (cpu_elements(cpu_in(t, i)) != channels) {
            cpu_fail(t, ST_SHAPE, "input %d is not one number a channel", i);
            return;
        }
    const struct cpu_share s = cpu_share(t, channels, 1);
    for (size_t c = s.begin; c < s.end; c++) {
        struct moments m = { cpu_get(t->in[3], c), cpu_get(t->in[4], c) };

        if (a->training_mode && x->type.ndim > 1) {
            const struct moments now = channel_moments(x, c);

            if (cpu_out(t, 1)) cpu_put(t->out[1], c, m.mean * keep + now.mean * (1 - keep));
            if (cpu_out(t, 2)) cpu_put(t->out[2], c, m.var * keep + now.var * (1 - keep));
            m = now;
        }
        const double scale = cpu_get(t->in[1], c) / sqrt(m.var + (double)a->epsilon);
        const double bias = cpu_get(t->in[2], c) - m.mean * scale;
        for (size_t n = 0; n * channels * space < cpu_elements(x); n++)
            for (size_t i = 0; i < space; i++) {
                const size_t at = (n * channels + c) * space + i;
                cpu_put(out, at, cpu_get(x, at) * scale + bias);
            }
    }
}

/* Instance norm is group norm with a group a channel. GroupNormalization has a scale and bias for
 * each group below opset 21, for each channel since. */
void cpu_groupnorm(const struct cpu_task *t)
{
    const struct attrs_groupnorm *a = &t->call->attr.groupnorm;
    const bool instance = t->call->op == OP_INSTANCENORM;
    const struct tensor *x = cpu_in(t, 0), *scale = cpu_in(t, 1), *bias = cpu_in(t, 2);
    const struct tensor *out = cpu_out(t, 0);
    const size_t channels = (size_t)x->type.dim[1], space = cpu_span(x, 2, x->type.ndim);
    const size_t groups = instance ? channels : (size_t)a->num_groups;

    if (groups < 1 || channels % groups != 0 || cpu_elements(scale) != cpu_elements(bias) ||
        (cpu_elements(scale) != channels && cpu_elements(scale) != groups)) {
        cpu_fail(t, ST_SHAPE, "groups, scale and bias do not fit the channels");
        return;
    }
    const size_t each = channels / groups * space;
    const bool per_channel = cpu_elements(scale) == channels;
    const struct cpu_share s = cpu_share(t, (size_t)x->type.dim[0] * groups, 1);
    for (size_t g = s.begin; each > 0 && g < s.end; g++) {
        const struct moments m = moments_of(x, g * each, each);
        const double inv = 1 / sqrt(m.var + (double)a->epsilon);

        for (size_t i = g * each; i < (g + 1) * each; i++) {
            const size_t c = per_channel ? i / space % channels : g % groups;
            cpu_put(out, i, (cpu_get(x, i) - m.mean) * inv * cpu_get(scale, c) + cpu_get(bias, c));
        }
    }
}

/* Local response: the sum of squares over `size` channels around each. */
void cpu_lrn(const struct cpu_task *t)
{
    const struct attrs_lrn *a = &t->call->attr.lrn;
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int64_t channels = x->type.dim[1];
    const size_t space = cpu_span(x, 2, x->type.ndim);
    const struct cpu_share s = cpu_share(t, cpu_elements(x), 64);

    for (size_t i = s.begin; i < s.end; i++) {
        const int64_t c = (int64_t)(i / space) % channels;
        const int64_t half = a->size < 2 * channels ? (a->size - 1) / 2 : channels;
        const int64_t more = a->size < 2 * channels ? a->size / 2 : channels; /* ceil((size-1)/2) */
        double sum = 0;

        for (int64_t k = c - half < 0 ? -c : -half; k <= more && c + k < channels; k++) {
            const double v = cpu_get(x, (size_t)((int64_t)i + k * (int64_t)space));
            sum += v * v;
        }
        cpu_put(out, i,
                cpu_get(x, i) / pow((double)a->bias + (double)a->alpha / (double)a->size * sum,
                                    (double)a->beta));
    }
}

/* Mean 0 and variance 1 over the axes (batch and places unless given): each worker's kept indices
 * one by one. */
void cpu_mvn(const struct cpu_task *t)
{
    const struct ir_ints *axes = &t->call->attr.axes.axes;
    const struct tensor *x = cpu_in(t, 0), *out = cpu_out(t, 0);
    struct tensor kept = { .type = { .dtype = DT_U8 } }, gone = kept;
    int64_t stride[IR_DIMS_MAX], kept_stride[IR_DIMS_MAX], gone_stride[IR_DIMS_MAX], step = 1;
    unsigned mask = axes->v ? 0 : ~2u;
    struct cpu_walk w, v;
    struct cpu_piece p, q;

    for (int i = 0; i < axes->n; i++) {
        const int axis = cpu_axis(axes->v[i], x->type.ndim);
        mask |= axis >= 0 ? 1u << axis : 0;
    }
    for (int d = x->type.ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= x->type.dim[d];
    }
    for (int d = 0; d < x->type.ndim; d++) {
        struct tensor_type *to = mask >> d & 1 ? &gone.type : &kept.type;

        (mask >> d & 1 ? gone_stride : kept_stride)[to->ndim] = stride[d];
        to->dim[to->ndim++] = x->type.dim[d];
    }
    const double n = (double)cpu_elements(&gone);
    const struct cpu_share s = cpu_share(t, cpu_elements(&kept), 1);
    cpu_walk_init(&w, &kept);
    cpu_walk_strides(&w, kept_stride);
    cpu_walk_begin(&w, s.begin, s.end);
    while (cpu_walk_next(&w, 1, &p)) {
        struct moments m = { 0, 0 };

        for (int pass = 0; pass < 3; pass++) {
            cpu_walk_init(&v, &gone);
            cpu_walk_strides(&v, gone_stride);
            cpu_walk_begin(&v, 0, SIZE_MAX);
            while (cpu_walk_next(&v, 1, &q)) {
                const size_t at = (size_t)(p.off[0] + q.off[0]);
                const double e = cpu_get(x, at) - (pass ? m.mean : 0);

                if (pass == 0) m.mean += e / n;
                if (pass == 1) m.var += e * e / n;
                if (pass == 2) cpu_put(out, at, e / (sqrt(m.var) + 1e-9));
            }
        }
    }
}
