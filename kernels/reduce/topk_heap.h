/* SPDX-License-Identifier: MIT */
/* The heap behind topk_f32, shared by its variants. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The best `count` <= limit indices so far, the worst of them at the root. */
struct topk_heap {
    uint32_t *index; /* [limit], caller's */
    const float *x;
    size_t count, limit;
};

/* Puts index i in when it belongs among the best. Indices must be offered in rising order. */
void topk_offer(struct topk_heap *heap, size_t i);

/* A value must exceed this to be taken; -inf (and see topk_full) while the heap has room. */
float topk_threshold(const struct topk_heap *heap);
int topk_full(const struct topk_heap *heap);

/* Sorts best first; returns the count. The heap is no heap afterwards. */
size_t topk_sort(struct topk_heap *heap);
