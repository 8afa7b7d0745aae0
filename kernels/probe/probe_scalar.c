/* SPDX-License-Identifier: MIT */
/* Roofline probes without SIMD. */
#include "kernels/probe/probe.h"

#include <string.h>

#include "kernels/kernels.h"

uint64_t kern_probe_read_scalar(const void *p, size_t bytes)
{
    const uint8_t *at = p;
    uint64_t sum[4] = { 0 };

    for (size_t i = 0; i + 256 <= bytes; i += 256)
        for (size_t j = 0; j < 256; j += 32) {
            uint64_t v[4];

            memcpy(v, at + i + j, sizeof v);
            for (size_t l = 0; l < 4; l++) sum[l] += v[l];
        }
    return sum[0] + sum[1] + sum[2] + sum[3];
}

double kern_probe_fma_f32_scalar(size_t iterations)
{
    enum { CHAINS = 8 };
    volatile float seed = 0.5f;
    const float x = seed, y = seed;
    float acc[CHAINS];

    for (int i = 0; i < CHAINS; i++) acc[i] = seed;
    for (size_t n = 0; n < iterations; n++)
        for (int i = 0; i < CHAINS; i++) acc[i] = acc[i] * x + y;
    for (int i = 0; i < CHAINS; i++) seed = acc[i];
    return 2.0 * CHAINS * (double)iterations;
}

double kern_probe_dot_i8_scalar(size_t iterations)
{
    enum { CHAINS = 4 };
    volatile int32_t seed = 3;
    uint32_t acc[CHAINS];
    uint32_t x = (uint32_t)seed;

    for (int i = 0; i < CHAINS; i++) acc[i] = (uint32_t)seed;
    for (size_t n = 0; n < iterations; n++, x++)
        for (int i = 0; i < CHAINS; i++) acc[i] += (x & 0xff) * (acc[i] & 0x7f);
    for (int i = 0; i < CHAINS; i++) seed = (int32_t)acc[i];
    return 2.0 * CHAINS * (double)iterations;
}
