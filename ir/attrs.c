/* SPDX-License-Identifier: MIT */
/* The reader of attributes: attrs.def expanded into one function per stem, whose statements each
 * fill one field. */
#include "ir/ir.h"
#include <string.h>

enum { ATTRS_PER_NODE_MAX = 64 };

/* Where reading stands: bit i of `seen` is attribute i of the node, taken by a field. */
struct attr_reader {
    const char *op;
    const struct attr *attrs;
    int n;
    uint64_t seen;
    struct err *err;
};

static const char *const attr_type_names[] = {
    [ATTR_INT] = "an int",      [ATTR_FLOAT] = "a float",   [ATTR_STRING] = "a string",
    [ATTR_TENSOR] = "a tensor", [ATTR_GRAPH] = "a graph",   [ATTR_INTS] = "ints",
    [ATTR_FLOATS] = "floats",   [ATTR_STRINGS] = "strings",
};

/* *out = the attribute of this name, NULL if the node has none. */
static status reader_find(struct attr_reader *r, const char *name, enum attr_type type,
                          const struct attr **out)
{
    *out = NULL;
    for (int i = 0; i < r->n; i++) {
        const struct attr *a = &r->attrs[i];
        if (strcmp(a->name, name) != 0) continue;
        if (a->type != type)
            return FAIL(r->err, ST_FORMAT, "%s: attribute '%s' is %s, expected %s", r->op, name,
                        attr_type_names[a->type], attr_type_names[type]);
        r->seen |= UINT64_C(1) << i;
        *out = a;
        return ST_OK;
    }
    return ST_OK;
}

static status read_int(struct attr_reader *r, const char *name, int64_t *out, bool *has)
{
    const struct attr *a;
    TRY(reader_find(r, name, ATTR_INT, &a));
    if (has) *has = a != NULL;
    if (a) *out = a->i;
    return ST_OK;
}

static status read_float(struct attr_reader *r, const char *name, float *out)
{
    const struct attr *a;
    TRY(reader_find(r, name, ATTR_FLOAT, &a));
    if (a) *out = a->f;
    return ST_OK;
}

static status read_str(struct attr_reader *r, const char *name, const char **out)
{
    const struct attr *a;
    TRY(reader_find(r, name, ATTR_STRING, &a));
    if (!a) return ST_OK;
    if (strlen(a->s) != a->s_len)
        return FAIL(r->err, ST_FORMAT, "%s: attribute '%s' holds a NUL", r->op, name);
    *out = a->s;
    return ST_OK;
}

static status read_ints(struct attr_reader *r, const char *name, struct ir_ints *out)
{
    const struct attr *a;
    TRY(reader_find(r, name, ATTR_INTS, &a));
    if (a) *out = a->ints;
    return ST_OK;
}

static status read_floats(struct attr_reader *r, const char *name, struct ir_floats *out)
{
    const struct attr *a;
    TRY(reader_find(r, name, ATTR_FLOATS, &a));
    if (a) *out = a->floats;
    return ST_OK;
}

static status read_strs(struct attr_reader *r, const char *name, struct ir_strings *out)
{
    const struct attr *a;
    TRY(reader_find(r, name, ATTR_STRINGS, &a));
    if (a) *out = a->strings;
    return ST_OK;
}

static status read_tensor(struct attr_reader *r, const char *name, const struct tensor **out)
{
    const struct attr *a;
    TRY(reader_find(r, name, ATTR_TENSOR, &a));
    if (a) *out = &a->tensor;
    return ST_OK;
}

// clang-format off
#define ATTRS(stem) static status attrs_read_##stem(struct attr_reader *r, struct attrs_##stem *out) { (void)r; out->end_ = 0;
#define AT_INT(field, onnx, dflt) out->field = dflt; TRY(read_int(r, onnx, &out->field, NULL));
#define AT_FLOAT(field, onnx, dflt) out->field = (float)(dflt); TRY(read_float(r, onnx, &out->field));
#define AT_STR(field, onnx, dflt) out->field = dflt; TRY(read_str(r, onnx, &out->field));
#define AT_INTS(field, onnx) TRY(read_ints(r, onnx, &out->field));
#define AT_FLOATS(field, onnx) TRY(read_floats(r, onnx, &out->field));
#define AT_STRS(field, onnx) TRY(read_strs(r, onnx, &out->field));
#define AT_TENSOR(field, onnx) TRY(read_tensor(r, onnx, &out->field));
#define AT_OPTIONAL_INT(field, onnx, dflt) out->field = dflt; TRY(read_int(r, onnx, &out->field, &out->has_##field));
#define ATTRS_END(stem) return ST_OK; }
#include "ir/attrs.def"
// clang-format on

/* A subgraph that the operator carries, given once. */
static bool is_subgraph(const struct attr_reader *r, int i, enum op_kind kind)
{
    const char *name = r->attrs[i].name;

    if (r->attrs[i].type != ATTR_GRAPH) return false;
    for (int k = 0; k < i; k++) {
        if (!strcmp(r->attrs[k].name, name)) return false;
    }
    if (kind == OP_IF) return !strcmp(name, "then_branch") || !strcmp(name, "else_branch");
    return (kind == OP_LOOP || kind == OP_SCAN) && !strcmp(name, "body");
}

/* Attributes that no field took: fine when they only document (a leading '_') or carry a subgraph
 * of control flow. */
static status reader_finish(const struct attr_reader *r, enum op_kind kind)
{
    for (int i = 0; i < r->n; i++) {
        const struct attr *a = &r->attrs[i];
        if ((r->seen >> i & 1) || a->name[0] == '_' || !strcmp(a->name, "doc_string")) continue;
        if (is_subgraph(r, i, kind)) continue;
        return FAIL(r->err, ST_UNSUPPORTED, "%s: attribute '%s' is not known, or given twice",
                    r->op, a->name);
    }
    return ST_OK;
}

static status reader_dispatch(struct attr_reader *r, enum op_kind kind, union op_attrs *out)
{
    switch (kind) {
#define OP(kind, domain, name, since, infer, attrs)                                                \
    case OP_##kind:                                                                                \
        return attrs_read_##attrs(r, &out->attrs);
#define ALIAS(kind, domain, name, since)
#include "ir/ops.def"
#undef OP
#undef ALIAS
    case OP_NONE:
    case OP_COUNT: break;
    }
    return FAIL(r->err, ST_INTERNAL, "attributes of operator %d", (int)kind);
}

status op_attrs_read(enum op_kind kind, const struct attr *attrs, int n_attrs, union op_attrs *out,
                     struct err *err)
{
    struct attr_reader r = { .op = op_name(kind), .attrs = attrs, .n = n_attrs, .err = err };

    memset(out, 0, sizeof *out);
    if (n_attrs > ATTRS_PER_NODE_MAX)
        return FAIL(err, ST_LIMIT, "%s: %d attributes, at most %d", r.op, n_attrs,
                    ATTRS_PER_NODE_MAX);
    TRY(reader_dispatch(&r, kind, out));
    return reader_finish(&r, kind);
}
