/* SPDX-License-Identifier: MIT */
/* Every node runs on two backends and its outputs are compared.
 *
 * The reference runs first, on the inputs that the backend within has made, and writes to memory of
 * its own; then the backend within runs. So an error is found in the node that makes it, and what
 * attention keeps in the cache is what the backend within has put there. */
#include "backends/decorate/split.h"
#include <math.h>
#include <pthread.h>
#include <string.h>

/* Of the largest number in the reference's output: kernels may sum in any order, and with products
 * of bf16 or of 8-bit activations; what is stored as fp16 or bf16 is rounded besides. A wrong
 * kernel is off by far more. */
#define MIRROR_TOLERANCE 0x1p-7

struct mirror_prepared {
    struct prepared head; /* first */
    struct prepared *inner, *reference;
};

struct mirror_program {
    struct split inner, reference;
};

struct mirror_sum {
    uint64_t runs;
    double largest; /* difference, of the largest number */
};

struct mirror {
    struct backend head; /* first */
    struct backend *inner, *reference;
    pthread_mutex_t lock; /* guards the sums */
    struct mirror_sum by_op[OP_COUNT];
};

static struct backend *inner_of(const struct backend *be)
{
    return ((const struct mirror *)be)->inner;
}

/* ---- passed on ---- */

static status mirror_open(struct backend **out, const struct backend_config *cfg, struct err *err)
{
    (void)cfg;
    *out = NULL;
    return FAIL(err, ST_UNSUPPORTED, "mirror: is put around open backends");
}

static void mirror_close(struct backend *be)
{
    struct mirror *m = (struct mirror *)be;

    if (!m) return;
    m->inner->ops->close(m->inner);
    m->reference->ops->close(m->reference);
    pthread_mutex_destroy(&m->lock);
    mem_free(m);
}

static status mirror_alloc(struct backend *be, size_t size, struct buffer *out, struct err *err)
{
    TRY(inner_of(be)->ops->alloc(inner_of(be), size, out, err));
    if (out->host) return ST_OK;
    inner_of(be)->ops->free(inner_of(be), out);
    return FAIL(err, ST_UNSUPPORTED, "mirror: memory of %s has no host address",
                inner_of(be)->ops->name);
}

static void mirror_free(struct backend *be, struct buffer *buf)
{
    inner_of(be)->ops->free(inner_of(be), buf);
}

static status mirror_write(struct backend *be, struct view dst, const void *src, size_t n,
                           struct err *err)
{
    return inner_of(be)->ops->write(inner_of(be), dst, src, n, err);
}

static status mirror_read(struct backend *be, void *dst, struct view src, size_t n, struct err *err)
{
    return inner_of(be)->ops->read(inner_of(be), dst, src, n, err);
}

static bool mirror_supports(const struct backend *be, const struct op_call *call)
{
    const struct backend *reference = ((const struct mirror *)be)->reference;

    return inner_of(be)->ops->supports(inner_of(be), call) &&
           reference->ops->supports(reference, call);
}

static status mirror_sync(struct backend *be, struct err *err)
{
    return inner_of(be)->ops->sync(inner_of(be), err);
}

/* ---- nodes ---- */

static void mirror_release(struct backend *be, struct prepared *prepared)
{
    struct mirror *m = (struct mirror *)be;
    struct mirror_prepared *p = (struct mirror_prepared *)(void *)prepared;

    if (!p) return;
    m->inner->ops->release(m->inner, p->inner);
    m->reference->ops->release(m->reference, p->reference);
    mem_free(p);
}

static status mirror_prepare(struct backend *be, const struct op_call *call, struct prepared **out,
                             struct err *err)
{
    struct mirror *m = (struct mirror *)be;
    struct mirror_prepared *p = mem_calloc(1, sizeof *p);

    *out = NULL;
    if (!p) return FAIL(err, ST_NOMEM, "out of memory");
    struct op_call first = *call;

    first.packed = NULL; /* the reference reads the constants once more */
    status st = m->inner->ops->prepare(m->inner, &first, &p->inner, err);
    if (st == ST_OK) st = m->reference->ops->prepare(m->reference, call, &p->reference, err);
    *out = &p->head;
    p->head.bytes = (p->inner ? p->inner->bytes : 0) + (p->reference ? p->reference->bytes : 0);
    if (st == ST_OK) return ST_OK;
    mirror_release(be, *out);
    *out = NULL;
    return st;
}

/* ---- programs ---- */

