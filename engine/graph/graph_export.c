/* SPDX-License-Identifier: MIT */
/* Graphs for other programs: Graphviz dot and JSON. */
#include "engine/graph/graph_text.h"
#include <string.h>

static void put_type_text(const struct graph *g, const struct tensor_type *t, struct str *out)
{
    struct str text = { 0 };

    graph_text_put_type(g, t, &text);
    str_put_json(out, str_cstr(&text), text.len);
    str_fini(&text);
}

/* ---- dot ---- */

static void dot_value_node(const struct graph *g, const char *prefix, int value, const char *shape,
                           struct str *out)
{
    struct str label = { 0 };

    str_put(&label, g->values[value].name);
    str_put(&label, "\n");
    graph_text_put_type(g, &g->values[value].type, &label);
    str_printf(out, "    %s%d [shape=%s, label=", prefix, value, shape);
    str_put_json(out, str_cstr(&label), label.len);
    str_put(out, "];\n");
    str_fini(&label);
}

static void dot_edges(const struct graph *g, size_t node, struct str *out)
{
    const struct graph_node *n = &g->nodes[node];

    for (int i = 0; i < n->n_in; i++) {
        if (n->in[i] < 0) continue;
        const struct graph_value *v = &g->values[n->in[i]];
        if (v->producer >= 0)
            str_printf(out, "    n%d -> n%zu", v->producer, node);
        else if (v->data)
            continue;
        else
            str_printf(out, "    v%d -> n%zu", n->in[i], node);
        str_put(out, " [label=");
        put_type_text(g, &v->type, out);
        str_put(out, "];\n");
    }
}

status graph_print_dot(const struct graph *g, struct str *out, struct err *err)
{
    str_put(out, "digraph ");
    str_put_json(out, g->name, strlen(g->name));
    str_put(out, " {\n    node [fontname=\"monospace\"];\n");
    for (size_t i = 0; i < g->n_inputs; i++) dot_value_node(g, "v", g->inputs[i], "ellipse", out);
    for (size_t i = 0; i < g->n_nodes && !out->failed; i++) {
        if (g->nodes[i].op == OP_NONE) continue;
        str_printf(out, "    n%zu [shape=box, label=", i);
        str_put_json(out, op_name(g->nodes[i].op), strlen(op_name(g->nodes[i].op)));
        str_put(out, ", tooltip=");
        str_put_json(out, g->nodes[i].name, strlen(g->nodes[i].name));
        str_put(out, "];\n");
        dot_edges(g, i, out);
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        const int v = g->outputs[i];
        dot_value_node(g, "o", v, "ellipse", out);
        if (g->values[v].producer >= 0)
            str_printf(out, "    n%d -> o%d;\n", g->values[v].producer, v);
        else
            str_printf(out, "    v%d -> o%d;\n", v, v);
    }
    str_put(out, "}\n");
    return out->failed ? FAIL(err, ST_NOMEM, "out of memory while printing graph '%s'", g->name)
                       : ST_OK;
}

/* ---- JSON ---- */

static void json_graph(const struct graph *g, struct str *out);

static void json_name(const struct graph *g, int value, struct str *out)
{
    if (value < 0)
        str_put(out, "null");
    else
        str_put_json(out, g->values[value].name, strlen(g->values[value].name));
}

static void json_names(const struct graph *g, const int *values, int n, struct str *out)
{
    str_put_char(out, '[');
    for (int i = 0; i < n; i++) {
        if (i > 0) str_put_char(out, ',');
        json_name(g, values[i], out);
    }
    str_put_char(out, ']');
}

static void json_typed(const struct graph *g, const int *values, size_t n, struct str *out)
{
    str_put_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        str_put(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        json_name(g, values[i], out);
        str_put(out, ",\"type\":");
        put_type_text(g, &g->values[values[i]].type, out);
        str_put_char(out, '}');
    }
    str_put_char(out, ']');
}

