/* SPDX-License-Identifier: MIT */
/* Comparisons, logic, selection, and conversion between element types. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum { GRAIN = 256 };

static bool begin(const struct cpu_task *t, struct cpu_walk *w, int n_in)
{
    const struct tensor *out = cpu_out(t, 0);
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);

    cpu_walk_init(w, out);
    for (int i = 0; i < n_in; i++) {
        if (cpu_in(t, i) && cpu_walk_broadcast(w, t->in[i])) continue;
        cpu_fail(t, ST_SHAPE, "input %d does not broadcast to the output", i);
        return false;
    }
    cpu_walk_begin(w, s.begin, s.end);
    return true;
}

/* ---- comparison ---- */

/* Order of a and b as a bit: less, equal, greater; none when one is NaN. */
enum { LESS = 1, SAME = 2, MORE = 4 };
#define ORDER(field)                                                                               \
    for (size_t i = 0; i < n; i++)                                                                 \
        order[i] = (uint8_t)((a->field[i] < b->field[i] ? LESS : 0) |                              \
                             (a->field[i] == b->field[i] ? SAME : 0) |                             \
                             (a->field[i] > b->field[i] ? MORE : 0));

static void order_chunk(enum cpu_class cls, uint8_t *order, const union cpu_chunk *a,
                        const union cpu_chunk *b, size_t n)
{
    switch (cls) {
    case CPU_F32: ORDER(f32) break;
    case CPU_F64: ORDER(f64) break;
    case CPU_I64: ORDER(i64) break;
    case CPU_U64: ORDER(u64) break;
    case CPU_NONE: memset(order, 0, n); break;
    }
}

static unsigned wanted_order(enum op_kind op)
{
    switch (op) {
    case OP_EQUAL: return SAME;
    case OP_LESS: return LESS;
    case OP_LESSOREQUAL: return LESS | SAME;
    case OP_GREATER: return MORE;
    default: return MORE | SAME;
    }
}

static void compare_strings(const struct cpu_task *t, struct cpu_walk *w)
{
    const struct ir_string *a = t->in[0]->data, *b = t->in[1]->data;
    uint8_t *out = cpu_out(t, 0)->data;
    struct cpu_piece p;

    while (cpu_walk_next(w, CPU_CHUNK, &p))
        for (size_t i = 0; i < p.n; i++) {
            const struct ir_string *x = &a[p.off[0] + (int64_t)i * p.step[0]];
            const struct ir_string *y = &b[p.off[1] + (int64_t)i * p.step[1]];

            out[p.at + i] = x->n == y->n && (x->n == 0 || memcmp(x->s, y->s, x->n) == 0);
        }
}

void cpu_compare(const struct cpu_task *t)
{
    const unsigned want = wanted_order(t->call->op);
    struct cpu_walk w;
    struct cpu_piece p;
    union cpu_chunk a, b;
    uint8_t order[CPU_CHUNK];

    if (!begin(t, &w, 2)) return;
    uint8_t *out = cpu_out(t, 0)->data;
    if (t->in[0]->type.dtype == DT_STRING) {
        compare_strings(t, &w);
        return;
    }
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        cpu_load(&a, t->in[0]->data, t->in[0]->type.dtype, p.off[0], p.step[0], p.n);
        cpu_load(&b, t->in[1]->data, t->in[1]->type.dtype, p.off[1], p.step[1], p.n);
        order_chunk(cpu_class_of(t->in[0]->type.dtype), order, &a, &b, p.n);
        for (size_t i = 0; i < p.n; i++) out[p.at + i] = (order[i] & want) != 0;
    }
}

void cpu_logic(const struct cpu_task *t)
{
    const bool is_and = t->call->op == OP_AND;
    struct cpu_walk w;
    struct cpu_piece p;

    if (!begin(t, &w, 2)) return; /* rules: all of them bool */
    uint8_t *out = cpu_out(t, 0)->data;
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        const uint8_t *a = (const uint8_t *)t->in[0]->data + p.off[0];
        const uint8_t *b = (const uint8_t *)t->in[1]->data + p.off[1];

        for (size_t i = 0; i < p.n; i++, a += p.step[0], b += p.step[1])
            out[p.at + i] = is_and ? (*a && *b) : (*a || *b);
    }
}

