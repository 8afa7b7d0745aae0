/* SPDX-License-Identifier: MIT */
#include "tests/conformance/helper_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

struct reader {
    const char *p, *end;
    struct arena *arena;
    const char *file;
};

static const void *take(struct reader *r, size_t n)
{
    if ((size_t)(r->end - r->p) < n) {
        fprintf(stderr, "%s: truncated\n", r->file);
        exit(1);
    }
    const void *p = r->p;
    r->p += n;
    return p;
}

static void number(struct reader *r, void *out, size_t size) { memcpy(out, take(r, size), size); }

static uint32_t u32(struct reader *r)
{
    uint32_t v;
    number(r, &v, sizeof v);
    return v;
}

static const char *string(struct reader *r)
{
    uint16_t n;
    number(r, &n, sizeof n);
    return arena_strndup(r->arena, take(r, n), n);
}

static struct case_tensor tensor(struct reader *r)
{
    struct case_tensor x = { .tensor.type.dtype = DT_NONE };
    uint8_t head[3];

    number(r, head, sizeof head);
    x.tensor.type.dtype = head[0];
    x.is_const = head[1] != 0;
    x.tensor.type.ndim = head[2];
    for (int d = 0; d < head[2]; d++) number(r, &x.tensor.type.dim[d], sizeof(int64_t));
    const uint32_t n = u32(r);
    x.tensor.data =
        arena_memdup(r->arena, take(r, n), n + 1); /* +1: empty tensors have memory too */
    return x;
}

static void attr(struct reader *r, struct attr *a)
{
    uint8_t type;

    memset(a, 0, sizeof *a);
    a->name = string(r);
    number(r, &type, sizeof type);
    a->type = (enum attr_type)type;
    switch (a->type) {
    case ATTR_INT: number(r, &a->i, sizeof a->i); break;
    case ATTR_FLOAT: number(r, &a->f, sizeof a->f); break;
    case ATTR_STRING:
        a->s = string(r);
        a->s_len = strlen(a->s);
        break;
    case ATTR_TENSOR: a->tensor = tensor(r).tensor; break;
    case ATTR_INTS:
        a->ints.n = (int)u32(r);
        a->ints.v = arena_memdup(r->arena, take(r, (size_t)a->ints.n * 8), (size_t)a->ints.n * 8);
        break;
    default:
        a->floats.n = (int)u32(r);
        a->floats.v =
            arena_memdup(r->arena, take(r, (size_t)a->floats.n * 4), (size_t)a->floats.n * 4);
    }
}

static const struct case_tensor *tensors(struct reader *r, int *n, struct tensor **list)
{
    *n = (int)u32(r);
    struct case_tensor *x = ARENA_ARRAY(r->arena, (size_t)*n + 1, struct case_tensor);
    *list = ARENA_ARRAY(r->arena, (size_t)*n + 1, struct tensor);
    for (int i = 0; i < *n; i++) {
        x[i] = tensor(r);
        (*list)[i].type = x[i].tensor.type;
        if (x[i].is_const) (*list)[i].data = x[i].tensor.data;
    }
    return x;
}

static void one_case(struct reader *r, struct op_case *c)
{
    struct err err = { 0 };
    int32_t version;

    c->name = string(r);
    const char *domain = string(r), *op = string(r);
    number(r, &version, sizeof version);
    number(r, &c->abs_tol, sizeof c->abs_tol);
    number(r, &c->rel_tol, sizeof c->rel_tol);
    const int n_attrs = (int)u32(r);
    struct attr *attrs = ARENA_ARRAY(r->arena, (size_t)n_attrs + 1, struct attr);
    for (int i = 0; i < n_attrs; i++) attr(r, &attrs[i]);
    c->call.op = op_find(domain, op, version);
    c->call.version = version;
    c->call.node = c->name;
    if (c->call.op == OP_NONE ||
        op_attrs_read(c->call.op, attrs, n_attrs, &c->call.attr, &err) != ST_OK) {
        fprintf(stderr, "%s: %s %s: %s\n", r->file, c->name, op, err.text);
        exit(1);
    }
    c->in = tensors(r, &c->call.n_in, &c->call.in);
    c->out = tensors(r, &c->call.n_out, &c->call.out);
}

