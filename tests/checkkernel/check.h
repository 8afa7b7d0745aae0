/* SPDX-License-Identifier: MIT */
/* checkkernel: runs every variant of every slot that this CPU can run against double precision.
 *
 *     checkkernel [slot...] [--isa LEVEL] [--seed N] [--list] [--bench] [--csv]
 *
 * A slot argument selects slots whose name begins with it. For each slot there is one function
 * check_<slot>(t, fn), in a file of the family's name; a slot without one does not link. It is run
 * twice per variant: with buffers that end at an unreadable page, and with buffers that begin after
 * one. Outputs are poisoned with NaN; the slack around each buffer holds a pattern that is looked
 * at when the buffer is freed. With --bench the CHECK_BENCH cases are timed as well. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Unit roundoff of fp32; error bounds are multiples of it, derived where they are used. */
#define EPS 0x1p-24

enum { CHECK_BUFFERS = 64 };

struct check {
    const char *slot, *variant;
    uint64_t random;
    bool at_start; /* buffers begin after the guard page, instead of ending at it */
    bool bench, csv;
    size_t failures;
    struct {
        uint8_t *map, *data;
        size_t map_bytes, bytes;
    } buffer[CHECK_BUFFERS];
    size_t n_buffers;
};

/* ---- buffers; freed together by check_free, which also looks for stray writes ---- */

void *check_bytes(struct check *t, size_t bytes);                     /* uninitialised */
float *check_floats(struct check *t, size_t n, double lo, double hi); /* random in [lo, hi) */
uint8_t *check_random_bytes(struct check *t, size_t n);
float *check_output(struct check *t, size_t n); /* NaN */
void check_free(struct check *t);

/* ---- random numbers: the same for the same seed, slot and variant ---- */

uint64_t check_random(struct check *t);
double check_uniform(struct check *t, double lo, double hi);

/* ---- verdicts ---- */

/* The element that a verdict is about. */
struct check_at {
    const char *what;
    size_t i, j;
};
#define AT(what, i, j) ((struct check_at){ what, i, j })

/* |got - want| <= bound, or both NaN, or the same infinity. */
void check_near(struct check *t, double got, double want, double bound, struct check_at at);
/* The same bits. */
void check_same(struct check *t, const void *got, const void *want, size_t bytes,
                struct check_at at);
void check_fail(struct check *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Distance between neighbouring floats at |x|. */
double check_ulp(double x);

/* ---- bench ---- */

struct check_work {
    const char *label;
    double bytes, ops; /* of one call; 0 for not meaningful */
};
bool check_bench_on(const struct check *t);
double check_now(void);
/* GB/s of one short stream through memory, or `best` when that is more. */
double check_read_rate(double best);
void check_report(struct check *t, const struct check_work *work, double seconds, double read);

/* Times `call`: the best of 12 samples of at least 2 ms. Between the samples the read rate of
 * memory is taken, best of the same 12 moments, because the machine may have moods. */
#define CHECK_BENCH(t, label_, bytes_, ops_, call)                                                 \
    do {                                                                                           \
        if (!check_bench_on(t)) break;                                                             \
        const struct check_work work_ = { (label_), (double)(bytes_), (double)(ops_) };            \
        double best_ = 1e30, read_ = 0;                                                            \
        size_t turns_ = 1;                                                                         \
        for (int sample_ = 0; sample_ < 12;) {                                                     \
            const double start_ = check_now();                                                     \
            for (size_t turn_ = 0; turn_ < turns_; turn_++) call;                                  \
            const double took_ = check_now() - start_;                                             \
            if (took_ < 2e-3) {                                                                    \
                turns_ *= 2;                                                                       \
                continue;                                                                          \
            }                                                                                      \
            best_ = took_ / (double)turns_ < best_ ? took_ / (double)turns_ : best_;               \
            read_ = check_read_rate(read_);                                                        \
            sample_++;                                                                             \
        }                                                                                          \
        check_report(t, &work_, best_, read_);                                                     \
    } while (0)

/* ---- one function per slot ---- */

#define KERNEL_SLOT(slot) void check_##slot(struct check *t, kern_##slot##_fn *fn);
#define KERNEL(slot, variant, needs)
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT
