/* SPDX-License-Identifier: MIT */
/* Cutting a segment into nodes. */
#include "backends/decorate/split.h"
#include <string.h>

/* ---- memory between the nodes ---- */

struct slot {
    size_t bytes;
    int free_after; /* the last node that uses what is in it */
};

/* Last node that reads or writes each value. */
static void find_last_uses(const struct segment *seg, int *last)
{
    for (int v = 0; v < seg->n_values; v++) last[v] = -1;
    for (int n = 0; n < seg->n_nodes; n++) {
        const struct seg_node *node = &seg->nodes[n];

        for (int i = 0; i < node->call.n_in; i++)
            if (node->in[i] >= 0) last[node->in[i]] = n;
        for (int i = 0; i < node->call.n_out; i++)
            if (node->out[i] >= 0) last[node->out[i]] = n;
    }
}

static bool bytes_of(const struct segment *seg, const struct tensor_type *type, size_t *bytes)
{
    const struct step most = { .n_tokens = seg->tokens_max, .n_rows = seg->rows_max };
    const struct tensor_type t = split_type(type, &most);

    return type_bytes(&t, bytes);
}

/* The smallest slot that is free before node n and large enough; else a new one. */
static int take_slot(struct slot *slots, int *n_slots, int node, size_t bytes)
{
    int best = -1;

    for (int i = 0; i < *n_slots; i++)
        if (slots[i].free_after < node && slots[i].bytes >= bytes &&
            (best < 0 || slots[i].bytes < slots[best].bytes))
            best = i;
    if (best >= 0) return best;
    slots[*n_slots] = (struct slot){ .bytes = bytes };
    return (*n_slots)++;
}

static status place_temps(struct split *s, const struct segment *seg, struct slot *slots, int *last,
                          struct err *err)
{
    find_last_uses(seg, last);
    for (int n = 0; n < seg->n_nodes; n++)
        for (int i = 0; i < seg->nodes[n].call.n_out; i++) {
            const int v = seg->nodes[n].out[i];
            size_t bytes;

            if (v < 0 || s->values[v].role != SEG_TEMP) continue;
            if (!bytes_of(seg, &s->values[v].type, &bytes))
                return FAIL(err, ST_LIMIT, "%s: value of unknown size", seg->values[v].name);
            s->values[v].slot = take_slot(slots, &s->n_slots, n, bytes);
            slots[s->values[v].slot].free_after = last[v];
        }
    for (int i = 0; i < s->n_slots; i++) {
        s->slots[i] = mem_alloc_aligned(64, slots[i].bytes ? slots[i].bytes : 1);
        if (!s->slots[i]) return FAIL(err, ST_NOMEM, "out of memory");
    }
    return ST_OK;
}

static status make_memory(struct split *s, const struct segment *seg, struct err *err)
{
    struct arena a = { 0 };
    const size_t n = (size_t)seg->n_values + 1;
    struct slot *slots = ARENA_ARRAY(&a, n, struct slot);
    int *last = ARENA_ARRAY(&a, n, int);

    s->values = ARENA_ARRAY(&s->arena, n, struct split_value);
    s->data = ARENA_ARRAY(&s->arena, n, void *);
    s->slots = ARENA_ARRAY(&s->arena, n, void *);
    status st = slots && last && s->values && s->data && s->slots
                    ? ST_OK
                    : FAIL(err, ST_NOMEM, "out of memory");
    for (int v = 0; st == ST_OK && v < seg->n_values; v++)
        s->values[v] = (struct split_value){ seg->values[v].type, seg->values[v].role, -1 };
    if (st == ST_OK) {
        s->n_values = seg->n_values;
        st = place_temps(s, seg, slots, last, err);
    }
    arena_fini(&a);
    return st;
}

/* ---- one node ---- */

/* The segment of one node while it is compiled. */
struct one {
    struct segment seg;
    struct seg_node node;
    struct seg_value *values; /* operands that are there, inputs first */
    int *index;               /* [n_in + n_out] among them, -1 = absent */
};

static status one_init(struct one *o, const struct segment *seg, const struct seg_node *node,
                       struct arena *a, struct err *err)
{
    const int n_in = node->call.n_in, n = n_in + node->call.n_out;

    *o = (struct one){ .seg = { .tokens_max = seg->tokens_max,
                                .rows_max = seg->rows_max,
                                .seqs_max = seg->seqs_max,
                                .n_nodes = 1 },
                       .node = *node };
    o->values = ARENA_ARRAY(a, (size_t)n + 1, struct seg_value);
    o->index = ARENA_ARRAY(a, (size_t)n + 1, int);
    if (!o->values || !o->index) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < n; i++) {
        const int v = i < n_in ? node->in[i] : node->out[i - n_in];

        o->index[i] = v < 0 ? -1 : o->seg.n_values++;
        if (v < 0) continue;
        struct seg_value *value = &o->values[o->index[i]];
        *value = seg->values[v];
        if (value->role != SEG_CONST) value->role = i < n_in ? SEG_INPUT : SEG_OUTPUT;
    }
    o->node.in = o->index;
    o->node.out = o->index + n_in;
    o->seg.values = o->values;
    o->seg.nodes = &o->node;
    return ST_OK;
}

