/* SPDX-License-Identifier: MIT */
/* The text form back to a graph: statements, nodes, attributes, subgraphs. The form is described in
 * graph_text.h. */
#include "engine/graph/graph_internal.h"
#include "engine/graph/graph_reader.h"
#include <string.h>

enum {
    LIST_MAX = 4096,
    OPSETS_MAX = 16,
    NUMBER_TEXT_MAX = 64,
    DFLT_OPSET = 21,
    BUDGET_FACTOR = 64
};
#define BUDGET_BASE ((size_t)64 << 20)

/* One graph being read; subgraphs have one of their own with `outer` set. */
struct parser {
    struct graph_reader *r;
    struct graph *g;
    struct parser *outer;
    const char *domain[OPSETS_MAX];
    int version[OPSETS_MAX];
    int n_opsets;
    int depth;
};

/* Growing list of value indices in the arena. */
struct int_list {
    int *v;
    size_t n, cap;
};

static status parse_graph(struct graph_reader *r, struct graph *g, struct parser *outer, int depth);

static status list_add(struct parser *p, struct int_list *list, int value)
{
    if (list->n == LIST_MAX) return reader_fail(p->r, "a list of more than %d values", LIST_MAX);
    int *grown = arena_grow(graph_arena(p->g), list->v, &list->cap, list->n + 1, sizeof *grown);
    if (!grown) return reader_no_memory(p->r);
    list->v = grown;
    list->v[list->n++] = value;
    return ST_OK;
}

/* ---- values ---- */

/* A value of this name, captured from outside if need be; -1 when there is none. */
static int find_value(struct parser *p, const char *name)
{
    const int v = graph_find_value(p->g, name);

    if (v >= 0 || !p->outer) return v;
    const int outside = find_value(p->outer, name);
    return outside < 0 ? -1 : graph_add_capture(p->g, name, outside);
}

static status parse_use(struct parser *p, int *value)
{
    const char *name;
    bool quoted;

    TRY(reader_name(p->r, &name, &quoted));
    *value = -1;
    if (!quoted && !strcmp(name, "_")) return ST_OK;
    *value = find_value(p, name);
    return *value < 0 ? reader_fail(p->r, "value '%s' is not made before", name) : ST_OK;
}

static status new_value(struct parser *p, const char *name, const struct tensor_type *type,
                        int *value)
{
    if (graph_find_value(p->g, name) >= 0)
        return reader_fail(p->r, "value '%s' is made twice", name);
    *value = graph_add_value(p->g, name, type);
    return *value < 0 ? reader_no_memory(p->r) : ST_OK;
}

/* ---- attributes ---- */

/* An int or a float: floats have a point, an exponent, or are inf, nan or bits. */
static status parse_number_attr(struct parser *p, struct attr *a)
{
    char text[NUMBER_TEXT_MAX];

    TRY(reader_number(p->r, text, sizeof text));
    a->type = ATTR_INT;
    if (str_to_i64(text, &a->i)) return ST_OK;
    a->type = ATTR_FLOAT;
    return reader_float_text(p->r, text, &a->f);
}

/* Lists grow by one element; `item` has the type of the first. */
static status list_attr_add(struct parser *p, struct attr *a, const struct attr *item, size_t *cap)
{
    struct arena *arena = graph_arena(p->g);
    void *grown;

    if (a->type == ATTR_INTS && item->type == ATTR_INT) {
        grown = arena_grow(arena, (void *)(uintptr_t)a->ints.v, cap, (size_t)a->ints.n + 1,
                           sizeof *a->ints.v);
        if (!grown) return reader_no_memory(p->r);
        a->ints.v = grown;
        ((int64_t *)grown)[a->ints.n++] = item->i;
    } else if (a->type == ATTR_FLOATS && item->type == ATTR_FLOAT) {
        grown = arena_grow(arena, (void *)(uintptr_t)a->floats.v, cap, (size_t)a->floats.n + 1,
                           sizeof *a->floats.v);
        if (!grown) return reader_no_memory(p->r);
        a->floats.v = grown;
        ((float *)grown)[a->floats.n++] = item->f;
    } else if (a->type == ATTR_STRINGS && item->type == ATTR_STRING) {
        grown = arena_grow(arena, (void *)(uintptr_t)a->strings.v, cap, (size_t)a->strings.n + 1,
                           sizeof *a->strings.v);
        if (!grown) return reader_no_memory(p->r);
        a->strings.v = grown;
        ((const char **)grown)[a->strings.n++] = item->s;
    } else {
        return reader_fail(p->r, "a list of mixed elements");
    }
    return ST_OK;
}

