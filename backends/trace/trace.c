/* SPDX-License-Identifier: MIT */
/* Every node is a program of its own on the backend within, and the clock is read around it. */
#include "backends/decorate/node_cost.h"
#include "backends/decorate/split.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct trace_sum {
    uint64_t runs, ns;
    double bytes, ops;
    double ideal_s; /* what the roofline would take; filled when printed */
};

struct trace_node {
    struct node_cost cost;
    struct trace_sum sum;
};

struct trace_program {
    struct split split;
    struct trace_node *nodes; /* [split.n_nodes] in the split's arena */
    struct trace_program *prev, *next;
};

struct trace {
    struct backend head; /* first */
    struct backend *inner;
    pthread_mutex_t lock;             /* guards the list and the sums */
    struct trace_program *programs;   /* that are alive */
    struct trace_sum by_op[OP_COUNT]; /* of programs that are gone */
};

static struct backend *inner_of(const struct backend *be)
{
    return ((const struct trace *)be)->inner;
}

/* ---- passed on ---- */

static status trace_open(struct backend **out, const struct backend_config *cfg, struct err *err)
{
    (void)cfg;
    *out = NULL;
    return FAIL(err, ST_UNSUPPORTED, "trace: is put around an open backend");
}

static status trace_alloc(struct backend *be, size_t size, struct buffer *out, struct err *err)
{
    return inner_of(be)->ops->alloc(inner_of(be), size, out, err);
}

static void trace_free(struct backend *be, struct buffer *buf)
{
    inner_of(be)->ops->free(inner_of(be), buf);
}

static status trace_write(struct backend *be, struct view dst, const void *src, size_t n,
                          struct err *err)
{
    return inner_of(be)->ops->write(inner_of(be), dst, src, n, err);
}

static status trace_read(struct backend *be, void *dst, struct view src, size_t n, struct err *err)
{
    return inner_of(be)->ops->read(inner_of(be), dst, src, n, err);
}

static bool trace_supports(const struct backend *be, const struct op_call *call)
{
    return inner_of(be)->ops->supports(inner_of(be), call);
}

static status trace_prepare(struct backend *be, const struct op_call *call, struct prepared **out,
                            struct err *err)
{
    return inner_of(be)->ops->prepare(inner_of(be), call, out, err);
}

static void trace_release(struct backend *be, struct prepared *p)
{
    inner_of(be)->ops->release(inner_of(be), p);
}

static status trace_sync(struct backend *be, struct err *err)
{
    return inner_of(be)->ops->sync(inner_of(be), err);
}

/* ---- programs ---- */

static status fill_program(struct trace_program *p, struct backend *inner,
                           const struct segment *seg, struct err *err)
{
    struct arena a = { 0 };
    struct prepared **prepared = ARENA_ARRAY(&a, (size_t)seg->n_nodes + 1, struct prepared *);
    status st = prepared ? ST_OK : FAIL(err, ST_NOMEM, "out of memory");

    for (int i = 0; st == ST_OK && i < seg->n_nodes; i++) prepared[i] = seg->nodes[i].prepared;
    if (st == ST_OK) st = split_open(&p->split, inner, seg, prepared, err);
    arena_fini(&a);
    TRY(st);
    p->nodes = ARENA_ARRAY(&p->split.arena, (size_t)seg->n_nodes + 1, struct trace_node);
    if (!p->nodes) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < seg->n_nodes; i++)
        TRY(node_cost_init(&p->nodes[i].cost, seg, &seg->nodes[i], &p->split.arena, err));
    return ST_OK;
}

static status trace_compile(struct backend *be, const struct segment *seg, struct program **out,
                            struct err *err)
{
    struct trace *t = (struct trace *)be;
    struct trace_program *p = mem_calloc(1, sizeof *p);

    *out = NULL;
    if (!p) return FAIL(err, ST_NOMEM, "out of memory");
    const status st = fill_program(p, t->inner, seg, err);
    if (st != ST_OK) {
        split_fini(&p->split);
        mem_free(p);
        return st;
    }
    pthread_mutex_lock(&t->lock);
    p->next = t->programs;
    if (p->next) p->next->prev = p;
    t->programs = p;
    pthread_mutex_unlock(&t->lock);
    *out = (struct program *)(void *)p;
    return ST_OK;
}

