/* SPDX-License-Identifier: MIT */
/* Loading and storing of chunks, by element type. */
#include "backends/cpu/cpu_numeric.h"

#include <string.h>

enum cpu_class cpu_class_of(enum dtype dt)
{
    switch (dt) {
    case DT_F32:
    case DT_F16:
    case DT_BF16:
    case DT_F8E4M3FN:
    case DT_F8E4M3FNUZ:
    case DT_F8E5M2:
    case DT_F8E5M2FNUZ:
    case DT_F4E2M1:
    case DT_F8E8M0: return CPU_F32;
    case DT_F64: return CPU_F64;
    case DT_U64: return CPU_U64;
    case DT_U8:
    case DT_I8:
    case DT_U16:
    case DT_I16:
    case DT_I32:
    case DT_I64:
    case DT_U32:
    case DT_BOOL:
    case DT_U4:
    case DT_I4:
    case DT_U2:
    case DT_I2: return CPU_I64;
    default: return CPU_NONE;
    }
}

/* ---- elements of less than a byte, and floats of a byte or less ---- */

static unsigned code_at(const void *base, enum dtype dt, int64_t i)
{
    const unsigned bits = dtype_bits(dt), per_byte = 8 / bits;
    const unsigned byte = ((const uint8_t *)base)[(uint64_t)i / per_byte];

    return byte >> (uint64_t)i % per_byte * bits & ((1u << bits) - 1);
}

static void code_put(void *base, enum dtype dt, size_t i, unsigned code)
{
    const unsigned bits = dtype_bits(dt), per_byte = 8 / bits;
    const unsigned shift = (unsigned)(i % per_byte) * bits, mask = (1u << bits) - 1;
    uint8_t *byte = (uint8_t *)base + i / per_byte;

    *byte = (uint8_t)((*byte & ~(mask << shift)) | (code & mask) << shift);
}

bool cpu_mini_kind(enum dtype dt, enum mini_kind *kind)
{
    switch (dt) {
    case DT_F8E4M3FN: *kind = MINI_E4M3FN; return true;
    case DT_F8E4M3FNUZ: *kind = MINI_E4M3FNUZ; return true;
    case DT_F8E5M2: *kind = MINI_E5M2; return true;
    case DT_F8E5M2FNUZ: *kind = MINI_E5M2FNUZ; return true;
    case DT_F4E2M1: *kind = MINI_E2M1; return true;
    case DT_F8E8M0: *kind = MINI_E8M0; return true;
    default: return false;
    }
}

void cpu_store_mini(void *base, enum dtype dt, size_t off, const float *in, size_t n,
                    struct cpu_mini_rule rule)
{
    enum mini_kind kind;

    if (!cpu_mini_kind(dt, &kind)) return;
    for (size_t i = 0; i < n; i++)
        code_put(base, dt, off + i, mini_from_f32(kind, in[i], rule.saturate, rule.round));
}

/* ---- load ---- */

/* o[i] = p[off + i * step] as TYPE */
#define EACH(o, TYPE)                                                                              \
    do {                                                                                           \
        const TYPE *p_ = (const TYPE *)base + off;                                                 \
        for (size_t i = 0; i < n; i++, p_ += step) (o)[i] = *p_;                                   \
    } while (0)

static int64_t small_int_at(const void *base, enum dtype dt, int64_t i)
{
    const int64_t q = code_at(base, dt, i);
    const int64_t half = (int64_t)1 << (dtype_bits(dt) - 1);

    return (dt == DT_I4 || dt == DT_I2) && q >= half ? q - 2 * half : q;
}

static void load_f32(float *o, const void *base, enum dtype dt, int64_t off, int64_t step, size_t n)
{
    enum mini_kind kind;

    if (cpu_mini_kind(dt, &kind)) {
        for (size_t i = 0; i < n; i++)
            o[i] = mini_to_f32(kind, (uint8_t)code_at(base, dt, off + (int64_t)i * step));
    } else if (step == 1) {
        cpu_to_f32(o, base, dt, (size_t)off, n);
    } else if (dt == DT_F32) {
        EACH(o, float);
    } else {
        const uint16_t *p = (const uint16_t *)base + off;
        for (size_t i = 0; i < n; i++, p += step)
            o[i] = dt == DT_F16 ? half_to_f32(*p) : bf16_to_f32(*p);
    }
}

static void load_i64(int64_t *o, const void *base, enum dtype dt, int64_t off, int64_t step,
                     size_t n)
{
    switch (dt) {
    case DT_U8: EACH(o, uint8_t); break;
    case DT_I8: EACH(o, int8_t); break;
    case DT_U16: EACH(o, uint16_t); break;
    case DT_I16: EACH(o, int16_t); break;
    case DT_U32: EACH(o, uint32_t); break;
    case DT_I32: EACH(o, int32_t); break;
    case DT_I64: EACH(o, int64_t); break;
    case DT_BOOL:
        EACH(o, uint8_t);
        for (size_t i = 0; i < n; i++) o[i] = o[i] != 0;
        break;
    default:
        for (size_t i = 0; i < n; i++) o[i] = small_int_at(base, dt, off + (int64_t)i * step);
        break;
    }
}