static status parse_item(struct parser *p, struct attr *a)
{
    if (reader_peek(p->r) != '"') return parse_number_attr(p, a);
    a->type = ATTR_STRING;
    return reader_string(p->r, &a->s, &a->s_len);
}

/* "[1, 2]", after '['; a->type is set only for the empty forms ints[], floats[], strings[]. */
static status parse_list_attr(struct parser *p, struct attr *a, bool typed)
{
    size_t cap = 0;
    int n = 0;

    for (; !reader_accept(p->r, ']'); n++) {
        struct attr item = { .name = a->name };

        if (n > 0) TRY(reader_expect(p->r, ','));
        TRY(parse_item(p, &item));
        if (n == 0 && !typed)
            a->type = item.type == ATTR_INT     ? ATTR_INTS
                      : item.type == ATTR_FLOAT ? ATTR_FLOATS
                                                : ATTR_STRINGS;
        TRY(list_attr_add(p, a, &item, &cap));
    }
    if (n == 0 && !typed)
        return reader_fail(p->r, "an empty list is written ints[], floats[] or strings[]");
    if (n > 0) return ST_OK;
    void *empty = arena_alloc(graph_arena(p->g), sizeof(int64_t));
    if (!empty) return reader_no_memory(p->r);
    if (a->type == ATTR_INTS)
        a->ints.v = empty;
    else if (a->type == ATTR_FLOATS)
        a->floats.v = empty;
    else
        a->strings.v = empty;
    return ST_OK;
}

static bool typed_list_word(struct parser *p, struct attr *a)
{
    static const struct {
        const char *word;
        enum attr_type type;
    } words[] = { { "ints", ATTR_INTS }, { "floats", ATTR_FLOATS }, { "strings", ATTR_STRINGS } };

    for (size_t i = 0; i < COUNT(words); i++) {
        if (!reader_word(p->r, words[i].word)) continue;
        a->type = words[i].type;
        return true;
    }
    return false;
}

static status parse_graph_attr(struct parser *p, struct attr *a)
{
    a->type = ATTR_GRAPH;
    if (p->depth >= GRAPH_DEPTH_MAX)
        return reader_fail(p->r, "subgraphs nest deeper than %d", GRAPH_DEPTH_MAX);
    TRY(graph_create_inner(p->g, "", &a->graph, p->r->err));
    return parse_graph(p->r, a->graph, p, p->depth + 1);
}

static status parse_attr_value(struct parser *p, struct attr *a)
{
    const char c = reader_peek(p->r);
    const struct graph_reader mark = *p->r;

    if (c == '"') return parse_item(p, a);
    if (reader_accept(p->r, '[')) return parse_list_attr(p, a, false);
    if (reader_word(p->r, "graph")) return parse_graph_attr(p, a);
    if (typed_list_word(p, a)) {
        TRY(reader_expect(p->r, '['));
        return parse_list_attr(p, a, true);
    }
    char word[NUMBER_TEXT_MAX];
    TRY(reader_number(p->r, word, sizeof word));
    const bool tensor = dtype_parse(word) != DT_NONE && reader_peek(p->r) == '[';
    p->r->p = mark.p;
    p->r->line = mark.line;
    if (!tensor) return parse_number_attr(p, a);
    a->type = ATTR_TENSOR;
    TRY(reader_type(p->r, &a->tensor.type));
    return reader_data(p->r, &a->tensor.type, &a->tensor.data);
}

/* "{axis: 1, …}", if it is there. */
static status parse_attrs(struct parser *p, struct attr **attrs, int *n)
{
    size_t cap = 0;

    *attrs = NULL;
    *n = 0;
    if (!reader_accept(p->r, '{')) return ST_OK;
    while (!reader_accept(p->r, '}')) {
        if (*n > 0) TRY(reader_expect(p->r, ','));
        if (*n == LIST_MAX) return reader_fail(p->r, "more than %d attributes", LIST_MAX);
        struct attr *grown =
            arena_grow(graph_arena(p->g), *attrs, &cap, (size_t)*n + 1, sizeof *grown);
        if (!grown) return reader_no_memory(p->r);
        *attrs = grown;
        struct attr *a = &grown[(*n)++];
        *a = (struct attr){ .name = NULL };
        TRY(reader_name(p->r, &a->name, NULL));
        TRY(reader_expect(p->r, ':'));
        TRY(parse_attr_value(p, a));
    }
    return ST_OK;
}

