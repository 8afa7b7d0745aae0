/* SPDX-License-Identifier: MIT */
/* cupola doctor: what this machine offers, how fast it is, and what is missing for more. */
#include "cli/cli.h"
#include <stdio.h>
#include <unistd.h>

static void print_rate(const char *what, double one, double all, double unit, const char *name,
                       unsigned n)
{
    printf("  %-18s %8.1f %s on one thread, %.1f on %u\n", what, one / unit, name, all / unit, n);
}

static status print_roofline(const char *isa, unsigned cpus, struct err *err)
{
    struct roofline one, all;

    TRY(engine_roofline(isa, 1, 0.5, &one, err));
    TRY(engine_roofline(isa, (int)cpus, 0.5, &all, err));
    puts("\nroofline, measured now");
    print_rate("memory read", one.read_bytes_per_s, all.read_bytes_per_s, 1e9, "GB/s", cpus);
    print_rate("fp32", one.f32_flops, all.f32_flops, 1e9, "GFLOP/s", cpus);
    print_rate("int8", one.int8_ops, all.int8_ops, 1e9, "Gop/s", cpus);
    if (cpus > 1 && all.int8_ops < 1.5 * one.int8_ops)
        puts("  the CPUs share cores at this moment: all threads together are hardly faster than "
             "one");
    return ST_OK;
}

static void print_cache(const char *name, int what)
{
    const long bytes = sysconf(what);

    if (bytes > 0) printf("  %-18s %ld KiB\n", name, bytes / 1024);
}

static status print_devices(const char *isa, struct err *err)
{
    const char *const *names = engine_device_names();
    struct str s = { 0 };
    const status st = engine_isa_print(isa, &s, err);

    if (st == ST_OK) printf("  %-18s %s\n", "ISA", str_cstr(&s));
    str_fini(&s);
    printf("  %-18s", "devices");
    for (size_t i = 0; names[i]; i++) printf(" %s", names[i]);
    puts("");
    return st;
}

int cmd_doctor(int argc, char **argv)
{
    const struct cli_syntax syntax = {
        "doctor",
        "Shows what this machine offers, its measured roofline, and what is missing for more.",
        "  cupola doctor\n",
        NULL,
        0,
        0,
        0
    };
    struct cli_args args;
    struct err err = { 0 };
    const unsigned cpus = os_cpu_count();
    const int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    puts("machine");
    printf("  %-18s %u\n", "CPUs", cpus);
    print_cache("L1d cache", _SC_LEVEL1_DCACHE_SIZE);
    print_cache("L2 cache", _SC_LEVEL2_CACHE_SIZE);
    print_cache("L3 cache", _SC_LEVEL3_CACHE_SIZE);
    printf("  %-18s %.1f GiB, %.1f GiB free\n", "memory", (double)os_memory_total() / (1 << 30),
           (double)os_memory_available() / (1 << 30));
    status st = print_devices(args.common.isa, &err);
    if (st == ST_OK) st = print_roofline(args.common.isa, cpus, &err);
    puts("\nmissing for more");
    puts("  cuda, opencl       not part of this version");
    return st == ST_OK ? CLI_DONE : cli_fail(&err);
}