/* IsNaN, IsInf. */
void cpu_test(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0);
    const struct op_call *c = t->call;
    const struct cpu_share s = cpu_share(t, cpu_elements(in), GRAIN);
    const enum cpu_class cls = cpu_class_of(in->type.dtype);
    uint8_t *out = cpu_out(t, 0)->data;
    union cpu_chunk x;

    for (size_t i = s.begin; i < s.end; i += CPU_CHUNK) {
        const size_t n = s.end - i < CPU_CHUNK ? s.end - i : CPU_CHUNK;

        cpu_load(&x, in->data, in->type.dtype, (int64_t)i, 1, n);
        cpu_convert(&x, cls, CPU_F64, n);
        for (size_t j = 0; j < n; j++) {
            const double v = x.f64[j];
            out[i + j] = c->op == OP_ISNAN ? v != v
                                           : (v == INFINITY && c->attr.isinf.positive) ||
                                                 (v == -INFINITY && c->attr.isinf.negative);
        }
    }
}

/* ---- where ---- */

void cpu_where(const struct cpu_task *t)
{
    struct cpu_walk w;
    struct cpu_piece p;

    if (!begin(t, &w, 3)) return;
    if (t->in[0]->type.dtype != DT_BOOL || t->in[1]->type.dtype != cpu_out(t, 0)->type.dtype ||
        t->in[2]->type.dtype != cpu_out(t, 0)->type.dtype) {
        cpu_fail(t, ST_SHAPE, "condition is not bool, or choices and output differ in type");
        return;
    }
    const size_t size = cpu_size(cpu_out(t, 0)->type.dtype);
    char *out = cpu_out(t, 0)->data;
    while (cpu_walk_next(&w, SIZE_MAX, &p)) {
        const uint8_t *cond = (const uint8_t *)t->in[0]->data + p.off[0];
        const char *x = (const char *)t->in[1]->data + p.off[1] * (int64_t)size;
        const char *y = (const char *)t->in[2]->data + p.off[2] * (int64_t)size;
        const int64_t dx = p.step[1] * (int64_t)size, dy = p.step[2] * (int64_t)size;
        char *o = out + p.at * size;

        for (size_t i = 0; i < p.n; i++, o += size, cond += p.step[0], x += dx, y += dy)
            memcpy(o, *cond ? x : y, size);
    }
}

/* ---- cast ---- */

/* To bool everything but zero is true, and a float must not be truncated first. */
static void to_bool(union cpu_chunk *x, enum cpu_class from, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        bool v = x->u64[i] != 0;

        if (from == CPU_F32) v = x->f32[i] != 0;
        if (from == CPU_F64) v = x->f64[i] != 0;
        x->i64[i] = v;
    }
}

/* Floats of a byte or less: saturation and rounding are the node's. */
static void store_cast(const struct cpu_task *t, size_t at, const union cpu_chunk *x, size_t n)
{
    const struct attrs_cast *a = &t->call->attr.cast;
    const struct tensor *out = cpu_out(t, 0);
    const struct cpu_mini_rule rule = { a->saturate != 0,
                                        strcmp(a->round_mode, "down") == 0 ? MINI_DOWN
                                        : strcmp(a->round_mode, "up") == 0 ? MINI_UP
                                                                           : MINI_NEAREST };
    enum mini_kind kind;

    if (cpu_mini_kind(out->type.dtype, &kind))
        cpu_store_mini(out->data, out->type.dtype, at, x->f32, n, rule);
    else
        cpu_store(out->data, out->type.dtype, at, x, n);
}

/* Cast and CastLike: the output's type says it all. */
void cpu_cast(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const enum dtype from = in->type.dtype, to = out->type.dtype;
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);
    union cpu_chunk x;

    if (cpu_class_of(from) == CPU_NONE || cpu_class_of(to) == CPU_NONE) {
        cpu_fail(t, ST_UNSUPPORTED, "cast of %s to %s", dtype_name(from), dtype_name(to));
        return;
    }
    for (size_t i = s.begin; i < s.end; i += CPU_CHUNK) {
        const size_t n = s.end - i < CPU_CHUNK ? s.end - i : CPU_CHUNK;

        cpu_load(&x, in->data, from, (int64_t)i, 1, n);
        if (to == DT_BOOL)
            to_bool(&x, cpu_class_of(from), n);
        else
            cpu_convert(&x, cpu_class_of(from), cpu_class_of(to), n);
        store_cast(t, i, &x, n);
    }
}