static void add_sum(struct trace_sum *to, const struct trace_sum *s)
{
    to->runs += s->runs;
    to->ns += s->ns;
    to->bytes += s->bytes;
    to->ops += s->ops;
    to->ideal_s += s->ideal_s;
}

static void trace_discard(struct backend *be, struct program *prog)
{
    struct trace *t = (struct trace *)be;
    struct trace_program *p = (struct trace_program *)(void *)prog;

    if (!p) return;
    pthread_mutex_lock(&t->lock);
    if (p->next) p->next->prev = p->prev;
    if (p->prev)
        p->prev->next = p->next;
    else
        t->programs = p->next;
    for (int i = 0; i < p->split.n_nodes; i++)
        add_sum(&t->by_op[p->split.nodes[i].op], &p->nodes[i].sum);
    pthread_mutex_unlock(&t->lock);
    split_fini(&p->split);
    mem_free(p);
}

static status trace_execute(struct backend *be, struct program *prog, const struct step *step,
                            struct err *err)
{
    struct trace *t = (struct trace *)be;
    struct trace_program *p = (struct trace_program *)(void *)prog;
    struct split *s = &p->split;

    TRY(split_begin(s, step, err));
    for (int i = 0; i < s->n_nodes; i++) {
        struct trace_sum one = { .runs = 1 };
        const uint64_t start = os_now_ns();

        TRY(split_run(s, i, step, s->data, s->data, err));
        TRY(t->inner->ops->sync(t->inner, err));
        one.ns = os_now_ns() - start;
        node_cost_run(&p->nodes[i].cost, step, s->data, &one.bytes, &one.ops);
        pthread_mutex_lock(&t->lock);
        add_sum(&p->nodes[i].sum, &one);
        pthread_mutex_unlock(&t->lock);
    }
    return ST_OK;
}