void cases_open(struct case_file *f, const char *theme)
{
    struct err err = { 0 };
    char path[512], *data;
    size_t n;

    memset(f, 0, sizeof *f);
    snprintf(path, sizeof path, "%s/tests/fixtures/ops/%s.bin", CUPOLA_SOURCE_DIR, theme);
    if (os_read_file(path, 0, &data, &n, &err) != ST_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    struct reader r = { data, data + n, &f->arena, path };
    if (memcmp(take(&r, 8), "CUPOPS1", 8) != 0) exit(1);
    f->n = u32(&r);
    f->cases = ARENA_ARRAY(&f->arena, f->n + 1, struct op_case);
    for (size_t i = 0; i < f->n; i++) one_case(&r, &f->cases[i]);
    mem_free(data);
}

void cases_close(struct case_file *f) { arena_fini(&f->arena); }

/* ---- running ---- */

static size_t bytes_of(const struct tensor_type *t)
{
    size_t n = 0;
    return type_bytes(t, &n) ? n : 0;
}

status case_outputs(struct backend *be, const struct op_case *c, struct arena *a, void **out,
                    struct err *err)
{
    const int n_in = c->call.n_in, n_out = c->call.n_out, n = n_in + n_out;
    struct seg_value *values = ARENA_ARRAY(a, (size_t)n + 1, struct seg_value);
    struct binding *bindings = ARENA_ARRAY(a, (size_t)n + 1, struct binding);
    int *index = ARENA_ARRAY(a, (size_t)n + 1, int);
    int n_bindings = 0;

    for (int i = 0; i < n; i++) {
        const struct case_tensor *x = i < n_in ? &c->in[i] : &c->out[i - n_in];
        struct tensor t = x->tensor;

        index[i] = t.type.dtype == DT_NONE ? -1 : i;
        values[i] = (struct seg_value){ .name = c->name, .type = t.type };
        values[i].role = i >= n_in ? SEG_OUTPUT : x->is_const ? SEG_CONST : SEG_INPUT;
        if (index[i] < 0) values[i].role = SEG_TEMP;
        if (values[i].role == SEG_CONST) values[i].data = t.data;
        if (i >= n_in && index[i] >= 0) {
            t.data = out[i - n_in] = arena_alloc(a, bytes_of(&t.type) + 1);
            memset(t.data, 0xcd, bytes_of(&t.type)); /* what is not written shows */
        }
        if (index[i] >= 0 && values[i].role != SEG_CONST)
            bindings[n_bindings++] = (struct binding){ i, t };
        if (index[i] < 0) values[i].type = (struct tensor_type){ .dtype = DT_U8 };
    }
    for (int i = 0; i < n_in; i++)
        c->call.in[i].data = c->in[i].is_const ? c->in[i].tensor.data : NULL;
    const struct seg_node node = { .call = c->call, .in = index, .out = index + n_in };
    const struct segment seg = { .values = values, .n_values = n, .nodes = &node, .n_nodes = 1 };
    const struct step step = { .bindings = bindings, .n_bindings = n_bindings };
    struct program *p;

    TRY(be->ops->compile(be, &seg, &p, err));
    const status st = be->ops->execute(be, p, &step, err);
    be->ops->discard(be, p);
    return st;
}

/* ---- comparing ---- */

static double value_at(const struct tensor *x, size_t i)
{
    switch (x->type.dtype) {
    case DT_F32: return (double)((const float *)x->data)[i];
    case DT_F64: return ((const double *)x->data)[i];
    case DT_F16: return (double)half_to_f32(((const uint16_t *)x->data)[i]);
    case DT_BF16: return (double)bf16_to_f32(((const uint16_t *)x->data)[i]);
    default: return 0;
    }
}

static bool same_floats(const struct op_case *c, int o, const struct tensor *want,
                        const struct tensor *got)
{
    size_t n = 0;

    type_elements(&want->type, &n);
    for (size_t i = 0; i < n; i++) {
        const double w = value_at(want, i), g = value_at(got, i);
        const bool same = w == g || (isnan(w) && isnan(g)) ||
                          fabs(w - g) <= (double)c->abs_tol + (double)c->rel_tol * fabs(w);

        if (same) continue;
        fprintf(stderr, "%s: output %d element %zu: %.9g, expected %.9g\n", c->name, o, i, g, w);
        return false;
    }
    return true;
}

bool case_run(struct backend *be, const struct op_case *c)
{
    struct arena a = { 0 };
    struct err err = { 0 };
    void *out[8] = { NULL };
    bool ok = true;

    if (case_outputs(be, c, &a, out, &err) != ST_OK) {
        fprintf(stderr, "%s: %s\n", c->name, err.text);
        ok = false;
    }
    for (int i = 0; ok && i < c->call.n_out; i++) {
        const struct tensor *want = &c->out[i].tensor;
        const struct tensor got = { want->type, out[i] };

        if (want->type.dtype == DT_NONE) continue;
        if (dtype_is_float(want->type.dtype)) {
            ok = same_floats(c, i, want, &got);
        } else if (memcmp(got.data, want->data, bytes_of(&want->type)) != 0) {
            fprintf(stderr, "%s: output %d differs\n", c->name, i);
            ok = false;
        }
    }
    arena_fini(&a);
    return ok;
}