/* One side of the program; of the reference the segment's outputs go to memory of its own. */
static status open_side(struct split *s, struct backend *be, const struct segment *seg,
                        bool reference, struct err *err)
{
    struct arena a = { 0 };
    struct segment side = *seg;
    struct seg_value *values = ARENA_ARRAY(&a, (size_t)seg->n_values + 1, struct seg_value);
    struct prepared **prepared = ARENA_ARRAY(&a, (size_t)seg->n_nodes + 1, struct prepared *);
    status st = values && prepared ? ST_OK : FAIL(err, ST_NOMEM, "out of memory");

    for (int i = 0; st == ST_OK && i < seg->n_values; i++) {
        values[i] = seg->values[i];
        if (reference && values[i].role == SEG_OUTPUT) values[i].role = SEG_TEMP;
    }
    for (int i = 0; st == ST_OK && i < seg->n_nodes; i++) {
        const struct mirror_prepared *p = (const void *)seg->nodes[i].prepared;
        prepared[i] = !p ? NULL : reference ? p->reference : p->inner;
    }
    side.values = values;
    if (st == ST_OK) st = split_open(s, be, &side, prepared, err);
    arena_fini(&a);
    return st;
}

static void mirror_discard(struct backend *be, struct program *prog)
{
    struct mirror_program *p = (struct mirror_program *)(void *)prog;

    (void)be;
    if (!p) return;
    split_fini(&p->inner);
    split_fini(&p->reference);
    mem_free(p);
}

static status mirror_compile(struct backend *be, const struct segment *seg, struct program **out,
                             struct err *err)
{
    struct mirror *m = (struct mirror *)be;
    struct mirror_program *p = mem_calloc(1, sizeof *p);

    *out = NULL;
    if (!p) return FAIL(err, ST_NOMEM, "out of memory");
    status st = open_side(&p->inner, m->inner, seg, false, err);
    if (st == ST_OK) st = open_side(&p->reference, m->reference, seg, true, err);
    if (st != ST_OK) {
        mirror_discard(be, (struct program *)(void *)p);
        return st;
    }
    *out = (struct program *)(void *)p;
    return ST_OK;
}

/* ---- comparison ---- */

static bool is_float(enum dtype dt)
{
    return dt == DT_F32 || dt == DT_F64 || dt == DT_F16 || dt == DT_BF16;
}

static double element(enum dtype dt, const void *data, size_t i)
{
    switch (dt) {
    case DT_F64: return ((const double *)data)[i];
    case DT_F16: return (double)half_to_f32(((const uint16_t *)data)[i]);
    case DT_BF16: return (double)bf16_to_f32(((const uint16_t *)data)[i]);
    default: return (double)((const float *)data)[i];
    }
}

struct difference {
    double largest; /* of the largest number of the reference */
    size_t at;      /* where it is */
};

static struct difference compare_floats(enum dtype dt, size_t n, const void *got, const void *want)
{
    struct difference d = { 0 };
    double scale = 0, worst = 0;

    for (size_t i = 0; i < n; i++) {
        const double w = element(dt, want, i), g = element(dt, got, i);

        if (isfinite(w) && fabs(w) > scale) scale = fabs(w);
        const bool same = g == w || (isnan(g) && isnan(w));
        const double off = same ? 0 : isfinite(g) && isfinite(w) ? fabs(g - w) : INFINITY;
        if (off > worst) worst = off, d.at = i;
    }
    d.largest = worst == 0 ? 0 : scale > 0 ? worst / scale : INFINITY;
    return d;
}

static struct difference compare_bytes(size_t n, size_t bytes, const char *got, const char *want)
{
    size_t at = 0;

    while (at < bytes && got[at] == want[at]) at++;
    return at < bytes ? (struct difference){ INFINITY, n ? at / (bytes / n) : 0 }
                      : (struct difference){ 0 };
}

static status compare_output(const struct mirror_program *p, int node, int value,
                             const struct step *step, double *largest, struct err *err)
{
    const struct split *s = &p->inner;
    const struct tensor_type t = split_type(&s->values[value].type, step);
    const void *got = s->data[value], *want = p->reference.data[value];
    struct difference d = { 0 };
    size_t n, bytes;

    if (!type_span(&t, 0, t.ndim, &n) || !type_bytes(&t, &bytes) || bytes == 0) return ST_OK;
    d = is_float(t.dtype) ? compare_floats(t.dtype, n, got, want)
                          : compare_bytes(n, bytes, got, want);
    if (d.largest > *largest) *largest = d.largest;
    if (d.largest <= MIRROR_TOLERANCE) return ST_OK;
    if (!is_float(t.dtype))
        return FAIL(err, ST_INTERNAL, "%s (%s): element %zu is not the reference's",
                    s->nodes[node].name, op_name(s->nodes[node].op), d.at);
    return FAIL(err, ST_INTERNAL,
                "%s (%s): element %zu is %.9g, the reference's %.9g: %.3g of the largest (at most "
                "%.3g)",
                s->nodes[node].name, op_name(s->nodes[node].op), d.at, element(t.dtype, got, d.at),
                element(t.dtype, want, d.at), d.largest, MIRROR_TOLERANCE);
}