static void trace_close(struct backend *be)
{
    struct trace *t = (struct trace *)be;

    if (!t) return;
    t->inner->ops->close(t->inner);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static const struct backend_ops trace_ops = {
    .name = "trace",
    .open = trace_open,
    .close = trace_close,
    .alloc = trace_alloc,
    .free = trace_free,
    .write = trace_write,
    .read = trace_read,
    .supports = trace_supports,
    .prepare = trace_prepare,
    .release = trace_release,
    .compile = trace_compile,
    .execute = trace_execute,
    .sync = trace_sync,
    .discard = trace_discard,
};

status backend_trace_wrap(struct backend **out, struct backend *inner, struct err *err)
{
    struct trace *t = mem_calloc(1, sizeof *t);

    *out = NULL;
    if (!t) return FAIL(err, ST_NOMEM, "out of memory");
    t->head.ops = &trace_ops;
    t->inner = inner;
    pthread_mutex_init(&t->lock, NULL);
    *out = &t->head;
    return ST_OK;
}

/* ---- the report ---- */

/* Seconds that the machine needs at least: it moves bytes and computes at the same time. */
static double ideal_seconds(const struct node_cost *c, const struct trace_sum *s,
                            const struct backend_roofline *roof)
{
    const double rate = c->int8 ? roof->int8_ops : roof->f32_flops;
    const double moving = roof->read_bytes_per_s > 0 ? s->bytes / roof->read_bytes_per_s : 0;
    const double computing = rate > 0 ? s->ops / rate : 0;

    return moving > computing ? moving : computing;
}

/* A line of the report. */
struct trace_line {
    const char *op, *node; /* node NULL: all of the operator */
    struct trace_sum sum;
};

static int by_time(const void *a, const void *b)
{
    const uint64_t x = ((const struct trace_line *)a)->sum.ns,
                   y = ((const struct trace_line *)b)->sum.ns;
    return (x < y) - (x > y);
}

static void print_line(const struct trace_line *l, uint64_t total_ns, bool json, struct str *out)
{
    const double seconds = (double)l->sum.ns / 1e9;
    const double share = total_ns ? 100 * (double)l->sum.ns / (double)total_ns : 0;
    const double roof = seconds > 0 ? 100 * l->sum.ideal_s / seconds : 0;
    const double gb = seconds > 0 ? l->sum.bytes / seconds / 1e9 : 0;
    const double gop = seconds > 0 ? l->sum.ops / seconds / 1e9 : 0;

    if (!json) {
        str_printf(out, "%-48s %8llu %10.3f %6.1f %9.2f %9.1f %8.1f  %s\n", l->op,
                   (unsigned long long)l->sum.runs, seconds * 1e3, share, gb, gop, roof,
                   l->node ? l->node : "");
        return;
    }
    str_printf(out, "{\"op\":\"%s\"", l->op);
    if (l->node) {
        str_put(out, ",\"node\":");
        str_put_json(out, l->node, strlen(l->node));
    }
    str_printf(out, ",\"runs\":%llu,\"seconds\":%.9f,\"share\":%.4f,\"bytes\":%.0f,\"ops\":%.0f",
               (unsigned long long)l->sum.runs, seconds, share / 100, l->sum.bytes, l->sum.ops);
    str_printf(out, ",\"roofline_share\":%.4f}\n", roof / 100);
}

static void print_lines(struct trace_line *lines, size_t n, size_t n_max, uint64_t total_ns,
                        bool json, struct str *out)
{
    qsort(lines, n, sizeof *lines, by_time);
    if (!json)
        str_printf(out, "%-48s %8s %10s %6s %9s %9s %8s\n", "operator", "runs", "ms", "%", "GB/s",
                   "Gop/s", "% roof");
    for (size_t i = 0; i < n && i < n_max && lines[i].sum.runs > 0; i++)
        print_line(&lines[i], total_ns, json, out);
}

enum { TRACE_NODES_SHOWN = 12 };

/* Sums by operator into ops [OP_COUNT], a line per node into nodes; counts begin anew. */
static uint64_t collect(struct trace *t, const struct backend_roofline *roof,
                        struct trace_line *ops, struct trace_line *nodes)
{
    uint64_t total = 0;

    for (int op = 0; op < OP_COUNT; op++) {
        ops[op] = (struct trace_line){ .op = op_name((enum op_kind)op), .sum = t->by_op[op] };
        total += t->by_op[op].ns;
        t->by_op[op] = (struct trace_sum){ 0 };
    }
    for (struct trace_program *p = t->programs; p; p = p->next)
        for (int i = 0; i < p->split.n_nodes; i++, nodes++) {
            struct trace_sum *s = &p->nodes[i].sum;
            s->ideal_s = ideal_seconds(&p->nodes[i].cost, s, roof);
            add_sum(&ops[p->split.nodes[i].op].sum, s);
            *nodes =
                (struct trace_line){ op_name(p->split.nodes[i].op), p->split.nodes[i].name, *s };
            total += s->ns;
            *s = (struct trace_sum){ 0 };
        }
    return total;
}

status backend_trace_print(struct backend *be, const struct backend_roofline *roof, bool json,
                           struct str *out, struct err *err)
{
    struct trace *t = (struct trace *)be;
    struct arena a = { 0 };
    size_t n = 0;

    if (be->ops != &trace_ops) return FAIL(err, ST_INVALID, "%s: no trace", be->ops->name);
    pthread_mutex_lock(&t->lock);
    for (struct trace_program *p = t->programs; p; p = p->next) n += (size_t)p->split.n_nodes;
    struct trace_line *ops = ARENA_ARRAY(&a, OP_COUNT, struct trace_line);
    struct trace_line *nodes = ARENA_ARRAY(&a, n + 1, struct trace_line);
    const bool ok = ops && nodes;
    const uint64_t total = ok ? collect(t, roof, ops, nodes) : 0;
    if (ok) {
        print_lines(ops, OP_COUNT, OP_COUNT, total, json, out);
        if (!json) str_printf(out, "\nslowest nodes\n");
        print_lines(nodes, n, json ? n : TRACE_NODES_SHOWN, total, json, out);
    }
    pthread_mutex_unlock(&t->lock); /* names lie in the programs */
    arena_fini(&a);
    return ok ? ST_OK : FAIL(err, ST_NOMEM, "out of memory");
}
