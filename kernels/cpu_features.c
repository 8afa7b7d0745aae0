/* SPDX-License-Identifier: MIT */
/* What this CPU can run, and the names of ISA levels. */
#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* Which register files the OS saves: bit 1 xmm, 2 ymm, 5..7 opmask and zmm. */
static uint32_t os_saves(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

uint32_t kern_cpu_features(void)
{
    enum { YMM = 0x6, ZMM = 0xe6 };
    uint32_t a, b, c, d, out = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    const uint32_t saved = os_saves(), leaf1_c = c;

    if ((saved & YMM) != YMM || !(leaf1_c & bit_AVX)) return 0;
    if (leaf1_c & bit_FMA) out |= CPU_FMA;
    if (leaf1_c & bit_F16C) out |= CPU_F16C;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return out;
    const uint32_t leaf7_b = b, leaf7_c = c;
    const uint32_t all512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL | bit_AVX512CD;
    const bool zmm = (saved & ZMM) == ZMM && (leaf7_b & all512) == all512;

    if (leaf7_b & bit_AVX2) out |= CPU_AVX2;
    if (zmm) out |= CPU_AVX512;
    if (zmm && (leaf7_c & bit_AVX512VNNI)) out |= CPU_AVX512VNNI;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return out;
    if (zmm && (a & (1u << 5))) out |= CPU_AVX512BF16;
    if (a & (1u << 4)) out |= CPU_AVXVNNI;
    return out;
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

uint32_t kern_cpu_features(void)
{
    enum { HWCAP_DOTPROD = 1 << 20 };

    return CPU_NEON | (getauxval(AT_HWCAP) & HWCAP_DOTPROD ? CPU_NEONDOT : 0u);
}
#elif defined(__aarch64__)
uint32_t kern_cpu_features(void) { return CPU_NEON; }
#else
uint32_t kern_cpu_features(void) { return 0; }
#endif

#define LEVEL_AVX2   (CPU_AVX2 | CPU_FMA | CPU_F16C)
#define LEVEL_AVX512 (LEVEL_AVX2 | CPU_AVX512)

static const struct {
    const char *name;
    uint32_t mask;
} levels[] = {
    { "scalar", 0 },
    { "avx2", LEVEL_AVX2 },
    { "avxvnni", LEVEL_AVX2 | CPU_AVXVNNI },
    { "avx512", LEVEL_AVX512 },
    { "avx512vnni", LEVEL_AVX512 | CPU_AVX512VNNI },
    { "avx512bf16", LEVEL_AVX512 | CPU_AVX512VNNI | CPU_AVX512BF16 },
    { "neon", CPU_NEON },
    { "neondot", CPU_NEON | CPU_NEONDOT },
    { "native", KERN_CPU_ALL },
};
enum { LEVELS = sizeof levels / sizeof levels[0] };

bool kern_isa_mask(const char *name, uint32_t *mask)
{
    for (size_t i = 0; i < LEVELS; i++) {
        if (strcmp(name, levels[i].name) != 0) continue;
        *mask = levels[i].mask;
        return true;
    }
    return false;
}

const char *kern_isa_name(size_t i) { return i < LEVELS ? levels[i].name : NULL; }

void kern_cpu_text(uint32_t mask, char *out, size_t size)
{
    static const char *const names[] = { "avx2",       "fma",     "f16c", "avx512", "avx512vnni",
                                         "avx512bf16", "avxvnni", "neon", "neondot" };
    size_t at = 0;

    if (size == 0) return;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!(mask >> i & 1u)) continue;
        const int n = snprintf(out + at, size - at, "%s%s", at ? "+" : "", names[i]);

        if (n < 0 || (size_t)n >= size - at) return;
        at += (size_t)n;
    }
    if (at == 0) snprintf(out, size, "-");
}