static void json_attr(const struct graph *g, const struct attr *a, struct str *out)
{
    const int n = a->type == ATTR_INTS      ? a->ints.n
                  : a->type == ATTR_FLOATS  ? a->floats.n
                  : a->type == ATTR_STRINGS ? a->strings.n
                                            : 0;

    switch (a->type) {
    case ATTR_INT: str_printf(out, "%lld", (long long)a->i); return;
    case ATTR_FLOAT: str_put_json_double(out, (double)a->f); return;
    case ATTR_STRING: str_put_json(out, a->s, a->s_len); return;
    case ATTR_TENSOR: put_type_text(g, &a->tensor.type, out); return;
    case ATTR_GRAPH: json_graph(a->graph, out); return;
    default: break;
    }
    str_put_char(out, '[');
    for (int i = 0; i < n; i++) {
        if (i > 0) str_put_char(out, ',');
        if (a->type == ATTR_INTS)
            str_printf(out, "%lld", (long long)a->ints.v[i]);
        else if (a->type == ATTR_FLOATS)
            str_put_json_double(out, (double)a->floats.v[i]);
        else
            str_put_json(out, a->strings.v[i], strlen(a->strings.v[i]));
    }
    str_put_char(out, ']');
}

static void json_node(const struct graph *g, const struct graph_node *n, struct str *out)
{
    str_put(out, "{\"name\":");
    str_put_json(out, n->name, strlen(n->name));
    str_printf(out, ",\"op\":\"%s\",\"version\":%d,\"inputs\":", op_name(n->op), n->version);
    json_names(g, n->in, n->n_in, out);
    str_put(out, ",\"outputs\":");
    json_names(g, n->out, n->n_out, out);
    str_put(out, ",\"attributes\":{");
    for (int i = 0; i < n->n_attrs; i++) {
        if (i > 0) str_put_char(out, ',');
        str_put_json(out, n->attrs[i].name, strlen(n->attrs[i].name));
        str_put_char(out, ':');
        json_attr(g, &n->attrs[i], out);
    }
    str_put(out, "}}");
}

/* Types of everything that nodes use or make. */
static void json_values(const struct graph *g, struct str *out)
{
    bool first = true;

    str_put_char(out, '{');
    for (size_t i = 0; i < g->n_values && !out->failed; i++) {
        const struct graph_value *v = &g->values[i];
        if (v->producer < 0 && graph_uses(g, (int)i) == 0) continue;
        if (!first) str_put_char(out, ',');
        first = false;
        str_put_json(out, v->name, strlen(v->name));
        str_put(out, ":{\"type\":");
        put_type_text(g, &v->type, out);
        str_put(out, v->captured >= 0 ? ",\"captured\":true}"
                     : v->data        ? ",\"constant\":true}"
                                      : "}");
    }
    str_put_char(out, '}');
}

static void json_graph(const struct graph *g, struct str *out)
{
    bool first = true;

    str_put(out, "{\"name\":");
    str_put_json(out, g->name, strlen(g->name));
    str_printf(out, ",\"lowered\":%s,\"inputs\":", g->lowered ? "true" : "false");
    json_typed(g, g->inputs, g->n_inputs, out);
    str_put(out, ",\"outputs\":");
    json_typed(g, g->outputs, g->n_outputs, out);
    str_put(out, ",\"values\":");
    json_values(g, out);
    str_put(out, ",\"nodes\":[");
    for (size_t i = 0; i < g->n_nodes && !out->failed; i++) {
        if (g->nodes[i].op == OP_NONE) continue;
        if (!first) str_put_char(out, ',');
        first = false;
        json_node(g, &g->nodes[i], out);
    }
    str_put(out, "]}");
}

status graph_print_json(const struct graph *g, struct str *out, struct err *err)
{
    json_graph(g, out);
    str_put_char(out, '\n');
    return out->failed ? FAIL(err, ST_NOMEM, "out of memory while printing graph '%s'", g->name)
                       : ST_OK;
}
