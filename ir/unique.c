/* SPDX-License-Identifier: MIT */
#include "ir/ir.h"
#include <string.h>

/* ---- order of elements ---- */

#define COMPARE(TYPE)                                                                              \
    do {                                                                                           \
        TYPE x_, y_;                                                                               \
        memcpy(&x_, a, sizeof x_);                                                                 \
        memcpy(&y_, b, sizeof y_);                                                                 \
        return (x_ > y_) - (x_ < y_);                                                              \
    } while (0)

/* NaN after all numbers. */
static int compare_floats(double x, double y)
{
    if (x != x || y != y) return (x != x) - (y != y);
    return (x > y) - (x < y);
}

static int compare_strings(const struct ir_string *a, const struct ir_string *b)
{
    const size_t n = a->n < b->n ? a->n : b->n;
    const int c = n ? memcmp(a->s, b->s, n) : 0;

    return c != 0 ? c : (a->n > b->n) - (a->n < b->n);
}

static int compare(enum dtype dt, const void *a, const void *b)
{
    uint16_t ha, hb;
    float fa, fb;
    double da, db;

    switch (dt) {
    case DT_F32:
        memcpy(&fa, a, sizeof fa);
        memcpy(&fb, b, sizeof fb);
        return compare_floats((double)fa, (double)fb);
    case DT_F64:
        memcpy(&da, a, sizeof da);
        memcpy(&db, b, sizeof db);
        return compare_floats(da, db);
    case DT_F16:
    case DT_BF16:
        memcpy(&ha, a, sizeof ha);
        memcpy(&hb, b, sizeof hb);
        return dt == DT_F16 ? compare_floats((double)half_to_f32(ha), (double)half_to_f32(hb))
                            : compare_floats((double)bf16_to_f32(ha), (double)bf16_to_f32(hb));
    case DT_STRING: return compare_strings(a, b);
    case DT_I8: COMPARE(int8_t);
    case DT_I16: COMPARE(int16_t);
    case DT_I32: COMPARE(int32_t);
    case DT_I64: COMPARE(int64_t);
    case DT_U16: COMPARE(uint16_t);
    case DT_U32: COMPARE(uint32_t);
    case DT_U64: COMPARE(uint64_t);
    default: COMPARE(uint8_t);
    }
}

/* ---- slices ---- */

struct slices {
    const char *data;
    enum dtype dt;
    size_t size, outer, n, inner;
};

static void slices_of(const struct tensor *x, int axis, struct slices *s)
{
    *s = (struct slices){ .data = x->data, .dt = x->type.dtype, .outer = 1, .inner = 1 };
    s->size = s->dt == DT_STRING ? sizeof(struct ir_string) : dtype_bits(s->dt) / 8;
    if (axis < 0) {
        (void)type_elements(&x->type, &s->n);
        return;
    }
    (void)type_span(&x->type, 0, axis, &s->outer);
    (void)type_span(&x->type, axis + 1, x->type.ndim, &s->inner);
    s->n = (size_t)x->type.dim[axis];
}

static int slice_compare(const struct slices *s, size_t a, size_t b)
{
    for (size_t o = 0; o < s->outer; o++)
        for (size_t i = 0; i < s->inner; i++) {
            const char *base = s->data + (o * s->n * s->inner + i) * s->size;
            const int c =
                compare(s->dt, base + a * s->inner * s->size, base + b * s->inner * s->size);
            if (c != 0) return c;
        }
    return 0;
}

/* Merges the runs [from, mid) and [mid, to) of `in` into `out`, the first run first on ties. */
static void merge(const struct slices *s, const size_t *in, size_t *out, size_t from, size_t mid,
                  size_t to)
{
    size_t a = from, b = mid;

    for (size_t i = from; i < to; i++) {
        const bool left = a < mid && (b >= to || slice_compare(s, in[a], in[b]) <= 0);
        out[i] = left ? in[a++] : in[b++];
    }
}

size_t ir_unique_slices(const struct tensor_type *x, int axis)
{
    size_t n = 0;

    if (axis >= 0) return (size_t)x->dim[axis];
    return type_elements(x, &n) ? n : 0;
}

bool ir_unique_sort(const struct tensor *x, int axis, struct ir_unique *u)
{
    struct slices s;

    if (x->type.dtype == DT_C64 || x->type.dtype == DT_C128 ||
        (x->type.dtype != DT_STRING && dtype_bits(x->type.dtype) < 8))
        return false;
    slices_of(x, axis, &s);
    u->n = s.n;
    for (size_t i = 0; i < s.n; i++) u->order[i] = i;
    for (size_t run = 1; run < s.n; run *= 2) {
        for (size_t i = 0; i < s.n; i += 2 * run) {
            const size_t mid = s.n - i < run ? s.n : i + run;
            merge(&s, u->order, u->work, i, mid, s.n - i < 2 * run ? s.n : i + 2 * run);
        }
        memcpy(u->order, u->work, s.n * sizeof *u->order);
    }
    u->n_unique = s.n > 0;
    for (size_t i = 1; i < s.n; i++)
        u->n_unique += slice_compare(&s, u->order[i - 1], u->order[i]) != 0;
    return true;
}

bool ir_unique_same(const struct tensor *x, int axis, size_t a, size_t b)
{
    struct slices s;

    slices_of(x, axis, &s);
    return slice_compare(&s, a, b) == 0;
}
