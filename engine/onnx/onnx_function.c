/* SPDX-License-Identifier: MIT */
/* Functions of the model: found by domain, name and overload, and put in the place of the node that
 * calls them. */
#include "engine/onnx/import_internal.h"
#include <string.h>

enum { CALL_DEPTH_MAX = 32 };

static char *function_key(struct importer *im, const char *domain, const char *name,
                          const char *overload)
{
    return arena_printf(im->arena, "%s\n%s\n%s", proto_domain(domain), proto_text(name),
                        proto_text(overload));
}

status import_index_functions(struct importer *im)
{
    for (size_t i = 0; i < im->model->n_functions; i++) {
        const Onnx__FunctionProto *f = im->model->functions[i];
        const char *key = function_key(im, f->domain, f->name, f->overload);
        uint64_t there;

        if (!key) return import_no_memory(im);
        if (map_get(&im->functions, key, strlen(key), &there))
            return FAIL(im->err, ST_FORMAT, "function '%s' is given twice", proto_text(f->name));
        if (!map_set(&im->functions, key, strlen(key), i)) return import_no_memory(im);
    }
    return ST_OK;
}

const Onnx__FunctionProto *import_find_function(struct importer *im, const Onnx__NodeProto *node)
{
    uint64_t i;

    if (im->model->n_functions == 0) return NULL;
    const char *key = function_key(im, node->domain, node->op_type, node->overload);
    return key && map_get(&im->functions, key, strlen(key), &i) ? im->model->functions[i] : NULL;
}

/* ---- calls ---- */

/* The attributes a body may refer to: the caller's, then defaults for those it leaves out. */
static status call_attrs(struct importer *im, struct scope *caller, const Onnx__FunctionProto *f,
                         const Onnx__NodeProto *node, struct scope *body)
{
    struct attr *given, *dflt, *all;
    int n_given, n_dflt, n;

    TRY(import_attrs(im, caller, node->attribute, node->n_attribute, &given, &n_given));
    TRY(import_attrs(im, caller, f->attribute_proto, f->n_attribute_proto, &dflt, &n_dflt));
    all = ARENA_ARRAY(im->arena, (size_t)n_given + (size_t)n_dflt, struct attr);
    if (!all) return import_no_memory(im);
    for (n = 0; n < n_given; n++) all[n] = given[n];
    for (int i = 0; i < n_dflt; i++) {
        bool have = false;
        for (int k = 0; k < n_given; k++) have = have || !strcmp(given[k].name, dflt[i].name);
        if (!have) all[n++] = dflt[i];
    }
    body->bound = all;
    body->n_bound = n;
    return ST_OK;
}

/* Formal names and what the caller gives for the first of them. */
struct formals {
    char **names;
    size_t n_names;
    const int *values;
    size_t n_values;
};

static status bind_names(struct importer *im, struct map *map, const struct formals *f,
                         bool absent_too)
{
    char **names = f->names;

    for (size_t i = 0; i < f->n_names; i++) {
        const int v = i < f->n_values ? f->values[i] : -1;
        uint64_t there;

        if (v < 0 && !absent_too) continue;
        if (map_get(map, names[i], strlen(names[i]), &there))
            return FAIL(im->err, ST_FORMAT, "the function names '%s' twice", names[i]);
        if (!map_set(map, names[i], strlen(names[i]), (uint64_t)(v + 1)))
            return import_no_memory(im);
    }
    return ST_OK;
}

/* An output that the body does not make itself (a formal input, or a constant) reaches the caller
 * through Identity. */
static status return_values(struct importer *im, struct scope *body, const Onnx__FunctionProto *f,
                            const int *out, size_t n_out)
{
    for (size_t i = 0; i < f->n_output && i < n_out; i++) {
        int v;

        if (out[i] < 0) continue;
        TRY(import_resolve(im, body, f->output[i], &v));
        if (v == out[i]) continue;
        if (v < 0)
            return FAIL(im->err, ST_FORMAT,
                        "output '%s' of the function is an argument that is not given",
                        f->output[i]);
        if (graph_add_node(body->g, &(struct graph_node){ .op = OP_IDENTITY,
                                                          .version = 13,
                                                          .in = &v,
                                                          .n_in = 1,
                                                          .out = &out[i],
                                                          .n_out = 1 }) < 0)
            return import_no_memory(im);
    }
    return ST_OK;
}

static status call_body(struct importer *im, struct scope *caller, struct scope *body,
                        const struct import_called *call)
{
    const Onnx__FunctionProto *f = call->f;
    const Onnx__NodeProto *node = call->node;
    const struct formals in = { f->input, f->n_input, call->in, node->n_input },
                         out = { f->output, f->n_output, call->out, node->n_output };
    struct opsets opsets;

    if (node->n_input > f->n_input || node->n_output > f->n_output)
        return FAIL(im->err, ST_FORMAT, "%zu inputs and %zu outputs, the function has %zu and %zu",
                    node->n_input, node->n_output, f->n_input, f->n_output);
    TRY(import_opsets(im, f->opset_import, f->n_opset_import, &opsets));
    body->opsets = &opsets;
    body->prefix = arena_printf(im->arena, "%s%s/", proto_text(caller->prefix),
                                proto_text(node->name)[0] ? node->name : proto_text(f->name));
    if (!body->prefix) return import_no_memory(im);
    TRY(call_attrs(im, caller, f, node, body));
    TRY(bind_names(im, &body->names, &in, true));
    TRY(bind_names(im, &body->results, &out, false));
    TRY(import_nodes(im, body, f->node, f->n_node));
    return return_values(im, body, f, call->out, node->n_output);
}

status import_call(struct importer *im, struct scope *sc, const struct import_called *call)
{
    struct scope body = { .g = sc->g };

    if (im->depth >= CALL_DEPTH_MAX)
        return FAIL(im->err, ST_LIMIT,
                    "functions and graphs nest deeper than %d, or call themselves", CALL_DEPTH_MAX);
    im->depth++;
    const status st = call_body(im, sc, &body, call);
    im->depth--;
    scope_fini(&body);
    if (st != ST_OK && import_names_level(im))
        err_prefix(im->err, "function '%s'", proto_text(call->f->name));
    return st;
}
