/* SPDX-License-Identifier: MIT */
/* Attributes of nodes; within functions, references to the caller's attributes. */
#include "engine/onnx/import_internal.h"
#include <string.h>

/* The declared type; files older than the field say it by what they set. */
static int attr_proto_type(const Onnx__AttributeProto *p)
{
    if (p->type != 0) return p->type;
    if (p->has_f) return PROTO_FLOAT;
    if (p->has_i) return PROTO_INT;
    if (p->has_s) return PROTO_STRING;
    if (p->t) return PROTO_TENSOR;
    if (p->g) return PROTO_GRAPH;
    if (p->n_floats) return PROTO_FLOATS;
    if (p->n_ints) return PROTO_INTS;
    return p->n_strings ? PROTO_STRINGS : 0;
}

static status attr_string(struct importer *im, const ProtobufCBinaryData *s, const char **out)
{
    *out = arena_strndup(im->arena, s->data ? (const char *)s->data : "", s->len);
    return *out ? ST_OK : import_no_memory(im);
}

static status attr_strings(struct importer *im, const Onnx__AttributeProto *p, struct attr *out)
{
    const char **list = ARENA_ARRAY(im->arena, p->n_strings, const char *);

    if (!list) return import_no_memory(im);
    for (size_t i = 0; i < p->n_strings; i++) {
        TRY(attr_string(im, &p->strings[i], &list[i]));
        if (strlen(list[i]) != p->strings[i].len)
            return FAIL(im->err, ST_FORMAT, "a NUL within a string");
    }
    out->strings = (struct ir_strings){ (int)p->n_strings, list };
    return ST_OK;
}

/* A subgraph of the scope's graph; it may use every name of the scope. */
static status attr_graph(struct importer *im, struct scope *sc, const Onnx__GraphProto *proto,
                         struct graph **out)
{
    struct scope inner = {
        .outer = sc, .opsets = sc->opsets, .bound = sc->bound, .n_bound = sc->n_bound
    };

    if (!proto) return FAIL(im->err, ST_FORMAT, "no graph");
    TRY(graph_create_inner(sc->g, proto_text(proto->name), &inner.g, im->err));
    const status st = import_graph(im, &inner, proto);
    scope_fini(&inner);
    *out = inner.g;
    return st;
}

static status attr_tensor(struct importer *im, const Onnx__AttributeProto *p, int type,
                          struct attr *out)
{
    out->type = ATTR_TENSOR;
    if (type == PROTO_SPARSE_TENSOR) {
        if (!p->sparse_tensor) return FAIL(im->err, ST_FORMAT, "no sparse tensor");
        return tensor_from_sparse(p->sparse_tensor, im->arena, &im->ext, &out->tensor, im->err);
    }
    if (!p->t) return FAIL(im->err, ST_FORMAT, "no tensor");
    return tensor_from_proto(p->t, im->arena, &im->ext, &out->tensor, im->err);
}

static status attr_value(struct importer *im, struct scope *sc, const Onnx__AttributeProto *p,
                         struct attr *out)
{
    const int type = attr_proto_type(p);

    if (p->n_ints > INT16_MAX * 64 || p->n_floats > INT16_MAX * 64 || p->n_strings > INT16_MAX * 64)
        return FAIL(im->err, ST_LIMIT, "a list of more than %d elements", INT16_MAX * 64);
    switch (type) {
    case PROTO_FLOAT:
        out->type = ATTR_FLOAT;
        out->f = p->f;
        return ST_OK;
    case PROTO_INT:
        out->type = ATTR_INT;
        out->i = p->i;
        return ST_OK;
    case PROTO_STRING:
        out->type = ATTR_STRING;
        out->s_len = p->s.len;
        return attr_string(im, &p->s, &out->s);
    case PROTO_TENSOR:
    case PROTO_SPARSE_TENSOR: return attr_tensor(im, p, type, out);
    case PROTO_GRAPH: out->type = ATTR_GRAPH; return attr_graph(im, sc, p->g, &out->graph);
    case PROTO_FLOATS:
        out->type = ATTR_FLOATS;
        out->floats = (struct ir_floats){ (int)p->n_floats, p->floats };
        break;
    case PROTO_INTS:
        out->type = ATTR_INTS;
        out->ints = (struct ir_ints){ (int)p->n_ints, p->ints };
        break;
    case PROTO_STRINGS: out->type = ATTR_STRINGS; return attr_strings(im, p, out);
    default: return FAIL(im->err, ST_UNSUPPORTED, "type %d", type);
    }
    return ST_OK;
}

/* An empty list is a list: its pointer is not NULL, which would mean that the attribute is absent.
 */
static status attr_fix_empty(struct importer *im, struct attr *a)
{
    void *one = NULL;

    if ((a->type == ATTR_INTS && !a->ints.n) || (a->type == ATTR_FLOATS && !a->floats.n)) {
        one = arena_alloc(im->arena, sizeof(int64_t));
        if (!one) return import_no_memory(im);
    }
    if (a->type == ATTR_INTS && !a->ints.n) a->ints.v = one;
    if (a->type == ATTR_FLOATS && !a->floats.n) a->floats.v = one;
    return ST_OK;
}

/* The caller's attribute that `ref` names; *found false when the call does not give it. */
static status attr_reference(struct importer *im, const struct scope *sc, const char *ref,
                             struct attr *out, bool *found)
{
    *found = false;
    for (int i = 0; i < sc->n_bound; i++) {
        if (strcmp(sc->bound[i].name, ref) != 0) continue;
        if (sc->bound[i].type == ATTR_GRAPH)
            return FAIL(im->err, ST_UNSUPPORTED, "a graph as an argument of a function");
        const char *name = out->name;
        *out = sc->bound[i];
        out->name = name;
        *found = true;
    }
    return ST_OK;
}

status import_attrs(struct importer *im, struct scope *sc, Onnx__AttributeProto **list, size_t n,
                    struct attr **out, int *n_out)
{
    *n_out = 0;
    *out = ARENA_ARRAY(im->arena, n, struct attr);
    if (!*out) return import_no_memory(im);
    for (size_t i = 0; i < n; i++) {
        const Onnx__AttributeProto *p = list[i];
        struct attr *a = &(*out)[*n_out];
        bool found = true;
        status st;

        a->name = proto_text(p->name);
        if (p->ref_attr_name && p->ref_attr_name[0])
            st = attr_reference(im, sc, p->ref_attr_name, a, &found);
        else
            st = attr_value(im, sc, p, a);
        if (st == ST_OK) st = attr_fix_empty(im, a);
        if (st != ST_OK) {
            err_prefix(im->err, "attribute '%s'", proto_text(p->name));
            return st;
        }
        *n_out += found;
    }
    return ST_OK;
}
