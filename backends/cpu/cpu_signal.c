/* SPDX-License-Identifier: MIT */
/* DFT, STFT, window functions, MelWeightMatrix: by their definitions, in f64. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

#define PI 3.14159265358979323846

struct complex {
    double re, im;
};

/* A line of complex (or real) numbers within a tensor, cut or padded with zeros as it is read. */
struct line {
    const struct tensor *x, *window;
    size_t at, step, n; /* first number (in numbers of `parts` elements), distance, count */
    size_t parts;       /* 1 real, 2 complex */
};

static struct complex line_get(const struct line *l, size_t j)
{
    struct complex v = { 0, 0 };

    if (j >= l->n) return v;
    const double w = l->window ? cpu_get(l->window, j) : 1;
    const size_t at = (l->at + j * l->step) * l->parts;
    v.re = cpu_get(l->x, at) * w;
    if (l->parts == 2) v.im = cpu_get(l->x, at + 1) * w;
    return v;
}

/* Frequency k of n: sum over v[j] exp(-+ 2 pi i j k / n). */
static struct complex dft_at(const struct line *l, size_t k, size_t n, bool inverse)
{
    struct complex sum = { 0, 0 };

    for (size_t j = 0; j < n && j < l->n; j++) {
        const double angle = (inverse ? 2 : -2) * PI * (double)(j * k % n) / (double)n;
        const struct complex v = line_get(l, j);
        const double c = cos(angle), s = sin(angle);

        sum.re += v.re * c - v.im * s;
        sum.im += v.re * s + v.im * c;
    }
    if (inverse) sum = (struct complex){ sum.re / (double)n, sum.im / (double)n };
    return sum;
}

/* Sample k of the n real ones whose one-sided spectrum the line is. */
static double real_inverse_at(const struct line *l, size_t k, size_t n)
{
    double sum = 0;

    for (size_t j = 0; j <= n / 2 && j < l->n; j++) {
        const double angle = 2 * PI * (double)(j * k % n) / (double)n;
        const struct complex v = line_get(l, j);
        const bool alone = j == 0 || 2 * j == n;

        sum += alone ? v.re * cos(angle) : 2 * (v.re * cos(angle) - v.im * sin(angle));
    }
    return sum / (double)n;
}

static bool axis_of(const struct cpu_task *t, const struct tensor *x, int *axis)
{
    const struct attrs_dft *a = &t->call->attr.dft;
    const struct tensor *given = cpu_in(t, 2);
    const int64_t v = given ? cpu_int_at(given, 0) : t->call->version >= 20 ? -2 : a->axis;

    *axis = cpu_axis(v, x->type.ndim);
    return *axis >= 0 && *axis < x->type.ndim - 1;
}

/* x [.., n, .., 1 or 2], dft_length?, axis? -> [.., m, .., 2], or [.., m, .., 1] one-sided inverse.
 */
