/* SPDX-License-Identifier: MIT */
/* The listing of a graph: one node a line. The form is described in graph_text.h. */
#include "engine/graph/graph_text.h"
#include <stdio.h>
#include <string.h>

enum { INDENT = 4, OPSETS_MAX = 16, NODE_NAME_MAX = 128 };

struct printer {
    const struct graph_print_options *opt;
    struct str *out;
};

/* Domain -> version that most nodes of it have: the first one's. */
struct opset_line {
    const char *domain[OPSETS_MAX];
    int version[OPSETS_MAX];
    int n;
};

static void print_graph(const struct printer *p, const struct graph *g, int depth);

static void print_indent(const struct printer *p, int depth)
{
    str_printf(p->out, "%*s", depth * INDENT, "");
}

static int *opset_find(struct opset_line *line, const char *domain)
{
    for (int i = 0; i < line->n; i++) {
        if (!strcmp(line->domain[i], domain)) return &line->version[i];
    }
    return NULL;
}

static struct opset_line opsets_of(const struct graph *g)
{
    struct opset_line line = { .n = 0 };

    for (size_t i = 0; i < g->n_nodes; i++) {
        const struct op_row *row = op_row(g->nodes[i].op);
        if (!row || opset_find(&line, row->domain) || line.n == OPSETS_MAX) continue;
        line.domain[line.n] = row->domain;
        line.version[line.n++] = g->nodes[i].version;
    }
    return line;
}

static void print_opsets(const struct printer *p, const struct opset_line *line, int depth)
{
    if (line->n == 0) return;
    print_indent(p, depth);
    str_put(p->out, "opset ");
    for (int i = 0; i < line->n; i++)
        str_printf(p->out, "%s%s%s%d", i ? ", " : "", line->domain[i],
                   line->domain[i][0] ? " " : "", line->version[i]);
    str_put_char(p->out, '\n');
}

/* ---- attributes ---- */

static void print_list(const struct printer *p, const struct attr *a)
{
    const int n = a->type == ATTR_INTS     ? a->ints.n
                  : a->type == ATTR_FLOATS ? a->floats.n
                                           : a->strings.n;

    if (n == 0)
        str_put(p->out, a->type == ATTR_INTS     ? "ints"
                        : a->type == ATTR_FLOATS ? "floats"
                                                 : "strings");
    str_put_char(p->out, '[');
    for (int i = 0; i < n; i++) {
        if (i > 0) str_put(p->out, ", ");
        if (a->type == ATTR_INTS)
            str_printf(p->out, "%lld", (long long)a->ints.v[i]);
        else if (a->type == ATTR_FLOATS)
            graph_text_put_float(p->out, a->floats.v[i]);
        else
            graph_text_put_string(p->out, a->strings.v[i], strlen(a->strings.v[i]));
    }
    str_put_char(p->out, ']');
}

static void print_attr(const struct printer *p, const struct graph *g, const struct attr *a,
                       int depth)
{
    graph_text_put_name(p->out, a->name);
    str_put(p->out, ": ");
    switch (a->type) {
    case ATTR_INT: str_printf(p->out, "%lld", (long long)a->i); break;
    case ATTR_FLOAT: graph_text_put_float(p->out, a->f); break;
    case ATTR_STRING: graph_text_put_string(p->out, a->s, a->s_len); break;
    case ATTR_TENSOR:
        graph_text_put_type(g, &a->tensor.type, p->out);
        graph_text_put_data(&a->tensor.type, a->tensor.data, p->opt->constant_elements_max, p->out);
        break;
    case ATTR_GRAPH: print_graph(p, a->graph, depth); break;
    case ATTR_INTS:
    case ATTR_FLOATS:
    case ATTR_STRINGS: print_list(p, a); break;
    }
}

static void print_attrs(const struct printer *p, const struct graph *g, const struct graph_node *n,
                        int depth)
{
    if (n->n_attrs == 0) return;
    str_put(p->out, " {");
    for (int i = 0; i < n->n_attrs; i++) {
        if (i > 0) str_put(p->out, ", ");
        print_attr(p, g, &n->attrs[i], depth);
    }
    str_put_char(p->out, '}');
}

/* ---- lines ---- */