void cpu_load(union cpu_chunk *out, const void *base, enum dtype dt, int64_t off, int64_t step,
              size_t n)
{
    switch (cpu_class_of(dt)) {
    case CPU_F32: load_f32(out->f32, base, dt, off, step, n); break;
    case CPU_F64: EACH(out->f64, double); break;
    case CPU_U64: EACH(out->u64, uint64_t); break;
    case CPU_I64: load_i64(out->i64, base, dt, off, step, n); break;
    case CPU_NONE: memset(out, 0, sizeof *out); break;
    }
}

/* ---- store ---- */

#define STORE(TYPE)                                                                                \
    do {                                                                                           \
        TYPE *p_ = (TYPE *)base + off;                                                             \
        for (size_t i = 0; i < n; i++) p_[i] = (TYPE)in[i];                                        \
    } while (0)

static void store_i64(void *base, enum dtype dt, size_t off, const int64_t *in, size_t n)
{
    switch (dt) {
    case DT_U8: STORE(uint8_t); break;
    case DT_I8: STORE(int8_t); break;
    case DT_U16: STORE(uint16_t); break;
    case DT_I16: STORE(int16_t); break;
    case DT_U32: STORE(uint32_t); break;
    case DT_I32: STORE(int32_t); break;
    case DT_I64: STORE(int64_t); break;
    case DT_BOOL:
        for (size_t i = 0; i < n; i++) ((uint8_t *)base)[off + i] = in[i] != 0;
        break;
    default:
        for (size_t i = 0; i < n; i++) code_put(base, dt, off + i, (unsigned)in[i]);
        break;
    }
}

void cpu_store(void *base, enum dtype dt, size_t off, const union cpu_chunk *in, size_t n)
{
    switch (cpu_class_of(dt)) {
    case CPU_F32:
        cpu_from_f32(base, dt, off, in->f32, n);
        cpu_store_mini(base, dt, off, in->f32, n, (struct cpu_mini_rule){ true, MINI_UP });
        break;
    case CPU_F64: memcpy((double *)base + off, in->f64, n * sizeof(double)); break;
    case CPU_U64: memcpy((uint64_t *)base + off, in->u64, n * sizeof(uint64_t)); break;
    case CPU_I64: store_i64(base, dt, off, in->i64, n); break;
    case CPU_NONE: break;
    }
}

/* ---- between classes ---- */

static int64_t i64_of(double x)
{
    if (x != x) return 0;
    if (x >= 9223372036854775808.0) return INT64_MAX;
    if (x < -9223372036854775808.0) return INT64_MIN;
    return (int64_t)x;
}

static uint64_t u64_of(double x)
{
    if (x != x) return 0;
    if (x >= 18446744073709551616.0) return UINT64_MAX;
    if (x < 0) return (uint64_t)i64_of(x);
    return (uint64_t)x;
}

/* Front to back or back to front, so that no element is overwritten before it is read. */
static void from_f32(union cpu_chunk *x, enum cpu_class to, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        const float v = x->f32[i];

        if (to == CPU_F64) x->f64[i] = v;
        if (to == CPU_I64) x->i64[i] = i64_of((double)v);
        if (to == CPU_U64) x->u64[i] = u64_of((double)v);
    }
}

static void to_f32(union cpu_chunk *x, enum cpu_class from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (from == CPU_F64) x->f32[i] = (float)x->f64[i];
        if (from == CPU_I64) x->f32[i] = (float)x->i64[i];
        if (from == CPU_U64) x->f32[i] = (float)x->u64[i];
    }
}

void cpu_convert(union cpu_chunk *x, enum cpu_class from, enum cpu_class to, size_t n)
{
    if (from == to) return;
    if (from == CPU_F32) {
        from_f32(x, to, n);
        return;
    }
    if (to == CPU_F32) {
        to_f32(x, from, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (from == CPU_F64 && to == CPU_I64) x->i64[i] = i64_of(x->f64[i]);
        if (from == CPU_F64 && to == CPU_U64) x->u64[i] = u64_of(x->f64[i]);
        if (from == CPU_I64 && to == CPU_F64) x->f64[i] = (double)x->i64[i];
        if (from == CPU_U64 && to == CPU_F64) x->f64[i] = (double)x->u64[i];
        /* i64 <-> u64: the same bits */
    }
}

/* ---- one element ---- */

double cpu_get(const struct tensor *x, size_t i)
{
    union cpu_chunk c;

    if (x->type.dtype == DT_F32) return (double)((const float *)x->data)[i];
    cpu_load(&c, x->data, x->type.dtype, (int64_t)i, 1, 1);
    cpu_convert(&c, cpu_class_of(x->type.dtype), CPU_F64, 1);
    return c.f64[0];
}

void cpu_put(const struct tensor *x, size_t i, double v)
{
    union cpu_chunk c;

    if (x->type.dtype == DT_F32) {
        ((float *)x->data)[i] = (float)v;
        return;
    }
    c.f64[0] = v;
    cpu_convert(&c, CPU_F64, cpu_class_of(x->type.dtype), 1);
    cpu_store(x->data, x->type.dtype, i, &c, 1);
}
