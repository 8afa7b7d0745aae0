/* SPDX-License-Identifier: MIT */
/* Reductions and selection. */
#include <math.h>
#include <string.h>

#include "tests/checkkernel/check.h"

static const size_t sizes[] = { 0, 1, 2, 7, 8, 15, 16, 17, 63, 64, 65, 129, 1000 };

/* Values from a small set, so that there are ties; some NaN, both infinities, both zeros. */
static float *tied_floats(struct check *t, size_t n, int mood)
{
    float *x = check_floats(t, n, 0, 1);

    for (size_t i = 0; i < n; i++) {
        const uint64_t r = check_random(t) % 40;

        x[i] = (float)(r % 7) - 3.0f;
        if (mood == 1 && r < 9) x[i] = NAN;
        if (mood == 2 && r == 11) x[i] = INFINITY;
        if (mood == 2 && r > 20) x[i] = -INFINITY;
        if (mood == 3) x[i] = r % 2 ? 0.0f : -0.0f;
        if (mood == 4) x[i] = r % 2 ? NAN : -INFINITY;
        if (mood == 5) x[i] = NAN;
    }
    return x;
}
enum { MOODS = 6 };

static size_t first_max(const float *x, size_t n)
{
    size_t best = n;

    for (size_t i = n; i-- > 0;)
        if (!isnan(x[i]) && (best == n || x[i] >= x[best])) best = i;
    return best;
}

void check_argmax_f32(struct check *t, kern_argmax_f32_fn *fn)
{
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int mood = 0; mood < MOODS; mood++) {
            const size_t n = sizes[i];
            const float *x = tied_floats(t, n, mood);
            const size_t got = fn(x, n), want = first_max(x, n);

            if (got != want) check_fail(t, "n %zu mood %d: %zu, not %zu", n, mood, got, want);
            check_free(t);
        }
    for (size_t at = 0; at < 200; at++) { /* every position */
        float *x = check_floats(t, 200, -1, 0);

        x[at] = 1;
        if (fn(x, 200) != at) check_fail(t, "maximum at %zu not found", at);
        for (size_t i = 0; i < 200; i++)
            if (i != at && check_random(t) % 2) x[i] = NAN;
        if (fn(x, 200) != at) check_fail(t, "maximum at %zu not found among NaN", at);
        check_free(t);
    }
    enum { N = 151936 };
    const float *x = check_floats(t, N, -5, 5);
    volatile size_t sink = 0;

    CHECK_BENCH(t, "151936", 4 * N, N, sink = fn(x, N));
    (void)sink;
    check_free(t);
}

void check_reduce_max_f32(struct check *t, kern_reduce_max_f32_fn *fn)
{
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int mood = 0; mood < MOODS; mood++) {
            const size_t n = sizes[i];
            const float *x = tied_floats(t, n, mood);
            const size_t at = first_max(x, n);

            check_near(t, fn(x, n), at < n ? x[at] : -INFINITY, 0, AT("max", n, (size_t)mood));
            check_free(t);
        }
}

void check_reduce_sum_f32(struct check *t, kern_reduce_sum_f32_fn *fn)
{
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t n = sizes[i];
        const float *x = check_floats(t, n, -3, 5);
        double sum = 0, size = 0;

        for (size_t j = 0; j < n; j++) {
            sum += x[j];
            size += fabs(x[j]);
        }
        check_near(t, fn(x, n), sum, (double)n * EPS * size, AT("sum", n, 0));
        check_free(t);
    }
}

/* By repeated selection. */
static void expect_topk(struct check *t, const uint32_t *index, size_t count, const float *x,
                        size_t n, size_t k)
{
    bool taken[1000] = { false };

    for (size_t i = 0; i < k; i++) {
        size_t best = n;

        for (size_t j = 0; j < n; j++)
            if (!taken[j] && !isnan(x[j]) && (best == n || x[j] > x[best])) best = j;
        if (best == n) {
            if (count != i) check_fail(t, "%zu found of %zu, there are %zu", count, k, i);
            return;
        }
        if (i >= count || index[i] != best) {
            check_fail(t, "n %zu k %zu place %zu: not %zu", n, k, i, best);
            return;
        }
        taken[best] = true;
    }
    if (count != k) check_fail(t, "%zu found, not %zu", count, k);
}

void check_topk_f32(struct check *t, kern_topk_f32_fn *fn)
{
    static const size_t counts[] = { 0, 1, 2, 5, 16, 50, 129 };

    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t c = 0; c < COUNT(counts) && counts[c] <= sizes[i]; c++)
            for (int mood = 0; mood < MOODS; mood++) {
                const size_t n = sizes[i], k = counts[c];
                const float *x = tied_floats(t, n, mood);
                uint32_t *index = check_bytes(t, k * sizeof *index);

                expect_topk(t, index, fn(index, x, n, k), x, n, k);
                check_free(t);
            }
    for (int turn = 0; turn < 20; turn++) { /* all different */
        const float *x = check_floats(t, 1000, -1, 1);
        uint32_t *index = check_bytes(t, 40 * sizeof *index);

        expect_topk(t, index, fn(index, x, 1000, 40), x, 1000, 40);
        check_free(t);
    }
    enum { N = 151936 };
    const float *x = check_floats(t, N, -5, 5);
    uint32_t *index = check_bytes(t, 50 * sizeof *index);

    CHECK_BENCH(t, "151936 top 50", 4 * N, N, fn(index, x, N, 50));
    check_free(t);
}
