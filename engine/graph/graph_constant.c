/* SPDX-License-Identifier: MIT */
/* Reading elements of constants as numbers. */
#include "engine/graph/graph.h"
#include <string.h>

bool graph_is_constant(const struct graph *g, int value)
{
    return value >= 0 && (size_t)value < g->n_values && g->values[value].data != NULL;
}

/* Address of element i of a constant whose elements are whole bytes; NULL if there is none. */
static const uint8_t *constant_at(const struct graph *g, int value, size_t i, enum dtype *dt)
{
    size_t n;

    if (!graph_is_constant(g, value)) return NULL;
    const struct graph_value *v = &g->values[value];
    const unsigned bits = dtype_bits(v->type.dtype);
    if (bits < 8 || !type_elements(&v->type, &n) || i >= n) return NULL;
    *dt = v->type.dtype;
    return (const uint8_t *)v->data + i * (bits / 8);
}

/* The element at p, of any integer dtype of whole bytes or bool. */
static bool read_integer(const uint8_t *p, enum dtype dt, int64_t *out)
{
    int64_t wide = 0;
    int32_t i32;
    int16_t i16;
    uint32_t u32;
    uint16_t u16;

    switch (dt) {
    case DT_BOOL:
    case DT_U8: *out = *p; return true;
    case DT_I8: *out = (int8_t)*p; return true;
    case DT_U16:
        memcpy(&u16, p, sizeof u16);
        *out = u16;
        return true;
    case DT_I16:
        memcpy(&i16, p, sizeof i16);
        *out = i16;
        return true;
    case DT_U32:
        memcpy(&u32, p, sizeof u32);
        *out = u32;
        return true;
    case DT_I32:
        memcpy(&i32, p, sizeof i32);
        *out = i32;
        return true;
    case DT_U64:
    case DT_I64:
        memcpy(&wide, p, sizeof wide);
        *out = wide;
        return dt == DT_I64 || wide >= 0;
    default: return false;
    }
}

bool graph_constant_i64(const struct graph *g, int value, size_t i, int64_t *out)
{
    enum dtype dt;
    const uint8_t *p = constant_at(g, value, i, &dt);
    return p && read_integer(p, dt, out);
}

bool graph_constant_float(const struct graph *g, int value, size_t i, double *out)
{
    enum dtype dt;
    const uint8_t *p = constant_at(g, value, i, &dt);
    int64_t whole;
    uint16_t half;
    float f;

    if (!p) return false;
    switch (dt) {
    case DT_F64: memcpy(out, p, sizeof *out); return true;
    case DT_F32:
        memcpy(&f, p, sizeof f);
        *out = (double)f;
        return true;
    case DT_F16:
        memcpy(&half, p, sizeof half);
        *out = (double)half_to_f32(half);
        return true;
    case DT_BF16:
        memcpy(&half, p, sizeof half);
        *out = (double)bf16_to_f32(half);
        return true;
    default: break;
    }
    if (!read_integer(p, dt, &whole)) return false;
    *out = (double)whole;
    return true;
}
