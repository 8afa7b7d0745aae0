/* SPDX-License-Identifier: MIT */
/* compile: a segment becomes a list of steps with resolved pointers, one block of temporaries, and
 * enough scratch. Everything that can be refused is refused here. */
#include <string.h>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_run.h"

static enum cpu_lead lead_of(const struct tensor_type *t)
{
    if (t->ndim > 0 && t->dim[0] == DIM_TOKENS) return CPU_LEAD_TOKENS;
    if (t->ndim > 0 && t->dim[0] == DIM_ROWS) return CPU_LEAD_ROWS;
    return CPU_LEAD_FIXED;
}

/* The type with its leading symbol at its bound; false when another dimension is unknown. */
static bool bound_type(const struct program *p, const struct tensor_type *in,
                       struct tensor_type *out)
{
    const enum cpu_lead lead = lead_of(in);

    *out = *in;
    if (lead == CPU_LEAD_TOKENS) out->dim[0] = p->tokens_max;
    if (lead == CPU_LEAD_ROWS) out->dim[0] = p->rows_max;
    return type_known(out);
}

static status copy_values(struct program *p, const struct segment *seg, struct err *err)
{
    p->values = ARENA_ARRAY(&p->arena, (size_t)seg->n_values + 1, struct cpu_value);
    if (!p->values) return FAIL(err, ST_NOMEM, "cpu: program");
    p->n_values = seg->n_values;
    for (int v = 0; v < seg->n_values; v++) {
        const struct seg_value *from = &seg->values[v];
        struct cpu_value *to = &p->values[v];
        size_t n;

        to->name = arena_strdup(&p->arena, from->name ? from->name : "");
        if (!to->name) return FAIL(err, ST_NOMEM, "cpu: program");
        if (!bound_type(p, &from->type, &to->tensor.type) || !type_bytes(&to->tensor.type, &n))
            return FAIL(err, ST_SHAPE, "%s: shape is not known at compile time", to->name);
        to->role = from->role;
        to->lead = lead_of(&from->type);
        if (to->lead != CPU_LEAD_FIXED) p->uses_step = true;
        if (from->role == SEG_CONST) {
            if (!from->data && n > 0)
                return FAIL(err, ST_INVALID, "%s: constant without data", to->name);
            to->tensor.data = (void *)from->data;
        }
        if (from->role == SEG_INPUT || from->role == SEG_OUTPUT) p->n_bound_want++;
    }
    return ST_OK;
}

static status place_temps(struct program *p, const struct segment *seg, struct err *err)
{
    int64_t *offset = ARENA_ARRAY(&p->arena, (size_t)seg->n_values + 1, int64_t);

    if (!offset) return FAIL(err, ST_NOMEM, "cpu: program");
    TRY(cpu_plan_temps(seg, offset, &p->temp_bytes, err));
    p->temps = mem_alloc_aligned(CPU_ALIGN, p->temp_bytes ? p->temp_bytes : CPU_ALIGN);
    if (!p->temps) return FAIL(err, ST_NOMEM, "cpu: %zu bytes of temporaries", p->temp_bytes);
    for (int v = 0; v < seg->n_values; v++)
        if (offset[v] >= 0) p->values[v].tensor.data = p->temps + offset[v];
    return ST_OK;
}

/* A node's operands: pointers to tensors, and a copy of the types for scratch and prepare. */
struct operands {
    const struct tensor **list;
    struct tensor *types;
};

static status resolve(struct program *p, const char *node, const int *index, int n,
                      struct operands *out, struct err *err)
{
    const struct tensor **list = ARENA_ARRAY(&p->arena, (size_t)n + 1, const struct tensor *);
    struct tensor *copy = ARENA_ARRAY(&p->arena, (size_t)n + 1, struct tensor);

    if (!list || !copy) return FAIL(err, ST_NOMEM, "cpu: program");
    for (int i = 0; i < n; i++) {
        const int v = index[i];

        if (v < 0) continue;
        if (v >= p->n_values) return FAIL(err, ST_INVALID, "%s: no value %d", node, v);
        list[i] = &p->values[v].tensor;
        copy[i].type = p->values[v].tensor.type;
        if (p->values[v].role == SEG_CONST) copy[i].data = p->values[v].tensor.data;
    }
    *out = (struct operands){ list, copy };
    return ST_OK;
}

