/* SPDX-License-Identifier: MIT */
#include "engine/exec/node_run.h"
#include <string.h>

void node_run_fini(struct node_run *r)
{
    if (!r->be) return;
    r->be->ops->discard(r->be, r->program);
    r->be->ops->release(r->be, r->prepared);
    mem_free(r->types);
    arena_fini(&r->aligned);
    *r = (struct node_run){ 0 };
}

static bool types_match(const struct node_run *r, const struct op_call *call)
{
    for (int i = 0; i < call->n_in; i++)
        if (!type_equal(&r->types[i], &call->in[i].type)) return false;
    for (int i = 0; i < call->n_out; i++)
        if (!type_equal(&r->types[call->n_in + i], &call->out[i].type)) return false;
    return true;
}

/* The segment's values: the operands that are there, inputs then outputs. */
struct one_node {
    struct seg_value *values;
    int n_values;
    int *index;             /* [n_in + n_out]: of the operand among the values, -1 = absent */
    struct tensor *tensors; /* the call's tensors with data only where constant */
};

static status one_node_init(struct one_node *o, const struct op_call *call, const bool *is_const,
                            struct arena *a, struct err *err)
{
    const int n = call->n_in + call->n_out;

    o->n_values = 0;
    o->values = ARENA_ARRAY(a, (size_t)n + 1, struct seg_value);
    o->index = ARENA_ARRAY(a, (size_t)n + 1, int);
    o->tensors = ARENA_ARRAY(a, (size_t)n + 1, struct tensor);
    if (!o->values || !o->index || !o->tensors)
        return FAIL(err, ST_NOMEM, "%s: out of memory", call->node);
    for (int i = 0; i < n; i++) {
        const bool input = i < call->n_in, constant = input && is_const && is_const[i];
        const struct tensor *t = input ? &call->in[i] : &call->out[i - call->n_in];

        o->tensors[i] = (struct tensor){ t->type, constant ? t->data : NULL };
        o->index[i] = t->type.dtype == DT_NONE ? -1 : o->n_values++;
        if (o->index[i] < 0) continue;
        o->values[o->index[i]] = (struct seg_value){ .name = call->node,
                                                     .type = t->type,
                                                     .data = o->tensors[i].data,
                                                     .role = constant ? SEG_CONST
                                                             : input  ? SEG_INPUT
                                                                      : SEG_OUTPUT };
    }
    return ST_OK;
}

/* A tensor's elements where the operator can read them as it runs: a copy where they lie
 * misaligned.
 */
static status align_tensor(enum op_kind op, int input, struct tensor *t, struct arena *a,
                           struct err *err)
{
    size_t bytes;

    if (!t->data || op_runs_misaligned(op, input) ||
        (uintptr_t)t->data % dtype_align(t->type.dtype) == 0)
        return ST_OK;
    t->data = type_bytes(&t->type, &bytes) ? arena_memdup(a, t->data, bytes) : NULL;
    return t->data ? ST_OK : FAIL(err, ST_NOMEM, "out of memory");
}

/* Constants that prepare did not pack. */
static status align_constants(struct node_run *r, const struct op_call *call, struct one_node *o,
                              struct err *err)
{
    if (r->prepared) return ST_OK;
    arena_reset(&r->aligned);
    for (int i = 0; i < call->n_in; i++) {
        TRY(align_tensor(call->op, i, &o->tensors[i], &r->aligned, err));
        if (o->index[i] >= 0) o->values[o->index[i]].data = o->tensors[i].data;
    }
    return ST_OK;
}

static status compile_call(struct node_run *r, const struct op_call *call, const bool *is_const,
                           struct err *err)
{
    struct arena a = { 0 };
    struct one_node o;
    struct seg_node node = { .call = *call };
    struct segment seg = { .nodes = &node, .n_nodes = 1 };
    status st = one_node_init(&o, call, is_const, &a, err);