/* Which values are bound where. */
static status bind_operands(struct split *s, struct split_node *out, const struct one *o,
                            const struct seg_node *node, struct err *err)
{
    const int n_in = node->call.n_in, n = n_in + node->call.n_out;

    out->operands = ARENA_ARRAY(&s->arena, (size_t)n + 1, int);
    out->bindings = ARENA_ARRAY(&s->arena, (size_t)n + 1, struct binding);
    if (!out->operands || !out->bindings) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < n; i++) {
        const int at = out->n_in + out->n_out;

        if (o->index[i] < 0 || o->values[o->index[i]].role == SEG_CONST) continue;
        out->operands[at] = i < n_in ? node->in[i] : node->out[i - n_in];
        out->bindings[at].value = o->index[i];
        if (i < n_in)
            out->n_in++;
        else
            out->n_out++;
    }
    return ST_OK;
}

static status open_node(struct split *s, const struct segment *seg, int n,
                        struct prepared *prepared, struct err *err)
{
    const struct seg_node *node = &seg->nodes[n];
    struct split_node *out = &s->nodes[n];
    struct arena a = { 0 };
    struct one o;
    status st = one_init(&o, seg, node, &a, err);

    o.node.prepared = prepared;
    out->op = node->call.op;
    out->name = arena_strdup(&s->arena, node->call.node);
    if (st == ST_OK && !out->name) st = FAIL(err, ST_NOMEM, "out of memory");
    if (st == ST_OK) st = bind_operands(s, out, &o, node, err);
    if (st == ST_OK) st = s->be->ops->compile(s->be, &o.seg, &out->program, err);
    arena_fini(&a);
    return st;
}

/* ---- life ---- */

status split_open(struct split *s, struct backend *be, const struct segment *seg,
                  struct prepared *const *prepared, struct err *err)
{
    *s = (struct split){ .be = be };
    status st = make_memory(s, seg, err);

    if (st == ST_OK) {
        s->nodes = ARENA_ARRAY(&s->arena, (size_t)seg->n_nodes + 1, struct split_node);
        if (!s->nodes) st = FAIL(err, ST_NOMEM, "out of memory");
    }
    for (; st == ST_OK && s->n_nodes < seg->n_nodes; s->n_nodes++)
        st = open_node(s, seg, s->n_nodes, prepared[s->n_nodes], err);
    if (st != ST_OK) split_fini(s);
    return st;
}

void split_fini(struct split *s)
{
    for (int i = 0; i < s->n_nodes; i++) s->be->ops->discard(s->be, s->nodes[i].program);
    for (int i = 0; i < s->n_slots; i++) mem_free_aligned(s->slots[i]);
    arena_fini(&s->arena);
    *s = (struct split){ 0 };
}

/* ---- running ---- */

struct tensor_type split_type(const struct tensor_type *type, const struct step *step)
{
    struct tensor_type t = *type;

    if (t.ndim > 0 && t.dim[0] == DIM_TOKENS) t.dim[0] = step->n_tokens;
    if (t.ndim > 0 && t.dim[0] == DIM_ROWS) t.dim[0] = step->n_rows;
    return t;
}

status split_begin(struct split *s, const struct step *step, struct err *err)
{
    for (int v = 0; v < s->n_values; v++)
        s->data[v] = s->values[v].slot >= 0 ? s->slots[s->values[v].slot] : NULL;
    for (int i = 0; i < step->n_bindings; i++) {
        const struct binding *b = &step->bindings[i];

        if (b->value < 0 || b->value >= s->n_values)
            return FAIL(err, ST_INVALID, "binding of value %d of %d", b->value, s->n_values);
        s->data[b->value] = b->tensor.data;
    }
    return ST_OK;
}

status split_run(struct split *s, int node, const struct step *step, void *const *in,
                 void *const *out, struct err *err)
{
    struct split_node *n = &s->nodes[node];
    struct step own = *step;

    for (int i = 0; i < n->n_in + n->n_out; i++) {
        const int v = n->operands[i];

        n->bindings[i].tensor.type = split_type(&s->values[v].type, step);
        n->bindings[i].tensor.data = i < n->n_in ? in[v] : out[v];
    }
    own.bindings = n->bindings;
    own.n_bindings = n->n_in + n->n_out;
    return s->be->ops->execute(s->be, n->program, &own, err);
}
