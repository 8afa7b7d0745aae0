/* SPDX-License-Identifier: MIT */
/* The runner: options, the table of rows, verdicts, timing. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/checkkernel/check.h"

/* ---- every row of kernels.def with its check ---- */

#define KERNEL_SLOT(slot)
#define KERNEL(slot, variant, needs)                                                               \
    static void run_##slot##_##variant(struct check *t)                                            \
    {                                                                                              \
        check_##slot(t, kern_##slot##_##variant);                                                  \
    }
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT

static const struct {
    const char *slot, *variant;
    uint32_t needs;
    void (*run)(struct check *t);
} rows[] = {
#define KERNEL_SLOT(slot)
#define KERNEL(slot, variant, needs) { #slot, #variant, needs, run_##slot##_##variant },
#include "kernels/kernels.def"
#undef KERNEL
#undef KERNEL_SLOT
};

/* ---- verdicts ---- */

void check_fail(struct check *t, const char *format, ...)
{
    enum { SHOWN = 5 };
    va_list args;

    if (++t->failures > SHOWN) return;
    printf("  %s.%s: ", t->slot, t->variant);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

void check_near(struct check *t, double got, double want, double bound, struct check_at at)
{
    if (isnan(got) && isnan(want)) return;
    if (got == want || fabs(got - want) <= bound) return;
    check_fail(t, "%s [%zu, %zu]: got %.9g, want %.9g, off by %.3g of %.3g allowed", at.what, at.i,
               at.j, got, want, fabs(got - want), bound);
}

void check_same(struct check *t, const void *got, const void *want, size_t bytes,
                struct check_at at)
{
    if (memcmp(got, want, bytes) != 0)
        check_fail(t, "%s [%zu, %zu]: bits differ from the reference", at.what, at.i, at.j);
}

double check_ulp(double x)
{
    int exponent;

    frexp(fabs(x), &exponent);
    return ldexp(1.0, exponent < -125 ? -149 : exponent - 24);
}

/* ---- bench ---- */

bool check_bench_on(const struct check *t) { return t->bench && !t->at_start; }

double check_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The next 40 MiB of 160, which no cache holds. */
double check_read_rate(double best)
{
    enum { BYTES = 160 << 20, PART = BYTES / 4 };
    static struct check t = { .slot = "probe", .variant = "read" };
    static uint8_t *p;
    static size_t at;

    if (!p) memset(p = check_bytes(&t, BYTES), 1, BYTES);
    const double start = check_now();

    kern.probe_read(p + at, PART);
    const double rate = PART / (check_now() - start) * 1e-9;

    at = (at + PART) % BYTES;
    return rate > best ? rate : best;
}

void check_report(struct check *t, const struct check_work *work, double seconds, double read)
{
    const double gbs = work->bytes / seconds * 1e-9, gops = work->ops / seconds * 1e-9;

    if (t->csv)
        printf("%s,%s,%s,%.1f,%.0f,%.0f,%.2f\n", t->slot, t->variant, work->label, seconds * 1e9,
               work->bytes, work->ops, read);
    else
        printf("%s.%s  %-28s %12.1f us %8.2f GB/s (%3.0f%% of read) %9.2f Gop/s\n", t->slot,
               t->variant, work->label, seconds * 1e6, gbs, 100 * gbs / read, gops);
    fflush(stdout);
}

/* ---- running ---- */

static sigjmp_buf on_fault;

static void fault(int signal_number) { siglongjmp(on_fault, signal_number); }

/* A function of its own: nothing here lives across the jump. */
static void run_guarded(size_t i, struct check *t)
{
    const int caught = sigsetjmp(on_fault, 1);

    if (caught == 0) {
        rows[i].run(t);
        check_free(t);
        return;
    }
    t->n_buffers = 0; /* left mapped: their contents are evidence of nothing any more */
    check_fail(t, "%s", caught == SIGILL ? "illegal instruction" : "touched a guard page");
}

static bool run_row(size_t i, struct check *t, uint64_t seed)
{
    t->slot = rows[i].slot;
    t->variant = rows[i].variant;
    t->failures = 0;
    for (int side = 0; side < 2; side++) {
        t->random = seed;
        t->at_start = side == 1;
        run_guarded(i, t);
    }
    printf("%s.%s %s\n", t->slot, t->variant, t->failures ? "FAIL" : "ok");
    fflush(stdout);
    return t->failures == 0;
}

struct options {
    char **slots;
    int n_slots;
    uint32_t allowed;
    uint64_t seed;
    bool list, bench, csv;
};

static bool wanted(const struct options *o, size_t i)
{
    if (o->n_slots == 0) return true;
    for (int s = 0; s < o->n_slots; s++)
        if (strncmp(rows[i].slot, o->slots[s], strlen(o->slots[s])) == 0) return true;
    return false;
}

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0) {
            o->bench = true;
        } else if (strcmp(argv[i], "--csv") == 0) {
            o->csv = true;
        } else if (strcmp(argv[i], "--list") == 0) {
            o->list = true;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            o->seed = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) {
            if (!kern_isa_mask(argv[++i], &o->allowed)) return false;
        } else if (argv[i][0] == '-') {
            return false;
        } else {
            o->slots[o->n_slots++] = argv[i];
        }
    }
    return true;
}

static int list_rows(const struct options *o)
{
    for (size_t i = 0; i < kern_row_count(); i++) {
        const struct kern_row row = kern_row_at(i);
        char needs[80];

        if (!wanted(o, i)) continue;
        kern_cpu_text(row.needs, needs, sizeof needs);
        printf("%-20s %-12s %-32s %s\n", row.slot, row.variant, needs,
               row.chosen     ? "chosen"
               : row.runnable ? ""
                              : "not on this CPU");
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = { .slots = calloc((size_t)argc, sizeof(char *)),
                         .allowed = KERN_CPU_ALL,
                         .seed = (uint64_t)time(NULL) };
    struct check t = { 0 };
    size_t ran = 0, failed = 0, absent = 0;

    if (!o.slots || !parse(&o, argc, argv)) {
        fprintf(stderr, "usage: checkkernel [slot...] [--isa LEVEL] [--seed N] [--list] [--bench] "
                        "[--csv]\n");
        return 2;
    }
    kern_init(o.allowed);
    if (o.list) return list_rows(&o);
    signal(SIGSEGV, fault);
    signal(SIGBUS, fault);
    signal(SIGILL, fault);
    t.bench = o.bench;
    t.csv = o.csv;
    printf("seed %llu\n", (unsigned long long)o.seed);
    if (o.csv) printf("slot,variant,case,ns,bytes,ops,read_gbs\n");
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!wanted(&o, i)) continue;
        if ((rows[i].needs & ~(kern_cpu_features() & o.allowed)) != 0) {
            absent++;
            continue;
        }
        failed += !run_row(i, &t, o.seed);
        ran++;
    }
    printf("%zu variants checked, %zu failed, %zu not runnable here\n", ran, failed, absent);
    free(o.slots);
    return failed || ran == 0 ? 1 : 0;
}