    if (st != ST_OK) goto out;
    node.in = o.index;
    node.out = o.index + call->n_in;
    node.call.in = o.tensors;
    node.call.out = o.tensors + call->n_in;
    seg.values = o.values;
    seg.n_values = o.n_values;
    if (!r->be->ops->supports(r->be, &node.call)) {
        st = FAIL(err, ST_UNSUPPORTED, "%s: %s has no kernel for these types on %s", call->node,
                  op_row(call->op)->name, r->be->ops->name);
        goto out;
    }
    if (!r->tried_prepare) st = r->be->ops->prepare(r->be, &node.call, &r->prepared, err);
    if (st != ST_OK) goto out;
    r->tried_prepare = true;
    node.call.packed = NULL; /* the program outlives it */
    st = align_constants(r, call, &o, err);
    if (st != ST_OK) goto out;
    node.prepared = r->prepared;
    st = r->be->ops->compile(r->be, &seg, &r->program, err);
out:
    arena_fini(&a);
    return st;
}

static status remember_types(struct node_run *r, const struct op_call *call, struct err *err)
{
    const size_t n = (size_t)(call->n_in + call->n_out);

    mem_free(r->types);
    r->types = mem_calloc(n + 1, sizeof *r->types);
    if (!r->types) return FAIL(err, ST_NOMEM, "%s: out of memory", call->node);
    for (int i = 0; i < call->n_in; i++) r->types[i] = call->in[i].type;
    for (int i = 0; i < call->n_out; i++) r->types[call->n_in + i] = call->out[i].type;
    return ST_OK;
}

enum { BIND_MAX = 64 };

static status run_program(struct node_run *r, const struct op_call *call, const bool *is_const,
                          struct err *err)
{
    struct binding small[BIND_MAX], *b = small;
    struct step step = { .n_tokens = 0 };
    const int n = call->n_in + call->n_out;

    if (n > BIND_MAX) b = mem_calloc((size_t)n, sizeof *b);
    if (!b) return FAIL(err, ST_NOMEM, "%s: out of memory", call->node);
    for (int i = 0, value = 0; i < n; i++) {
        const bool input = i < call->n_in;
        const struct tensor *t = input ? &call->in[i] : &call->out[i - call->n_in];

        if (t->type.dtype == DT_NONE) continue;
        if (!input || !is_const || !is_const[i])
            b[step.n_bindings++] = (struct binding){ .value = value, .tensor = *t };
        value++;
    }
    step.bindings = b;
    const status st = r->be->ops->execute(r->be, r->program, &step, err);
    if (b != small) mem_free(b);
    return st;
}

status node_run_execute(struct node_run *r, const struct op_call *call, const bool *is_const,
                        struct err *err)
{
    if (r->program && !types_match(r, call)) {
        r->be->ops->discard(r->be, r->program);
        r->program = NULL;
    }
    if (!r->program) {
        TRY(remember_types(r, call, err));
        TRY(compile_call(r, call, is_const, err));
    }
    return run_program(r, call, is_const, err);
}

status node_run_once(struct backend *be, struct op_call *call, struct arena *a, struct err *err)
{
    struct node_run r = { .be = be };
    struct arena scratch = { 0 };
    struct op_call aligned;
    status st = op_row(call->op)->infer(call, err);

    for (int i = 0; st == ST_OK && i < call->n_out; i++) {
        size_t bytes = 0;
        if (call->out[i].type.dtype == DT_NONE) continue;
        if (!type_bytes(&call->out[i].type, &bytes))
            st = FAIL(err, ST_UNSUPPORTED, "%s: output %d has no known size", call->node, i);
        else if (!(call->out[i].data = arena_alloc(a, bytes ? bytes : 1)))
            st = FAIL(err, ST_NOMEM, "%s: out of memory", call->node);
    }
    aligned = *call;
    if (call->n_in > 0)
        aligned.in = arena_memdup(&scratch, call->in, (size_t)call->n_in * sizeof *call->in);
    if (st == ST_OK && !aligned.in) st = FAIL(err, ST_NOMEM, "%s: out of memory", call->node);
    for (int i = 0; st == ST_OK && i < call->n_in; i++)
        st = align_tensor(call->op, i, &aligned.in[i], &scratch, err);
    if (st == ST_OK) st = node_run_execute(&r, &aligned, NULL, err);
    node_run_fini(&r);
    arena_fini(&scratch);
    return st;
}