/* ---- statements ---- */

static status parse_opset(struct parser *p)
{
    do {
        const char *domain = "";
        int64_t version;

        if (p->n_opsets == OPSETS_MAX) return reader_fail(p->r, "more than %d domains", OPSETS_MAX);
        const char c = reader_peek(p->r);
        if (c < '0' || c > '9') TRY(reader_name(p->r, &domain, NULL));
        TRY(reader_i64(p->r, &version));
        if (version < 0 || version > INT16_MAX) return reader_fail(p->r, "an opset of that number");
        p->domain[p->n_opsets] = domain;
        p->version[p->n_opsets++] = (int)version;
    } while (reader_accept(p->r, ','));
    return ST_OK;
}

static int opset_of(const struct parser *p, const char *domain)
{
    for (; p; p = p->outer) {
        for (int i = 0; i < p->n_opsets; i++) {
            if (!strcmp(p->domain[i], domain)) return p->version[i];
        }
    }
    return domain[0] ? 1 : DFLT_OPSET;
}

static status parse_input(struct parser *p, struct int_list *inputs)
{
    struct tensor_type type;
    const char *name;
    int v;

    TRY(reader_name(p->r, &name, NULL));
    TRY(reader_expect(p->r, ':'));
    TRY(reader_type(p->r, &type));
    TRY(new_value(p, name, &type, &v));
    return list_add(p, inputs, v);
}

static status parse_constant(struct parser *p)
{
    struct tensor_type type;
    const char *name;
    void *data = NULL;

    TRY(reader_name(p->r, &name, NULL));
    TRY(reader_expect(p->r, ':'));
    TRY(reader_type(p->r, &type));
    TRY(reader_expect(p->r, '='));
    TRY(reader_data(p->r, &type, &data));
    if (graph_find_value(p->g, name) >= 0)
        return reader_fail(p->r, "value '%s' is made twice", name);
    return graph_add_constant(p->g, name, &type, data, false) < 0 ? reader_no_memory(p->r) : ST_OK;
}

static status parse_capture(struct parser *p)
{
    const char *name, *outer;

    if (!p->outer) return reader_fail(p->r, "capture outside a subgraph");
    TRY(reader_name(p->r, &name, NULL));
    outer = name;
    if (reader_accept(p->r, '=')) TRY(reader_name(p->r, &outer, NULL));
    const int v = find_value(p->outer, outer);
    if (v < 0) return reader_fail(p->r, "value '%s' is not made before", outer);
    if (graph_find_value(p->g, name) >= 0)
        return reader_fail(p->r, "value '%s' is made twice", name);
    return graph_add_capture(p->g, name, v) < 0 ? reader_no_memory(p->r) : ST_OK;
}

static status parse_outputs(struct parser *p, struct int_list *outputs)
{
    do {
        int v;
        TRY(parse_use(p, &v));
        if (v < 0) return reader_fail(p->r, "an output that is absent");
        TRY(list_add(p, outputs, v));
    } while (reader_accept(p->r, ','));
    return ST_OK;
}

/* "com.microsoft.MatMulNBits": the last part is the name. */
static status parse_operator(struct parser *p, enum op_kind *op, const char **domain)
{
    const char *full;

    TRY(reader_name(p->r, &full, NULL));
    const char *dot = strrchr(full, '.');
    *domain = dot ? arena_strndup(graph_arena(p->g), full, (size_t)(dot - full)) : "";
    if (!*domain) return reader_no_memory(p->r);
    *op = op_find(*domain, dot ? dot + 1 : full, INT16_MAX);
    return *op == OP_NONE ? reader_fail(p->r, "operator '%s' is not known", full) : ST_OK;
}

static status parse_results(struct parser *p, const char *first, bool first_quoted,
                            struct int_list *out)
{
    const char *name = first;
    bool quoted = first_quoted;

