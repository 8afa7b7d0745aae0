/* SPDX-License-Identifier: MIT */
/* Roofline probes: they stay inside their buffer and count their work. */
#include "tests/checkkernel/check.h"

void check_probe_read(struct check *t, kern_probe_read_fn *fn)
{
    static const size_t sizes[] = { 0, 255, 256, 511, 512, 4096, 70000 };

    for (size_t i = 0; i < COUNT(sizes); i++) {
        const uint8_t *p = check_random_bytes(t, sizes[i]);
        const uint64_t before = fn(p, sizes[i]);

        if (sizes[i] >= 256) {
            uint8_t *changed = (uint8_t *)(uintptr_t)p;

            changed[sizes[i] / 256 * 256 - 1] ^= 1; /* the last byte it has to read */
            if (fn(p, sizes[i]) == before) check_fail(t, "last byte of %zu not read", sizes[i]);
        }
        check_free(t);
    }
    if (check_bench_on(t)) {
        enum { BIG = 192 << 20, SMALL = 256 << 10 };
        const uint8_t *p = check_random_bytes(t, BIG);

        CHECK_BENCH(t, "192 MiB", BIG, 0, fn(p, BIG));
        CHECK_BENCH(t, "256 KiB", SMALL, 0, fn(p, SMALL));
        check_free(t);
    }
}

static void check_count(struct check *t, double one, double many, double iterations)
{
    if (one <= 0) check_fail(t, "no work counted");
    check_near(t, many, one * iterations, 0, AT("work of many iterations", 0, 0));
}

void check_probe_fma_f32(struct check *t, kern_probe_fma_f32_fn *fn)
{
    check_count(t, fn(1), fn(1000), 1000);
    CHECK_BENCH(t, "100000", 0, fn(100000), fn(100000));
}

void check_probe_dot_i8(struct check *t, kern_probe_dot_i8_fn *fn)
{
    check_count(t, fn(1), fn(1000), 1000);
    CHECK_BENCH(t, "100000", 0, fn(100000), fn(100000));
}
