/* SPDX-License-Identifier: MIT */
/* Editing: nodes, lists of uses, replacement, topological order. */
#include "engine/graph/graph_internal.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ---- uses ---- */

void graph_link_use(struct graph *g, struct graph_use *use)
{
    use->prev = use->next = NULL;
    if (use->value < 0) return;
    struct graph_use **head = &g->values[use->value].uses;
    use->next = *head;
    if (*head) (*head)->prev = use;
    *head = use;
}

void graph_unlink_use(struct graph *g, struct graph_use *use)
{
    if (use->value < 0) return;
    if (use->prev)
        use->prev->next = use->next;
    else
        g->values[use->value].uses = use->next;
    if (use->next) use->next->prev = use->prev;
    use->value = -1;
    use->prev = use->next = NULL;
}

static int count_captures(const struct graph_node *n)
{
    int count = 0;

    for (int i = 0; i < n->n_attrs; i++) {
        if (n->attrs[i].type != ATTR_GRAPH) continue;
        const struct graph *inner = n->attrs[i].graph;
        for (size_t v = 0; v < inner->n_values; v++) count += inner->values[v].captured >= 0;
    }
    return count;
}

static void link_captures(struct graph *g, struct graph_node *n, int node, struct graph_use *use)
{
    for (int i = 0; i < n->n_attrs; i++) {
        if (n->attrs[i].type != ATTR_GRAPH) continue;
        struct graph *inner = n->attrs[i].graph;
        inner->outer = g;
        inner->outer_node = node;
        for (size_t v = 0; v < inner->n_values; v++) {
            if (inner->values[v].captured < 0) continue;
            *use = (struct graph_use){
                .value = inner->values[v].captured, .node = node, .slot = (int)v, .inner = inner
            };
            graph_link_use(g, use++);
        }
    }
}

bool graph_relink_node(struct graph *g, int node)
{
    struct graph_node *n = &g->nodes[node];
    const int want = n->op == OP_NONE ? 0 : n->n_in + count_captures(n);

    for (int i = 0; i < n->n_uses; i++) graph_unlink_use(g, &n->uses[i]);
    if (want > n->n_uses) {
        struct graph_use *uses = ARENA_ARRAY(&g->storage->arena, (size_t)want, struct graph_use);
        if (!uses) return false;
        n->uses = uses;
    }
    n->n_uses = want;
    if (want == 0) return true;
    for (int i = 0; i < n->n_in; i++) {
        n->uses[i] = (struct graph_use){ .value = n->in[i], .node = node, .slot = i };
        graph_link_use(g, &n->uses[i]);
    }
    link_captures(g, n, node, n->uses + n->n_in);
    return true;
}

/* ---- nodes ---- */

static bool node_fill(struct graph *g, struct graph_node *n)
{
    struct arena *a = &g->storage->arena;
    const char *name = n->name;

    n->in = arena_memdup(a, n->in, (size_t)n->n_in * sizeof *n->in);
    n->out = arena_memdup(a, n->out, (size_t)n->n_out * sizeof *n->out);
    n->attrs = arena_memdup(a, n->attrs, (size_t)n->n_attrs * sizeof *n->attrs);
    n->name = name && name[0] ? arena_strdup(a, name)
                              : arena_printf(a, "%s_%zu", op_name(n->op), g->n_nodes);
    return n->in && n->out && n->attrs && n->name;
}

int graph_add_node(struct graph *g, const struct graph_node *like)
{
    struct graph_node n = *like;

    n.uses = NULL;
    n.n_uses = 0;
    if (g->n_nodes >= INT_MAX || !node_fill(g, &n)) return -1;
    struct graph_node *grown =
        arena_grow(&g->storage->arena, g->nodes, &g->cap_nodes, g->n_nodes + 1, sizeof *grown);
    if (!grown) return -1;
    const int node = (int)g->n_nodes;
    g->nodes = grown;
    g->nodes[node] = n;
    if (!graph_relink_node(g, node)) return -1;
    g->n_nodes++;
    for (int i = 0; i < n.n_out; i++) {
        if (n.out[i] >= 0) g->values[n.out[i]].producer = node;
    }
    return node;
}

void graph_remove_node(struct graph *g, int node)
{
    struct graph_node *n = &g->nodes[node];

    n->op = OP_NONE;
    for (int i = 0; i < n->n_uses; i++) graph_unlink_use(g, &n->uses[i]);
    n->n_uses = 0;
    n->uses = NULL;
    for (int i = 0; i < n->n_out; i++) {
        if (n->out[i] >= 0 && g->values[n->out[i]].producer == node)
            g->values[n->out[i]].producer = -1;
    }
}

/* The node's input array is this graph's own; `const` in the struct keeps others from writing past
 * the lists of uses. */
