/* SPDX-License-Identifier: MIT */
/* The caller's tensors and the engine's. */
#include "api/api_internal.h"
#include <assert.h>
#include <string.h>

static_assert((int)CUPOLA_FLOAT == (int)DT_F32 && (int)CUPOLA_STRING == (int)DT_STRING &&
                  (int)CUPOLA_BFLOAT16 == (int)DT_BF16 && (int)CUPOLA_UINT4 == (int)DT_U4 &&
                  (int)CUPOLA_INT2 == (int)DT_I2,
              "both are the numbers of onnx.TensorProto.DataType");

static bool dtype_known(int32_t dtype) { return dtype > DT_NONE && dtype < DT_COUNT; }

size_t cupola_tensor_bytes(int32_t dtype, int32_t rank, const int64_t *shape)
{
    size_t bytes = 0;

    if (!dtype_known(dtype) || rank < 0 || rank > IR_DIMS_MAX || (rank > 0 && !shape)) return 0;
    const struct tensor_type t = type_make((enum dtype)dtype, rank, shape);
    return type_bytes(&t, &bytes) ? bytes : 0;
}

/* ---- from the caller ---- */

static status type_take(struct tensor_type *out, const struct cupola_tensor *given, struct err *err)
{
    if (!dtype_known(given->dtype))
        return FAIL(err, ST_SHAPE, "input %s: %d is no dtype", given->name, (int)given->dtype);
    if (given->rank < 0 || given->rank > IR_DIMS_MAX)
        return FAIL(err, ST_SHAPE, "input %s: rank %d: expected 0 to %d", given->name,
                    (int)given->rank, IR_DIMS_MAX);
    if (given->rank > 0 && !given->shape)
        return FAIL(err, ST_INVALID, "input %s: shape is NULL", given->name);
    for (int32_t d = 0; d < given->rank; d++)
        if (given->shape[d] < 0)
            return FAIL(err, ST_SHAPE, "input %s: dimension %d is %lld", given->name, (int)d,
                        (long long)given->shape[d]);
    *out = type_make((enum dtype)given->dtype, given->rank, given->shape);
    return ST_OK;
}

static status type_fits(const char *name, const struct tensor_type *got,
                        const struct tensor_type *want, struct err *err)
{
    char text[160];

    type_print(want, text, sizeof text);
    if (want->dtype != DT_NONE && got->dtype != want->dtype)
        return FAIL(err, ST_SHAPE, "input %s: dtype is %s, the graph takes %s", name,
                    dtype_name(got->dtype), text);
    if (want->ndim < 0) return ST_OK;
    if (got->ndim != want->ndim)
        return FAIL(err, ST_SHAPE, "input %s: rank is %d, the graph takes %s", name, got->ndim,
                    text);
    for (int d = 0; d < want->ndim; d++)
        if (want->dim[d] >= 0 && got->dim[d] != want->dim[d])
            return FAIL(err, ST_SHAPE, "input %s: dimension %d is %lld, the graph takes %s", name,
                        d, (long long)got->dim[d], text);
    return ST_OK;
}

static status size_fits(const struct cupola_tensor *given, const struct tensor_type *type,
                        struct err *err)
{
    size_t bytes;

    if (!type_bytes(type, &bytes))
        return FAIL(err, ST_LIMIT, "input %s: more elements than memory could hold", given->name);
    if (given->n_bytes != bytes)
        return FAIL(err, ST_INVALID, "input %s: n_bytes is %zu, type and shape make %zu",
                    given->name, given->n_bytes, bytes);
    if (!given->data && bytes > 0)
        return FAIL(err, ST_INVALID, "input %s: data is NULL", given->name);
    return ST_OK;
}

static status strings_take(struct ir_string **out, const struct cupola_tensor *given,
                           struct arena *a, struct err *err)
{
    const size_t n = given->n_bytes / sizeof(struct cupola_string);
    struct ir_string *list = ARENA_ARRAY(a, n + 1, struct ir_string);