    for (;;) {
        struct tensor_type type = { .dtype = DT_NONE, .ndim = -1 };
        int v = -1;

        if (quoted || strcmp(name, "_") != 0) {
            if (reader_accept(p->r, ':')) TRY(reader_type(p->r, &type));
            TRY(new_value(p, name, &type, &v));
        }
        TRY(list_add(p, out, v));
        if (!reader_accept(p->r, ',')) return ST_OK;
        TRY(reader_name(p->r, &name, &quoted));
    }
}

static status parse_node(struct parser *p, const char *first, bool first_quoted)
{
    struct int_list in = { 0 }, out = { 0 };
    const char *domain, *name = NULL;
    struct attr *attrs;
    enum op_kind op;
    int64_t version;
    int n_attrs;

    TRY(parse_results(p, first, first_quoted, &out));
    TRY(reader_expect(p->r, '='));
    TRY(parse_operator(p, &op, &domain));
    version = opset_of(p, domain);
    TRY(reader_expect(p->r, '('));
    while (!reader_accept(p->r, ')')) {
        int v;
        if (in.n > 0) TRY(reader_expect(p->r, ','));
        TRY(parse_use(p, &v));
        TRY(list_add(p, &in, v));
    }
    TRY(parse_attrs(p, &attrs, &n_attrs));
    if (reader_accept(p->r, '@')) TRY(reader_i64(p->r, &version));
    if (version < 0 || version > INT16_MAX) return reader_fail(p->r, "a version of that number");
    if (reader_word(p->r, "as")) TRY(reader_name(p->r, &name, NULL));
    if (graph_add_node(p->g, &(struct graph_node){ .op = op,
                                                   .version = (int)version,
                                                   .name = name,
                                                   .in = in.v,
                                                   .n_in = (int)in.n,
                                                   .out = out.v,
                                                   .n_out = (int)out.n,
                                                   .attrs = attrs,
                                                   .n_attrs = n_attrs }) < 0)
        return reader_no_memory(p->r);
    return ST_OK;
}

static status parse_statement(struct parser *p, struct int_list *inputs, struct int_list *outputs)
{
    const char *word;
    bool quoted;

    TRY(reader_name(p->r, &word, &quoted));
    if (quoted) return parse_node(p, word, true);
    if (!strcmp(word, "in")) return parse_input(p, inputs);
    if (!strcmp(word, "out")) return parse_outputs(p, outputs);
    if (!strcmp(word, "const")) return parse_constant(p);
    if (!strcmp(word, "capture")) return parse_capture(p);
    if (!strcmp(word, "opset")) return parse_opset(p);
    return parse_node(p, word, false);
}

/* After the word `graph`. */
static status parse_graph(struct graph_reader *r, struct graph *g, struct parser *outer, int depth)
{
    struct parser p = { .r = r, .g = g, .outer = outer, .depth = depth };
    struct int_list inputs = { 0 }, outputs = { 0 };

    if (reader_peek(r) != '{') TRY(reader_name(r, &g->name, NULL));
    if (reader_word(r, "lowered")) g->lowered = true;
    TRY(reader_expect(r, '{'));
    while (!reader_accept(r, '}')) {
        if (reader_peek(r) == 0) return reader_fail(r, "expected '}', the text ends");
        TRY(parse_statement(&p, &inputs, &outputs));
    }
    TRY(graph_set_inputs(g, inputs.v, inputs.n, r->err));
    return graph_set_outputs(g, outputs.v, outputs.n, r->err);
}

static status parse_text(struct graph_reader *r)
{
    if (!reader_word(r, "graph")) return reader_fail(r, "expected 'graph'");
    TRY(parse_graph(r, r->root, NULL, 0));
    if (reader_peek(r) != 0 || r->p != r->end) return reader_fail(r, "text after the graph");
    return graph_check(r->root, r->err);
}

status graph_parse(const char *text, size_t n, struct graph **out, struct err *err)
{
    struct graph_reader r = { .p = text, .end = text + n, .line = 1, .err = err };
    size_t budget;

    *out = NULL;
    TRY(graph_create(&r.root, "graph", err));
    struct arena *a = graph_arena(r.root);
    if (checked_mul(n, BUDGET_FACTOR, &budget) && checked_add(budget, BUDGET_BASE, &budget))
        a->limit_bytes = budget;
    const status st = parse_text(&r);
    if (st != ST_OK) {
        graph_destroy(r.root);
        return st;
    }
    a->limit_bytes = 0;
    *out = r.root;
    return ST_OK;
}