/* What every operator of the table counts on. */
static status check_call(const struct op_call *c, struct err *err)
{
    const struct cpu_op *op = &cpu_ops[c->op];
    size_t n_in, n_out;

    for (int i = 0; i < (int)op->n_in; i++)
        if (!cpu_call_in(c, i)) return FAIL(err, ST_SHAPE, "%s: input %d is missing", c->node, i);
    if (op->rules & CPU_ANY_OUT) return ST_OK;
    if (c->n_out < 1 || c->out[0].type.dtype == DT_NONE)
        return FAIL(err, ST_SHAPE, "%s: output 0 is missing", c->node);
    const struct tensor_type *in = &c->in[0].type, *out = &c->out[0].type;
    if ((op->rules & CPU_BOOL) && out->dtype != DT_BOOL)
        return FAIL(err, ST_SHAPE, "%s: output is %s (expected bool)", c->node,
                    dtype_name(out->dtype));
    if ((op->rules & CPU_DTYPE) && out->dtype != in->dtype)
        return FAIL(err, ST_SHAPE, "%s: output is %s, input %s", c->node, dtype_name(out->dtype),
                    dtype_name(in->dtype));
    for (int i = 1; (op->rules & CPU_ALIKE) && i < c->n_in; i++)
        if (cpu_call_in(c, i) && c->in[i].type.dtype != in->dtype)
            return FAIL(err, ST_SHAPE, "%s: input %d is %s, input 0 %s", c->node, i,
                        dtype_name(c->in[i].type.dtype), dtype_name(in->dtype));
    if ((op->rules & CPU_SIZE) &&
        (!type_elements(in, &n_in) || !type_elements(out, &n_out) || n_in != n_out))
        return FAIL(err, ST_SHAPE, "%s: output and input differ in size", c->node);
    return ST_OK;
}

static status prepare_step(struct program *p, struct cpu_step *s, const struct seg_node *node,
                           struct err *err)
{
    const struct cpu_op *op = &cpu_ops[s->call.op];

    s->prepared = node->prepared;
    if (s->prepared || !op->prepare) return ST_OK;
    TRY(op->prepare(p->be, &s->call, &s->owned, err));
    s->prepared = s->owned;
    return ST_OK;
}

/* Operators that read the step's table. */
static bool needs_step(enum op_kind op)
{
    return op == OP_SEQATTN || op == OP_SEQROTARY || op == OP_SELECTROWS || op == OP_SELFATTN ||
           op == OP_POSROWS || op == OP_SEQQUANT || op == OP_SEQCUMSUM || op == OP_PASTCHOICE;
}

static status add_step(struct program *p, const struct seg_node *node, struct err *err)
{
    struct cpu_step *s = &p->steps[p->n_steps];
    const enum op_kind op = node->call.op;
    struct operands in, out;

    s->call = node->call;
    s->call.node = arena_strdup(&p->arena, node->call.node ? node->call.node : "");
    if (!s->call.node || !cpu_attrs_copy(&p->arena, op, &s->call.attr))
        return FAIL(err, ST_NOMEM, "cpu: program");
    TRY(resolve(p, s->call.node, node->in, s->call.n_in, &in, err));
    TRY(resolve(p, s->call.node, node->out, s->call.n_out, &out, err));
    s->in = in.list, s->call.in = in.types;
    s->out = out.list, s->call.out = out.types;
    if (!p->be->head.ops->supports(&p->be->head, &s->call))
        return FAIL(err, ST_UNSUPPORTED, "%s: no such operator on the cpu", s->call.node);
    TRY(check_call(&s->call, err));
    s->run = cpu_ops[op].run;
    if (op == OP_SEQATTN) p->uses_kv = true;
    if (op == OP_SEQCONV || op == OP_SEQLINATTN) p->uses_state = true;
    if (p->uses_state || needs_step(op)) p->uses_step = true;
    p->n_steps++; /* from here on discard knows what the step owns */
    return prepare_step(p, s, node, err);
}