static void use_point_to(struct graph *g, struct graph_use *use, int value)
{
    graph_unlink_use(g, use);
    use->value = value;
    if (use->inner)
        use->inner->values[use->slot].captured = value;
    else
        ((int *)(uintptr_t)g->nodes[use->node].in)[use->slot] = value;
    graph_link_use(g, use);
}

void graph_set_input(struct graph *g, int node, int i, int value)
{
    use_point_to(g, &g->nodes[node].uses[i], value);
}

void graph_replace_uses(struct graph *g, int from, int to)
{
    struct graph_use *next;

    if (from == to) return;
    for (struct graph_use *u = g->values[from].uses; u; u = next) {
        next = u->next;
        use_point_to(g, u, to);
    }
    for (size_t i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i] == from) g->outputs[i] = to;
    }
}

static status set_list(struct graph *g, const int *values, size_t n, int **list, size_t *count,
                       struct err *err)
{
    int *own = arena_memdup(&g->storage->arena, values, n * sizeof *values);

    if (!own) return graph_no_memory(g, err);
    *list = own;
    *count = n;
    return ST_OK;
}

status graph_set_inputs(struct graph *g, const int *values, size_t n, struct err *err)
{
    return set_list(g, values, n, &g->inputs, &g->n_inputs, err);
}

status graph_set_outputs(struct graph *g, const int *values, size_t n, struct err *err)
{
    return set_list(g, values, n, &g->outputs, &g->n_outputs, err);
}

/* ---- order ---- */

enum visit { NEW = 0, OPEN, DONE };

/* Depth-first walk over producers with a stack of its own. */
struct sorter {
    struct graph *g;
    unsigned char *state; /* [n_nodes] enum visit */
    int *next_use;        /* [n_nodes] where the node's walk over its uses stands */
    int *stack, *order;   /* [n_nodes] */
    size_t n_stack, n_order;
};

/* The next producer of the node on top that is not done; -1 when all are. */
static int sorter_next(struct sorter *s, int node)
{
    const struct graph_node *n = &s->g->nodes[node];

    while (s->next_use[node] < n->n_uses) {
        const int value = n->uses[s->next_use[node]++].value;
        const int producer = value < 0 ? -1 : s->g->values[value].producer;
        if (producer >= 0 && s->state[producer] != DONE) return producer;
    }
    return -1;
}

static status sorter_visit(struct sorter *s, int root, struct err *err)
{
    s->stack[s->n_stack++] = root;
    s->state[root] = OPEN;
    while (s->n_stack > 0) {
        const int node = s->stack[s->n_stack - 1];
        const int producer = sorter_next(s, node);

        if (producer < 0) {
            s->state[node] = DONE;
            s->order[s->n_order++] = node;
            s->n_stack--;
            continue;
        }
        if (s->state[producer] == OPEN)
            return FAIL(err, ST_FORMAT, "node '%s': its inputs depend on its own output",
                        s->g->nodes[producer].name);
        s->state[producer] = OPEN;
        s->stack[s->n_stack++] = producer;
    }
    return ST_OK;
}

/* Moves nodes into the order found, and renumbers what refers to them. */
static void sorter_apply(struct sorter *s, struct graph_node *scratch)
{
    struct graph *g = s->g;

    if (g->n_nodes) memcpy(scratch, g->nodes, g->n_nodes * sizeof *scratch);
    for (size_t i = 0; i < s->n_order; i++) {
        struct graph_node *n = &g->nodes[i];

        *n = scratch[s->order[i]];
        for (int u = 0; u < n->n_uses; u++) n->uses[u].node = (int)i;
        for (int o = 0; o < n->n_out; o++) {
            if (n->out[o] >= 0) g->values[n->out[o]].producer = (int)i;
        }
        for (int a = 0; a < n->n_attrs; a++) {
            if (n->attrs[a].type == ATTR_GRAPH) n->attrs[a].graph->outer_node = (int)i;
        }
    }
    g->n_nodes = s->n_order;
}

status graph_compact(struct graph *g, struct err *err)
{
    const size_t n = g->n_nodes;
    struct sorter s = { .g = g };
    struct graph_node *scratch = mem_calloc(n, sizeof *scratch);
    status st = ST_OK;

    s.state = mem_calloc(n, sizeof *s.state);
    s.next_use = mem_calloc(n, sizeof *s.next_use);
    s.stack = mem_calloc(n, sizeof *s.stack);
    s.order = mem_calloc(n, sizeof *s.order);
    if (!scratch || !s.state || !s.next_use || !s.stack || !s.order)
        st = FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; st == ST_OK && i < n; i++) {
        if (g->nodes[i].op != OP_NONE && s.state[i] == NEW) st = sorter_visit(&s, (int)i, err);
    }
    if (st == ST_OK) sorter_apply(&s, scratch);
    mem_free(s.order);
    mem_free(s.stack);
    mem_free(s.next_use);
    mem_free(s.state);
    mem_free(scratch);
    return st;
}
