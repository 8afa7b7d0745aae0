/* SPDX-License-Identifier: MIT */
/* TensorProto in every encoding the format has, to and from struct tensor. */
#include "engine/onnx/import_internal.h"
#include <inttypes.h>
#include <string.h>

/* ---- type ---- */

static status tensor_type_from_dims(int32_t data_type, const int64_t *dims, size_t n_dims,
                                    struct tensor_type *out, size_t *bytes, struct err *err)
{
    *out = (struct tensor_type){ .dtype = (enum dtype)data_type, .ndim = (int)n_dims };
    if (data_type <= DT_NONE || data_type >= DT_COUNT)
        return FAIL(err, ST_UNSUPPORTED, "data_type is %" PRId32, data_type);
    if (n_dims > IR_DIMS_MAX)
        return FAIL(err, ST_UNSUPPORTED, "%zu dimensions, at most %d", n_dims, IR_DIMS_MAX);
    for (size_t i = 0; i < n_dims; i++) {
        if (dims[i] < 0) return FAIL(err, ST_FORMAT, "dims[%zu] is %" PRId64, i, dims[i]);
        out->dim[i] = dims[i];
    }
    if (type_bytes(out, bytes) && *bytes <= PTRDIFF_MAX) return ST_OK;
    return FAIL(err, ST_LIMIT, "the dimensions overflow");
}

/* ---- typed fields ---- */

/* Copies the low `width` bytes of each element: numbers lie in wider fields than their type.
 * Little-endian, as the format. */
static void *narrow(struct arena *a, const void *src, size_t n, size_t src_width, size_t width)
{
    unsigned char *dst = arena_alloc_array(a, n, width);

    for (size_t i = 0; dst && i < n; i++)
        memcpy(dst + i * width, (const char *)src + i * src_width, width);
    return dst;
}

/* The list that holds elements of this dtype: its address, length and width of a number; false for
 * strings. */
static bool typed_list(const Onnx__TensorProto *t, enum dtype dt, const void **src, size_t *n,
                       size_t *width)
{
    switch (dt) {
    case DT_F32:
    case DT_C64:
        *src = t->float_data;
        *n = t->n_float_data;
        *width = 4;
        return true;
    case DT_F64:
    case DT_C128:
        *src = t->double_data;
        *n = t->n_double_data;
        *width = 8;
        return true;
    case DT_I64:
        *src = t->int64_data;
        *n = t->n_int64_data;
        *width = 8;
        return true;
    case DT_U32:
    case DT_U64:
        *src = t->uint64_data;
        *n = t->n_uint64_data;
        *width = 8;
        return true;
    case DT_STRING: return false;
    default:
        *src = t->int32_data;
        *n = t->n_int32_data;
        *width = 4;
        return true;
    }
}

/* A tensor's data lies in one place: the raw bytes, the external file, or the list of its type. */
static status tensor_one_source(const Onnx__TensorProto *t, enum dtype dt, struct err *err)
{
    const struct {
        const char *name;
        const void *p;
        size_t n;
    } lists[] = { { "float_data", t->float_data, t->n_float_data },
                  { "int32_data", t->int32_data, t->n_int32_data },
                  { "string_data", t->string_data, t->n_string_data },
                  { "int64_data", t->int64_data, t->n_int64_data },
                  { "double_data", t->double_data, t->n_double_data },
                  { "uint64_data", t->uint64_data, t->n_uint64_data } };
    const bool external = t->data_location == DATA_EXTERNAL;
    const void *src = t->string_data;
    size_t n, width;

    (void)typed_list(t, dt, &src, &n, &width);
    if (external && t->has_raw_data && t->raw_data.len > 0)
        return FAIL(err, ST_FORMAT, "raw_data beside external data");
    for (size_t i = 0; i < COUNT(lists); i++) {
        if (lists[i].n == 0) continue;
        if (external || (t->has_raw_data && t->raw_data.len > 0))
            return FAIL(err, ST_FORMAT, "%s beside %s data", lists[i].name,
                        external ? "external" : "raw");
        if (lists[i].p != src)
            return FAIL(err, ST_FORMAT, "%s holds data, which is not where %s elements lie",
                        lists[i].name, dtype_name(dt));
    }
    return ST_OK;
}

static status tensor_strings(const Onnx__TensorProto *t, struct arena *a, struct tensor *out,
                             struct err *err)
{
    size_t n;

