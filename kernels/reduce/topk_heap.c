/* SPDX-License-Identifier: MIT */
/* A binary heap of indices. Order: larger value first, then lower index; the root is the worst. */
#include "kernels/reduce/topk_heap.h"

#include <math.h>
#include <stdbool.h>

static bool worse(const struct topk_heap *heap, uint32_t a, uint32_t b)
{
    const float x = heap->x[a], y = heap->x[b];

    return x < y || (!(x > y) && a > b);
}

static void sink(struct topk_heap *heap, size_t at, size_t count)
{
    const uint32_t item = heap->index[at];

    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && worse(heap, heap->index[child + 1], heap->index[child])) child++;
        if (!worse(heap, heap->index[child], item)) break;
        heap->index[at] = heap->index[child];
    }
    heap->index[at] = item;
}

static void rise(struct topk_heap *heap, size_t at)
{
    const uint32_t item = heap->index[at];

    while (at > 0 && worse(heap, item, heap->index[(at - 1) / 2])) {
        heap->index[at] = heap->index[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->index[at] = item;
}

void topk_offer(struct topk_heap *heap, size_t i)
{
    if (isnan(heap->x[i])) return;
    if (heap->count < heap->limit) {
        heap->index[heap->count] = (uint32_t)i;
        rise(heap, heap->count++);
    } else if (heap->limit > 0 && heap->x[i] > heap->x[heap->index[0]]) {
        heap->index[0] = (uint32_t)i;
        sink(heap, 0, heap->count);
    }
}

int topk_full(const struct topk_heap *heap) { return heap->count == heap->limit; }

float topk_threshold(const struct topk_heap *heap)
{
    return heap->count ? heap->x[heap->index[0]] : -INFINITY;
}

size_t topk_sort(struct topk_heap *heap)
{
    for (size_t left = heap->count; left > 1; left--) {
        const uint32_t worst = heap->index[0];

        heap->index[0] = heap->index[left - 1];
        heap->index[left - 1] = worst;
        sink(heap, 0, left - 1);
    }
    return heap->count;
}
