/* SPDX-License-Identifier: MIT */
/* Reference of reductions and selection. */
#include "kernels/reduce/reduce.h"

#include <math.h>

#include "kernels/kernels.h"
#include "kernels/reduce/topk_heap.h"

size_t kern_argmax_f32_scalar(const float *x, size_t n)
{
    size_t best = n;

    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]) && (best == n || x[i] > x[best])) best = i;
    return best;
}

float kern_reduce_max_f32_scalar(const float *x, size_t n)
{
    float best = -INFINITY;

    for (size_t i = 0; i < n; i++)
        if (x[i] > best) best = x[i];
    return best;
}

float kern_reduce_sum_f32_scalar(const float *x, size_t n)
{
    float sum = 0;

    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

size_t kern_topk_f32_scalar(uint32_t *index, const float *x, size_t n, size_t k)
{
    struct topk_heap heap = { .index = index, .x = x, .limit = k };

    for (size_t i = 0; i < n; i++) topk_offer(&heap, i);
    return topk_sort(&heap);
}