/* Grows the backend's scratch to what this program's steps want. */
static status reserve_scratch(struct program *p, struct err *err)
{
    struct cpu_backend *be = p->be;
    struct cpu_scratch most = { .worker = be->worker_bytes, .shared = be->shared_bytes };
    const struct cpu_bounds bounds = { .n_workers = cpu_team_size(be->team),
                                       .tokens_max = p->tokens_max,
                                       .rows_max = p->rows_max,
                                       .seqs_max = p->seqs_max };

    for (int i = 0; i < p->n_steps; i++) {
        const struct cpu_step *s = &p->steps[i];
        struct cpu_scratch want = { 0 };

        if (!cpu_ops[s->call.op].scratch) continue;
        TRY(cpu_ops[s->call.op].scratch(&s->call, s->prepared, &bounds, &want, err));
        if (want.worker > most.worker) most.worker = want.worker;
        if (want.shared > most.shared) most.shared = want.shared;
    }
    if (most.worker == be->worker_bytes && most.shared == be->shared_bytes) return ST_OK;
    most.worker = (most.worker + CPU_ALIGN - 1) & ~(size_t)(CPU_ALIGN - 1);
    size_t bytes;
    if (!checked_mul(most.worker, (size_t)bounds.n_workers, &bytes) ||
        !checked_add(bytes, most.shared, &bytes))
        return FAIL(err, ST_LIMIT, "cpu: scratch too large");
    char *block = mem_alloc_aligned(CPU_ALIGN, bytes + CPU_ALIGN);
    if (!block) return FAIL(err, ST_NOMEM, "cpu: %zu bytes of scratch", bytes);
    mem_free_aligned(be->scratch);
    be->scratch = block;
    be->worker_bytes = most.worker;
    be->shared_bytes = most.shared;
    return ST_OK;
}

/* One step, of a few microseconds: waking the team costs more than it brings. Shapes are known in
 * programs of the dense form only; products count by their sums. */
static bool is_small(const struct program *p)
{
    enum { WORK_MAX = 16 << 10, PRODUCTS_PER_UNIT = 16 };
    const struct op_call *call = &p->steps[0].call;
    size_t work = 0, n, width = 0;

    if (p->n_steps != 1 || p->uses_step) return false;
    for (int i = 0; i < call->n_in; i++) {
        if (call->in[i].type.dtype == DT_NONE) continue;
        if (!type_elements(&call->in[i].type, &n)) return false;
        if (call->in[i].data) continue;
        work = n > WORK_MAX ? WORK_MAX + 1 : work + n;
        if (call->in[i].type.ndim > 0)
            width = (size_t)call->in[i].type.dim[call->in[i].type.ndim - 1];
        if (work > WORK_MAX) return false;
    }
    for (int i = 0; i < call->n_out; i++) {
        if (call->out[i].type.dtype == DT_NONE) continue;
        if (!type_elements(&call->out[i].type, &n) || n > WORK_MAX) return false;
        work += n;
        if (cpu_ops[call->op].prepare || cpu_ops[call->op].scratch)
            work += n * width / PRODUCTS_PER_UNIT;
    }
    return work <= WORK_MAX;
}

static status build(struct program *p, const struct segment *seg, struct err *err)
{
    if (seg->n_values < 0 || seg->n_nodes < 0 || seg->tokens_max < 0 || seg->rows_max < 0 ||
        seg->seqs_max < 0)
        return FAIL(err, ST_INVALID, "cpu: negative count in the segment");
    p->tokens_max = seg->tokens_max;
    p->rows_max = seg->rows_max;
    p->seqs_max = seg->seqs_max;
    TRY(copy_values(p, seg, err));
    p->steps = ARENA_ARRAY(&p->arena, (size_t)seg->n_nodes + 1, struct cpu_step);
    if (!p->steps) return FAIL(err, ST_NOMEM, "cpu: program");
    p->counters = mem_alloc_aligned(CPU_ALIGN, ((size_t)seg->n_nodes + 1) * sizeof *p->counters);
    if (!p->counters) return FAIL(err, ST_NOMEM, "cpu: program");
    for (int i = 0; i < seg->n_nodes; i++) TRY(add_step(p, &seg->nodes[i], err));
    TRY(place_temps(p, seg, err));
    p->solo = is_small(p);
    return reserve_scratch(p, err);
}

status cpu_compile(struct backend *be, const struct segment *seg, struct program **out,
                   struct err *err)
{
    struct program *p = mem_calloc(1, sizeof *p);

    *out = NULL;
    if (!p) return FAIL(err, ST_NOMEM, "cpu: program");
    p->be = (struct cpu_backend *)be;
    cpu_kernels_enter(p->be->kern_mask);
    pthread_mutex_lock(&p->be->lock);
    const status st = build(p, seg, err);
    pthread_mutex_unlock(&p->be->lock);
    cpu_kernels_leave();
    if (st != ST_OK) {
        cpu_discard(be, p);
        return st;
    }
    *out = p;
    return ST_OK;
}

void cpu_discard(struct backend *be, struct program *p)
{
    (void)be;
    if (!p) return;
    for (int i = 0; i < p->n_steps; i++)
        if (p->steps[i].owned) p->steps[i].owned->release(p->steps[i].owned);
    mem_free_aligned(p->temps);
    mem_free_aligned(p->counters);
    arena_fini(&p->arena);
    mem_free(p);
}
