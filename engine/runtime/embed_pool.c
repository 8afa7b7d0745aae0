/* SPDX-License-Identifier: MIT */
/* Token states to one vector, as sentence-transformers' Pooling and Normalize do. */
#include "engine/runtime/embed.h"
#include <math.h>
#include <string.h>

size_t embed_pool_count(unsigned pooling)
{
    size_t n = 0;

    for (; pooling; pooling &= pooling - 1) n++;
    return n;
}

static void pool_max(const float *x, size_t n, size_t hidden, float *out)
{
    memcpy(out, x, hidden * sizeof *out);
    for (size_t r = 1; r < n; r++)
        for (size_t c = 0; c < hidden; c++)
            if (x[r * hidden + c] > out[c]) out[c] = x[r * hidden + c];
}

/* Sum of weight(row) * row, divided by `by`. Row by row in double, so that the order of columns
 * costs nothing. */
/* How rows are summed up: row r counts once, or first + r + 1 times; the sum is divided. */
struct weighting {
    bool by_position;
    size_t first;
    double divisor;
};

static void pool_sum(const float *x, size_t n, size_t hidden, const struct weighting *w, float *out)
{
    for (size_t c = 0; c < hidden; c++) {
        double sum = 0;

        for (size_t r = 0; r < n; r++)
            sum += (w->by_position ? (double)(w->first + r + 1) : 1.0) * (double)x[r * hidden + c];
        out[c] = (float)(sum / w->divisor);
    }
}

void embed_pool(unsigned pooling, const float *states, size_t n, size_t hidden, size_t first,
                float *out)
{
    if (first >= n) first = 0;
    const float *x = states + first * hidden;
    const size_t m = n - first;
    double weights = 0;

    for (size_t r = first; r < n; r++) weights += (double)(r + 1);
    const struct weighting plain = { .divisor = (double)m }, root = { .divisor = sqrt((double)m) },
                           by_position = { true, first, weights };
    for (unsigned mode = 1; mode <= MODEL_POOL_LAST; mode <<= 1) {
        if (!(pooling & mode)) continue;
        if (mode == MODEL_POOL_CLS) memcpy(out, states, hidden * sizeof *out);
        if (mode == MODEL_POOL_MAX) pool_max(x, m, hidden, out);
        if (mode == MODEL_POOL_MEAN) pool_sum(x, m, hidden, &plain, out);
        if (mode == MODEL_POOL_MEAN_SQRT_LEN) pool_sum(x, m, hidden, &root, out);
        if (mode == MODEL_POOL_WEIGHTED_MEAN) pool_sum(x, m, hidden, &by_position, out);
        if (mode == MODEL_POOL_LAST) memcpy(out, states + (n - 1) * hidden, hidden * sizeof *out);
        out += hidden;
    }
}

void embed_normalize(float *v, size_t n)
{
    double square = 0;

    for (size_t i = 0; i < n; i++) square += (double)v[i] * (double)v[i];
    const double by = fmax(sqrt(square), 1e-12);
    for (size_t i = 0; i < n; i++) v[i] = (float)((double)v[i] / by);
}