/* The sequences' states into `out`, or back out of it. */
static status copy_states(struct backend *be, const struct step *step, char *at, bool back,
                          struct err *err)
{
    for (int i = 0; i < step->n_seqs; i++) {
        const struct buffer *state = step->seqs[i].state;
        const struct view v = { (struct buffer *)(uintptr_t)state, 0 };

        if (!state) continue; /* the backend will say so */
        TRY(back ? be->ops->write(be, v, at, state->size, err)
                 : be->ops->read(be, at, v, state->size, err));
        at += state->size;
    }
    return ST_OK;
}

/* The reference moves states on, too, from the same ones: what it leaves there is put back. */
static status run_reference(struct mirror *m, struct mirror_program *p, int node,
                            const struct step *step, struct err *err)
{
    const enum op_kind op = p->inner.nodes[node].op;
    const bool keeps = op == OP_SEQCONV || op == OP_SEQLINATTN;
    size_t bytes = 0;
    char *saved = NULL;
    status st = ST_OK;

    for (int i = 0; keeps && i < step->n_seqs; i++)
        bytes += step->seqs[i].state ? step->seqs[i].state->size : 0;
    if (bytes > 0 && !(saved = mem_alloc(bytes))) return FAIL(err, ST_NOMEM, "out of memory");
    if (saved) st = copy_states(m->inner, step, saved, false, err);
    if (st == ST_OK)
        st = split_run(&p->reference, node, step, p->inner.data, p->reference.data, err);
    if (st == ST_OK) st = m->reference->ops->sync(m->reference, err);
    if (st == ST_OK && saved) st = copy_states(m->inner, step, saved, true, err);
    mem_free(saved);
    return st;
}

static status run_node(struct mirror *m, struct mirror_program *p, int node,
                       const struct step *step, struct err *err)
{
    struct split *s = &p->inner;
    const struct split_node *n = &s->nodes[node];
    double largest = 0;
    status st;

    TRY(run_reference(m, p, node, step, err));
    TRY(split_run(s, node, step, s->data, s->data, err));
    TRY(m->inner->ops->sync(m->inner, err));
    st = ST_OK;
    for (int i = n->n_in; st == ST_OK && i < n->n_in + n->n_out; i++)
        st = compare_output(p, node, n->operands[i], step, &largest, err);
    pthread_mutex_lock(&m->lock);
    m->by_op[n->op].runs++;
    if (largest > m->by_op[n->op].largest) m->by_op[n->op].largest = largest;
    pthread_mutex_unlock(&m->lock);
    return st;
}

static status mirror_execute(struct backend *be, struct program *prog, const struct step *step,
                             struct err *err)
{
    struct mirror_program *p = (struct mirror_program *)(void *)prog;
    const struct step unbound = { 0 };

    TRY(split_begin(&p->inner, step, err));
    TRY(split_begin(&p->reference, &unbound, err));
    for (int i = 0; i < p->inner.n_nodes; i++) TRY(run_node((struct mirror *)be, p, i, step, err));
    return ST_OK;
}

static const struct backend_ops mirror_ops = {
    .name = "mirror",
    .open = mirror_open,
    .close = mirror_close,
    .alloc = mirror_alloc,
    .free = mirror_free,
    .write = mirror_write,
    .read = mirror_read,
    .supports = mirror_supports,
    .prepare = mirror_prepare,
    .release = mirror_release,
    .compile = mirror_compile,
    .execute = mirror_execute,
    .sync = mirror_sync,
    .discard = mirror_discard,
};

status backend_mirror_wrap(struct backend **out, struct backend *inner, struct backend *reference,
                           struct err *err)
{
    struct mirror *m = mem_calloc(1, sizeof *m);

    *out = NULL;
    if (!m) return FAIL(err, ST_NOMEM, "out of memory");
    m->head.ops = &mirror_ops;
    m->inner = inner;
    m->reference = reference;
    pthread_mutex_init(&m->lock, NULL);
    *out = &m->head;
    return ST_OK;
}

status backend_mirror_print(struct backend *be, bool json, struct str *out, struct err *err)
{
    struct mirror *m = (struct mirror *)be;

    if (be->ops != &mirror_ops) return FAIL(err, ST_INVALID, "%s: no mirror", be->ops->name);
    pthread_mutex_lock(&m->lock);
    if (!json) str_printf(out, "%-48s %8s  %s\n", "operator", "runs", "largest difference");
    for (int op = 0; op < OP_COUNT; op++) {
        struct mirror_sum *s = &m->by_op[op];
        if (s->runs == 0) continue;
        str_printf(out,
                   json ? "{\"op\":\"%s\",\"runs\":%llu,\"largest_difference\":%.3g}\n"
                        : "%-48s %8llu  %.3g\n",
                   op_name((enum op_kind)op), (unsigned long long)s->runs,
                   isfinite(s->largest) ? s->largest : 1e308);
        *s = (struct mirror_sum){ 0 };
    }
    pthread_mutex_unlock(&m->lock);
    return ST_OK;
}
