/* SPDX-License-Identifier: MIT */
/* Buffers between guard pages, and random contents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/checkkernel/check.h"

enum { PAGE = 65536, PATTERN = 0xa5 }; /* the largest page size in use */

void *check_bytes(struct check *t, size_t bytes)
{
    const size_t room = (bytes + PAGE - 1) / PAGE * PAGE + (bytes == 0 ? PAGE : 0);
    uint8_t *map = mmap(NULL, room + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED || t->n_buffers == CHECK_BUFFERS ||
        mprotect(map + PAGE, room, PROT_READ | PROT_WRITE) != 0) {
        fprintf(stderr, "checkkernel: no memory for %zu bytes\n", bytes);
        exit(2);
    }
    if (room >= (8u << 20)) madvise(map + PAGE, room, MADV_HUGEPAGE);
    uint8_t *data = map + PAGE + (t->at_start ? 0 : room - bytes);

    memset(map + PAGE, PATTERN, room > bytes + 2 * PAGE ? bytes : room);
    t->buffer[t->n_buffers].map = map;
    t->buffer[t->n_buffers].map_bytes = room + 2 * PAGE;
    t->buffer[t->n_buffers].data = data;
    t->buffer[t->n_buffers++].bytes = bytes;
    return data;
}

void check_free(struct check *t)
{
    for (size_t i = 0; i < t->n_buffers; i++) {
        const uint8_t *from = t->buffer[i].map + PAGE, *data = t->buffer[i].data;
        const uint8_t *end = t->buffer[i].map + t->buffer[i].map_bytes - PAGE;

        for (const uint8_t *p = from; p < end; p++) {
            if (p == data) p += t->buffer[i].bytes;
            if (p >= end || *p == PATTERN) continue;
            check_fail(t, "stray write %td bytes from the start of a buffer of %zu", p - data,
                       t->buffer[i].bytes);
            break;
        }
        munmap(t->buffer[i].map, t->buffer[i].map_bytes);
    }
    t->n_buffers = 0;
}

/* splitmix64 */
uint64_t check_random(struct check *t)
{
    uint64_t z = t->random += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double check_uniform(struct check *t, double lo, double hi)
{
    return lo + (hi - lo) * (double)(check_random(t) >> 11) * 0x1p-53;
}

float *check_floats(struct check *t, size_t n, double lo, double hi)
{
    float *x = check_bytes(t, n * sizeof *x);

    for (size_t i = 0; i < n; i++) x[i] = (float)check_uniform(t, lo, hi);
    return x;
}

uint8_t *check_random_bytes(struct check *t, size_t n)
{
    uint8_t *x = check_bytes(t, n);

    for (size_t i = 0; i < n; i++) x[i] = (uint8_t)check_random(t);
    return x;
}

float *check_output(struct check *t, size_t n)
{
    float *x = check_bytes(t, n * sizeof *x);

    memset(x, 0xff, n * sizeof *x); /* all ones is a NaN */
    return x;
}