static void print_typed(const struct printer *p, const struct graph *g, int value)
{
    if (value < 0) {
        str_put_char(p->out, '_');
        return;
    }
    graph_text_put_name(p->out, g->values[value].name);
    if (g->values[value].type.dtype == DT_NONE) return;
    str_put(p->out, ": ");
    graph_text_put_type(g, &g->values[value].type, p->out);
}

static void print_names(const struct printer *p, const struct graph *g, const int *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0) str_put(p->out, ", ");
        if (values[i] < 0)
            str_put_char(p->out, '_');
        else
            graph_text_put_name(p->out, g->values[values[i]].name);
    }
}

static void print_node(const struct printer *p, const struct graph *g, size_t at,
                       struct opset_line *opsets, int depth)
{
    const struct graph_node *n = &g->nodes[at];
    const struct op_row *row = op_row(n->op);
    const int *version = row ? opset_find(opsets, row->domain) : NULL;
    char made_up[NODE_NAME_MAX];

    print_indent(p, depth);
    for (int i = 0; i < n->n_out; i++) {
        if (i > 0) str_put(p->out, ", ");
        print_typed(p, g, n->out[i]);
    }
    str_printf(p->out, " = %s(", op_name(n->op));
    print_names(p, g, n->in, (size_t)n->n_in);
    str_put_char(p->out, ')');
    print_attrs(p, g, n, depth);
    if (!version || *version != n->version) str_printf(p->out, " @%d", n->version);
    (void)snprintf(made_up, sizeof made_up, "%s_%zu", op_name(n->op), at);
    if (strcmp(made_up, n->name) != 0) {
        str_put(p->out, " as ");
        graph_text_put_name(p->out, n->name);
    }
    str_put_char(p->out, '\n');
}

/* Constants and captured values; those that nothing uses are no part of the listing. */
static void print_value(const struct printer *p, const struct graph *g, int value, int depth)
{
    const struct graph_value *v = &g->values[value];

    if (graph_uses(g, value) == 0 || (v->captured < 0 && !v->data)) return;
    print_indent(p, depth);
    if (v->captured >= 0) {
        const char *outer = g->outer->values[v->captured].name;
        str_put(p->out, "capture ");
        graph_text_put_name(p->out, v->name);
        if (strcmp(outer, v->name) != 0) {
            str_put(p->out, " = ");
            graph_text_put_name(p->out, outer);
        }
    } else {
        str_put(p->out, "const ");
        print_typed(p, g, value);
        str_put(p->out, " = ");
        graph_text_put_data(&v->type, v->data, p->opt->constant_elements_max, p->out);
    }
    str_put_char(p->out, '\n');
}

static void print_graph(const struct printer *p, const struct graph *g, int depth)
{
    struct opset_line opsets = opsets_of(g);

    str_put(p->out, "graph ");
    graph_text_put_name(p->out, g->name);
    str_put(p->out, g->lowered ? " lowered {\n" : " {\n");
    print_opsets(p, &opsets, depth + 1);
    for (size_t i = 0; i < g->n_inputs; i++) {
        print_indent(p, depth + 1);
        str_put(p->out, "in ");
        print_typed(p, g, g->inputs[i]);
        str_put_char(p->out, '\n');
    }
    for (size_t i = 0; i < g->n_values; i++) print_value(p, g, (int)i, depth + 1);
    for (size_t i = 0; i < g->n_nodes && !p->out->failed; i++) {
        if (g->nodes[i].op != OP_NONE) print_node(p, g, i, &opsets, depth + 1);
    }
    if (g->n_outputs > 0) {
        print_indent(p, depth + 1);
        str_put(p->out, "out ");
        print_names(p, g, g->outputs, g->n_outputs);
        str_put_char(p->out, '\n');
    }
    print_indent(p, depth);
    str_put_char(p->out, '}');
}

status graph_print(const struct graph *g, const struct graph_print_options *opt, struct str *out,
                   struct err *err)
{
    static const struct graph_print_options dflt = { .constant_elements_max = 16 };
    const struct printer p = { .opt = opt ? opt : &dflt, .out = out };

    print_graph(&p, g, 0);
    str_put_char(out, '\n');
    return out->failed ? FAIL(err, ST_NOMEM, "out of memory while printing graph '%s'", g->name)
                       : ST_OK;
}