    if (!list) return FAIL(err, ST_NOMEM, "input %s: out of memory", given->name);
    for (size_t i = 0; i < n; i++) {
        struct cupola_string s;
        memcpy(&s, (const uint8_t *)given->data + i * sizeof s, sizeof s);
        if (!s.data && s.n_bytes > 0)
            return FAIL(err, ST_INVALID, "input %s: string %zu is NULL", given->name, i);
        if (s.n_bytes == SIZE_MAX)
            return FAIL(err, ST_LIMIT, "input %s: string %zu is too long", given->name, i);
        char *copy = arena_alloc(a, s.n_bytes + 1);
        if (!copy) return FAIL(err, ST_NOMEM, "input %s: out of memory", given->name);
        if (s.n_bytes > 0) memcpy(copy, s.data, s.n_bytes);
        list[i] = (struct ir_string){ .s = copy, .n = s.n_bytes };
    }
    *out = list;
    return ST_OK;
}

enum { ALIGN_MAX = 16 };

/* Elements stand on multiples of their size? */
static bool is_aligned(const void *p, enum dtype dtype)
{
    const unsigned bytes = dtype_bits(dtype) / 8;

    return (uintptr_t)p % (bytes > ALIGN_MAX ? ALIGN_MAX : bytes > 0 ? bytes : 1) == 0;
}

status api_tensor_take(struct tensor *out, const struct cupola_tensor *given,
                       const struct tensor_type *want, struct arena *a, struct err *err)
{
    struct ir_string *strings = NULL;

    TRY(type_take(&out->type, given, err));
    TRY(type_fits(given->name, &out->type, want, err));
    TRY(size_fits(given, &out->type, err));
    out->data = (void *)(uintptr_t)given->data;
    if (out->type.dtype == DT_STRING) {
        TRY(strings_take(&strings, given, a, err));
        out->data = strings;
    } else if (given->n_bytes == 0) {
        out->data = arena_alloc(a, 1); /* the engine takes NULL for "no value" */
    } else if (!is_aligned(given->data, out->type.dtype)) {
        out->data = arena_memdup(a, given->data, given->n_bytes);
    }
    return out->data ? ST_OK : FAIL(err, ST_NOMEM, "input %s: out of memory", given->name);
}

/* ---- to the caller ---- */

static void *strings_copy(const struct ir_string *from, size_t n, struct arena *a)
{
    struct cupola_string *list = ARENA_ARRAY(a, n + 1, struct cupola_string);

    for (size_t i = 0; list && i < n; i++) {
        char *copy = arena_strndup(a, "", 0);
        if (from[i].n > 0) {
            copy = arena_alloc(a, from[i].n + 1);
            if (copy) memcpy(copy, from[i].s, from[i].n);
        }
        if (!copy) return NULL;
        list[i] = (struct cupola_string){ .data = copy, .n_bytes = from[i].n };
    }
    return list;
}

status api_tensor_copy(struct cupola_tensor *out, const char *name, const struct tensor *t,
                       struct arena *a, struct err *err)
{
    size_t bytes = 0, n = 0;

    if (!type_bytes(&t->type, &bytes) || !type_elements(&t->type, &n))
        return FAIL(err, ST_UNSUPPORTED, "output %s: is not a tensor", name);
    int64_t *shape = ARENA_ARRAY(a, (size_t)t->type.ndim + 1, int64_t);
    void *data = t->type.dtype == DT_STRING ? strings_copy(t->data, n, a)
                                            : arena_alloc(a, bytes ? bytes : 1);
    const char *own = arena_strdup(a, name);
    if (!shape || !data || !own)
        return FAIL(err, ST_NOMEM, "output %s: no memory for %zu bytes", name, bytes);
    memcpy(shape, t->type.dim, (size_t)t->type.ndim * sizeof *shape);
    if (t->type.dtype != DT_STRING && bytes > 0) memcpy(data, t->data, bytes);
    *out = (struct cupola_tensor){ .name = own,
                                   .dtype = (int32_t)t->type.dtype,
                                   .rank = t->type.ndim,
                                   .shape = t->type.ndim > 0 ? shape : NULL,
                                   .data = data,
                                   .n_bytes = bytes };
    return ST_OK;
}
