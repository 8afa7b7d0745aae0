/* SPDX-License-Identifier: MIT */
/* Tensor types: sizes with checked arithmetic, comparison, printing. */
#include "ir/ir.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool type_known(const struct tensor_type *t)
{
    if (t->dtype == DT_NONE || t->ndim < 0) return false;
    for (int i = 0; i < t->ndim; i++) {
        if (t->dim[i] < 0) return false;
    }
    return true;
}

bool type_span(const struct tensor_type *t, int from, int to, size_t *n)
{
    size_t product = 1;

    if (t->ndim < 0 || from < 0 || to > t->ndim) return false;
    for (int i = from; i < to; i++) {
        if (t->dim[i] < 0 || !checked_mul(product, (size_t)t->dim[i], &product)) return false;
    }
    *n = product;
    return true;
}

bool type_elements(const struct tensor_type *t, size_t *n) { return type_span(t, 0, t->ndim, n); }

bool type_bytes(const struct tensor_type *t, size_t *bytes)
{
    const unsigned bits = dtype_bits(t->dtype);
    size_t n;

    if (!type_elements(t, &n)) return false;
    if (t->dtype == DT_STRING) return checked_mul(n, sizeof(struct ir_string), bytes);
    if (bits == 0) return false;
    if (bits >= 8) return checked_mul(n, bits / 8, bytes);
    const size_t per_byte = 8 / bits;
    *bytes = n / per_byte + (n % per_byte != 0);
    return true;
}

bool type_equal(const struct tensor_type *a, const struct tensor_type *b)
{
    if (a->dtype != b->dtype || a->ndim != b->ndim) return false;
    for (int i = 0; i < a->ndim; i++) {
        if (a->dim[i] != b->dim[i]) return false;
    }
    return true;
}

static int type_print_dim(int64_t dim, char *buf, size_t n)
{
    if (dim >= 0) return snprintf(buf, n, "%" PRId64, dim);
    if (dim == DIM_TOKENS) return snprintf(buf, n, "tokens");
    if (dim == DIM_ROWS) return snprintf(buf, n, "rows");
    if (dim <= DIM_SYMBOL(0)) return snprintf(buf, n, "s%" PRId64, DIM_SYMBOL(0) - dim);
    return snprintf(buf, n, "?");
}

char *type_print(const struct tensor_type *t, char *buf, size_t n)
{
    size_t used = 0;
    int wrote;

    if (n == 0) return buf;
    wrote = snprintf(buf, n, "%s[%s", dtype_name(t->dtype), t->ndim < 0 ? "*" : "");
    for (int i = 0; i < t->ndim; i++) {
        used += wrote > 0 ? (size_t)wrote : 0;
        if (used >= n) return buf;
        if (i > 0) {
            wrote = snprintf(buf + used, n - used, ",");
            used += wrote > 0 ? (size_t)wrote : 0;
            if (used >= n) return buf;
        }
        wrote = type_print_dim(t->dim[i], buf + used, n - used);
    }
    used += wrote > 0 ? (size_t)wrote : 0;
    if (used < n) (void)snprintf(buf + used, n - used, "]");
    return buf;
}

struct tensor_type type_make(enum dtype dtype, int ndim, const int64_t *dim)
{
    struct tensor_type t = { .dtype = dtype, .ndim = ndim };

    if (ndim > 0 && ndim <= IR_DIMS_MAX) memcpy(t.dim, dim, (size_t)ndim * sizeof *dim);
    return t;
}