void cpu_dft(const struct cpu_task *t)
{
    const struct attrs_dft *a = &t->call->attr.dft;
    const struct tensor *x = cpu_in(t, 0), *len = cpu_in(t, 1), *out = cpu_out(t, 0);
    const int ndim = x->type.ndim;
    int axis;

    if (!axis_of(t, x, &axis) || out->type.ndim != ndim) {
        cpu_fail(t, ST_SHAPE, "axis out of range");
        return;
    }
    const size_t n_in = (size_t)x->type.dim[axis], n_out = (size_t)out->type.dim[axis];
    const size_t inner = cpu_span(x, axis + 1, ndim - 1), outer = cpu_span(x, 0, axis);
    const bool real_out = a->inverse && a->onesided;
    const size_t n = len ? (size_t)cpu_int_at(len, 0) : real_out ? 2 * (n_in - 1) : n_in;
    const size_t parts = real_out ? 1 : 2;
    if (cpu_elements(out) != outer * n_out * inner * parts || n == 0) {
        cpu_fail(t, ST_SHAPE, "dft_length does not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, outer * n_out * inner, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t k = i / inner % n_out;
        const struct line l = { .x = x,
                                .at = i / inner / n_out * n_in * inner + i % inner,
                                .step = inner,
                                .n = n_in,
                                .parts = (size_t)x->type.dim[ndim - 1] };

        if (real_out) {
            cpu_put(out, i, real_inverse_at(&l, k, n));
            continue;
        }
        const struct complex v = dft_at(&l, k, n, a->inverse != 0);
        cpu_put(out, 2 * i, v.re);
        cpu_put(out, 2 * i + 1, v.im);
    }
}

/* signal [B, L] or [B, L, 1 or 2], frame_step, window?, frame_length? -> [B, frames, bins, 2]. */
void cpu_stft(const struct cpu_task *t)
{
    const struct tensor *x = cpu_in(t, 0), *window = cpu_in(t, 2), *len = cpu_in(t, 3);
    const struct tensor *out = cpu_out(t, 0);
    const int64_t hop = cpu_int_at(cpu_in(t, 1), 0);

    if (x->type.ndim < 2 || x->type.ndim > 3 || out->type.ndim != 4 || hop < 1) {
        cpu_fail(t, ST_SHAPE, "signal or frame_step do not fit the output");
        return;
    }
    const size_t length = (size_t)x->type.dim[1], frames = (size_t)out->type.dim[1];
    const size_t bins = (size_t)out->type.dim[2];
    const size_t n = window ? cpu_elements(window) : len ? (size_t)cpu_int_at(len, 0) : length;
    if (n < 1 || n > length || frames != (length - n) / (size_t)hop + 1 || bins > n) {
        cpu_fail(t, ST_SHAPE, "frames do not lead to the output's shape");
        return;
    }
    const struct cpu_share s = cpu_share(t, cpu_elements(out) / 2, 1);
    for (size_t i = s.begin; i < s.end; i++) {
        const size_t frame = i / bins % frames, b = i / bins / frames;
        const struct line l = { .x = x,
                                .window = window,
                                .at = b * length + frame * (size_t)hop,
                                .step = 1,
                                .n = n,
                                .parts = x->type.ndim == 3 ? (size_t)x->type.dim[2] : 1 };
        const struct complex v = dft_at(&l, i % bins, n, false);

        cpu_put(out, 2 * i, v.re);
        cpu_put(out, 2 * i + 1, v.im);
    }
}

/* HannWindow, HammingWindow, BlackmanWindow: sums of cosines. */
void cpu_cosine_window(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    const size_t n = cpu_elements(out);
    const double period = (double)n - (t->call->attr.signal.periodic ? 0 : 1);
    const double a0 = t->call->op == OP_HANNWINDOW      ? 0.5
                      : t->call->op == OP_HAMMINGWINDOW ? 25.0 / 46
                                                        : 0.42;
    const double a2 = t->call->op == OP_BLACKMANWINDOW ? 0.08 : 0;

    if (t->worker != 0) return;
    for (size_t i = 0; i < n; i++) {
        const double angle = period > 0 ? 2 * PI * (double)i / period : 0;
        cpu_put(out, i, a0 - (1 - a0 - a2) * cos(angle) + a2 * cos(2 * angle));
    }
}

/* num_mel_bins, dft_length, sample_rate, lower_edge_hertz, upper_edge_hertz -> [bins, mel]. */
void cpu_melweights(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    const double length = cpu_get(cpu_in(t, 1), 0), rate = cpu_get(cpu_in(t, 2), 0);
    const double low = 2595 * log10(1 + cpu_get(cpu_in(t, 3), 0) / 700);
    const double high = 2595 * log10(1 + cpu_get(cpu_in(t, 4), 0) / 700);
    const int64_t rows = out->type.dim[0], mel = out->type.dim[1];

    if (t->worker != 0) return;
    for (size_t i = 0; i < cpu_elements(out); i++) cpu_put(out, i, 0);
    for (int64_t m = 0; m < mel; m++) {
        int64_t f[3];

        for (int k = 0; k < 3; k++) {
            const double at = low + (double)(m + k) * (high - low) / (double)(mel + 2);
            const double bin = floor((length + 1) * 700 * (pow(10, at / 2595) - 1) / rate);

            if (!(bin >= 0 && bin <= (double)rows)) {
                cpu_fail(t, ST_INVALID, "a mel band lies beyond the spectrum");
                return;
            }
            f[k] = (int64_t)bin;
        }
        for (int64_t j = f[0]; j < f[2] && j < rows; j++) {
            const double up = f[1] > f[0] ? (double)(j - f[0]) / (double)(f[1] - f[0]) : 1;
            const double v = j < f[1] ? up : (double)(f[2] - j) / (double)(f[2] - f[1]);

            cpu_put(out, (size_t)(j * mel + m), v);
        }
        if (f[1] < rows) cpu_put(out, (size_t)(f[1] * mel + m), 1);
    }
}