    if (!type_elements(&out->type, &n)) return FAIL(err, ST_LIMIT, "the dimensions overflow");
    if (n != t->n_string_data)
        return FAIL(err, ST_FORMAT, "%zu strings, expected %zu", t->n_string_data, n);
    struct ir_string *list = ARENA_ARRAY(a, n, struct ir_string);
    if (!list) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        list[i].n = t->string_data[i].len;
        list[i].s = arena_strndup(a, (const char *)t->string_data[i].data, list[i].n);
        if (!list[i].s) return FAIL(err, ST_NOMEM, "out of memory");
    }
    out->data = list;
    return ST_OK;
}

static status tensor_typed(const Onnx__TensorProto *t, struct arena *a, size_t bytes,
                           struct tensor *out, struct err *err)
{
    const unsigned bits = dtype_bits(out->type.dtype);
    const void *src;
    size_t n, width;

    if (!typed_list(t, out->type.dtype, &src, &n, &width)) return tensor_strings(t, a, out, err);
    const bool complex = out->type.dtype == DT_C64 || out->type.dtype == DT_C128;
    const size_t unit = bits < 8  ? 1
                        : complex ? bits / 16
                                  : bits / 8; /* bytes that one number of the list gives */
    if (n != bytes / unit)
        return FAIL(err, ST_FORMAT, "%zu numbers, expected %zu", n, bytes / unit);
    out->data = bytes == 0      ? ""
                : unit == width ? (void *)(uintptr_t)src
                                : narrow(a, src, n, width, unit);
    return out->data ? ST_OK : FAIL(err, ST_NOMEM, "out of memory for %zu bytes", bytes);
}

/* ---- proto -> tensor ---- */

/* Booleans are bytes 0 and 1 to everyone after this. */
static status tensor_normalise_bools(struct arena *a, size_t bytes, struct tensor *out,
                                     struct err *err)
{
    const uint8_t *src = out->data;
    size_t i = 0;

    while (i < bytes && src[i] <= 1) i++;
    if (i == bytes) return ST_OK;
    uint8_t *own = arena_memdup(a, src, bytes);
    if (!own) return FAIL(err, ST_NOMEM, "out of memory");
    for (; i < bytes; i++) own[i] = own[i] != 0;
    out->data = own;
    return ST_OK;
}

status tensor_from_proto(const Onnx__TensorProto *t, struct arena *a, struct external *ext,
                         struct tensor *out, struct err *err)
{
    const void *data = NULL;
    size_t bytes;

    *out = (struct tensor){ 0 };
    TRY(tensor_type_from_dims(t->data_type, t->dims, t->n_dims, &out->type, &bytes, err));
    if (t->segment) return FAIL(err, ST_UNSUPPORTED, "a tensor in segments");
    if (t->data_location != 0 && t->data_location != DATA_EXTERNAL)
        return FAIL(err, ST_FORMAT, "data_location is %" PRId32, t->data_location);
    if (out->type.dtype == DT_STRING && (t->has_raw_data || t->data_location == DATA_EXTERNAL))
        return FAIL(err, ST_FORMAT, "strings as raw data");
    TRY(tensor_one_source(t, out->type.dtype, err));
    if (t->data_location == DATA_EXTERNAL) {
        if (!ext) return FAIL(err, ST_UNSUPPORTED, "external data is not allowed here");
        TRY(external_find(ext, t, &out->type, &data, err));
        out->data = (void *)(uintptr_t)data;
    } else if (t->has_raw_data) {
        TRY(raw_find(ext, t, &out->type, &data, err));
        out->data = (void *)(uintptr_t)data;
    } else {
        TRY(tensor_typed(t, a, bytes, out, err));
    }
    return out->type.dtype == DT_BOOL ? tensor_normalise_bools(a, bytes, out, err) : ST_OK;
}

/* ---- sparse ---- */

/* Index k of the dense form: indices are [nnz] (linear) or [nnz, rank]. */
static bool sparse_index(const struct tensor *indices, const struct tensor_type *dense, size_t k,
                         size_t *at)
{
    const char *v = indices->data;
    const size_t rank = indices->type.ndim == 1 ? 1 : (size_t)dense->ndim;
    size_t total;
    int64_t i;

    if (!type_elements(dense, &total)) return false;
    *at = 0;
    for (size_t d = 0; d < rank; d++) {
        const size_t most = indices->type.ndim == 1 ? total : (size_t)dense->dim[d];

        memcpy(&i, v + (k * rank + d) * sizeof i, sizeof i);
        if (i < 0 || (size_t)i >= most) return false;
        *at = *at * most + (size_t)i;
    }
    return true;
}

status tensor_from_sparse(const Onnx__SparseTensorProto *s, struct arena *a, struct external *ext,
                          struct tensor *out, struct err *err)
{
    struct tensor values, indices;
    size_t bytes, at;

    if (!s->values || !s->indices)
        return FAIL(err, ST_FORMAT, "a sparse tensor without values or indices");
    TRY(tensor_from_proto(s->values, a, ext, &values, err));
    TRY(tensor_from_proto(s->indices, a, ext, &indices, err));
    TRY(tensor_type_from_dims((int32_t)values.type.dtype, s->dims, s->n_dims, &out->type, &bytes,
                              err));
    const unsigned bits = dtype_bits(values.type.dtype);
    const bool linear = indices.type.ndim == 1 && values.type.ndim == 1 &&
                        indices.type.dim[0] == values.type.dim[0];
    const bool listed = indices.type.ndim == 2 && values.type.ndim == 1 &&
                        indices.type.dim[0] == values.type.dim[0] &&
                        indices.type.dim[1] == (int64_t)s->n_dims;
    if (bits < 8 || indices.type.dtype != DT_I64 || (!linear && !listed))
        return FAIL(err, ST_UNSUPPORTED, "a sparse tensor of this form");
    unsigned char *dense = arena_alloc(a, bytes);
    if (!dense)
        return FAIL(err, ST_LIMIT, "a sparse tensor of %zu bytes does not fit the budget", bytes);
    for (size_t k = 0; k < (size_t)values.type.dim[0]; k++) {
        if (!sparse_index(&indices, &out->type, k, &at))
            return FAIL(err, ST_FORMAT, "a sparse tensor's index is out of range");
        memcpy(dense + at * (bits / 8), (const char *)values.data + k * (bits / 8), bits / 8);
    }
    out->data = dense;
    return ST_OK;
}

/* ---- single tensors, as test data stores them ---- */

enum { TENSOR_DEPTH_MAX = 8 };

status onnx_read_tensor(const void *data, size_t n, struct arena *a, struct tensor *out,
                        const char **name, struct err *err)
{
    ProtobufCMessage *message;

    const struct onnx_source src = { .data = data, .n = n, .depth_max = TENSOR_DEPTH_MAX };
    TRY(onnx_unpack(&onnx__tensor_proto__descriptor, &src, a, &message, err));
    const Onnx__TensorProto *t = (const Onnx__TensorProto *)message;
    if (name) *name = t->name ? t->name : "";
    return tensor_from_proto(t, a, NULL, out, err);
}

static void put_varint(struct str *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) str_put_char(out, (char)(v | 0x80));
    str_put_char(out, (char)v);
}

static void put_bytes(struct str *out, unsigned field, const void *data, size_t n)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, n);
    str_put_n(out, data, n);
}

/* Field numbers of TensorProto: dims 1, data_type 2, string_data 6, name 8, raw_data 9. */
status onnx_write_tensor(const struct tensor *t, const char *name, struct str *out, struct err *err)
{
    size_t bytes, n;

    if (!type_known(&t->type) || !t->data || !type_bytes(&t->type, &bytes) ||
        !type_elements(&t->type, &n))
        return FAIL(err, ST_INVALID, "tensor '%s' has no known type or no data", name ? name : "");
    for (int i = 0; i < t->type.ndim; i++) {
        put_varint(out, 1 << 3);
        put_varint(out, (uint64_t)t->type.dim[i]);
    }
    put_varint(out, 2 << 3);
    put_varint(out, (uint64_t)t->type.dtype);
    if (name && name[0]) put_bytes(out, 8, name, strlen(name));
    if (t->type.dtype == DT_STRING) {
        const struct ir_string *list = t->data;
        for (size_t i = 0; i < n; i++) put_bytes(out, 6, list[i].s, list[i].n);
    } else {
        put_bytes(out, 9, t->data, bytes);
    }
    return out->failed ? FAIL(err, ST_NOMEM, "out of memory") : ST_OK;
}
