/* SPDX-License-Identifier: MIT */
/* Element-wise functions without a kernel of their own, in f64: activations, trigonometry, signs,
 * bits; sums and means of several inputs. */
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_map.h"
#include "backends/cpu/cpu_ops.h"

enum { GRAIN = 256 };

static double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

static double shrink(const struct attrs_shrink *a, double x)
{
    const double lambd = (double)a->lambd, bias = (double)a->bias;

    return x < -lambd ? x + bias : x > lambd ? x - bias : 0;
}

static double activation(const struct op_call *c, double x)
{
    const double alpha = (double)c->attr.elu.alpha;

    switch (c->op) {
    case OP_ELU: return x > 0 ? x : alpha * expm1(x);
    case OP_CELU: return x > 0 ? x : alpha * expm1(x / alpha);
    case OP_SELU:
        return (double)c->attr.selu.gamma * (x > 0 ? x : (double)c->attr.selu.alpha * expm1(x));
    case OP_LEAKYRELU: return x < 0 ? (double)c->attr.leakyrelu.alpha * x : x;
    case OP_THRESHOLDEDRELU: return x > alpha ? x : 0;
    case OP_HARDSIGMOID:
        return clamp01((double)c->attr.hardsigmoid.alpha * x + (double)c->attr.hardsigmoid.beta);
    case OP_HARDSWISH: return x * clamp01(x / 6 + 0.5);
    case OP_SOFTSIGN: return x / (1 + fabs(x));
    case OP_MISH: return x * tanh(x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)));
    case OP_SWISH: return x / (1 + exp(-alpha * x));
    case OP_SHRINK: return shrink(&c->attr.shrink, x);
    default: return x;
    }
}

static double math(enum op_kind op, double x)
{
    switch (op) {
    case OP_SIGN: return x > 0 ? 1 : x < 0 ? -1 : x;
    case OP_TAN: return tan(x);
    case OP_ASIN: return asin(x);
    case OP_ACOS: return acos(x);
    case OP_ATAN: return atan(x);
    case OP_SINH: return sinh(x);
    case OP_COSH: return cosh(x);
    case OP_ASINH: return asinh(x);
    case OP_ACOSH: return acosh(x);
    case OP_ATANH: return atanh(x);
    default: return x;
    }
}

static bool is_math(enum op_kind op)
{
    return op == OP_SIGN || op == OP_TAN || op == OP_ASIN || op == OP_ACOS || op == OP_ATAN ||
           op == OP_SINH || op == OP_COSH || op == OP_ASINH || op == OP_ACOSH || op == OP_ATANH;
}

static bool activation_chunk(const struct op_call *c, enum cpu_class cls, union cpu_chunk *x,
                             size_t n)
{
    if (c->op == OP_BITWISENOT) {
        for (size_t i = 0; i < n; i++) x->u64[i] = ~x->u64[i];
        return cls == CPU_I64 || cls == CPU_U64;
    }
    cpu_convert(x, cls, CPU_F64, n);
    for (size_t i = 0; i < n; i++)
        x->f64[i] = is_math(c->op) ? math(c->op, x->f64[i]) : activation(c, x->f64[i]);
    cpu_convert(x, CPU_F64, cls, n);
    return true;
}

void cpu_activation(const struct cpu_task *t) { cpu_map(t, activation_chunk); }

/* ---- two inputs ---- */

static bool walk_inputs(const struct cpu_task *t, struct cpu_walk *w)
{
    const struct tensor *out = cpu_out(t, 0);
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);

    cpu_walk_init(w, out);
    for (int i = 0; i < 2; i++) {
        if (cpu_in(t, i) && cpu_walk_broadcast(w, t->in[i])) continue;
        cpu_fail(t, ST_SHAPE, "input %d does not broadcast to the output", i);
        return false;
    }
    cpu_walk_begin(w, s.begin, s.end);
    return true;
}

/* Signed numbers lie here with their sign extended: right shifts repeat it. A shift of the whole
 * width or more (a negative one counts as such) leaves nothing but that. */
static uint64_t shifted(const struct op_call *c, uint64_t a, uint64_t b)
{
    const enum dtype dt = c->in[0].type.dtype;
    const bool sign = dt == DT_I8 || dt == DT_I16 || dt == DT_I32 || dt == DT_I64;
    const bool all = b >= dtype_bits(dt), negative = sign && a >> 63;

    if (c->attr.bitshift.direction[0] == 'L') return all ? 0 : a << b;
    if (all) return negative ? UINT64_MAX : 0;
    return negative ? ~(~a >> b) : a >> b;
}

static uint64_t bits_of(const struct op_call *c, uint64_t a, uint64_t b)
{
    switch (c->op) {
    case OP_XOR:
    case OP_BITWISEXOR: return a ^ b;
    case OP_BITWISEAND: return a & b;
    case OP_BITWISEOR: return a | b;
    default: return shifted(c, a, b);
    }
}

/* Xor, BitwiseAnd, BitwiseOr, BitwiseXor, BitShift. */
void cpu_bits(const struct cpu_task *t)
{
    const enum dtype dt = cpu_out(t, 0)->type.dtype;
    struct cpu_walk w;
    struct cpu_piece p;
    union cpu_chunk a, b;

    if (!walk_inputs(t, &w)) return;
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        cpu_load(&a, t->in[0]->data, dt, p.off[0], p.step[0], p.n);
        cpu_load(&b, t->in[1]->data, dt, p.off[1], p.step[1], p.n);
        for (size_t i = 0; i < p.n; i++) a.u64[i] = bits_of(t->call, a.u64[i], b.u64[i]);
        cpu_store(cpu_out(t, 0)->data, dt, p.at, &a, p.n);
    }
}

/* PRelu: slope times what is negative; SwiGLU: a gate's sigmoid linear unit times b. */
void cpu_slope(const struct cpu_task *t)
{
    const enum dtype dt = cpu_out(t, 0)->type.dtype;
    const enum cpu_class cls = cpu_class_of(dt);
    const double alpha = (double)t->call->attr.elu.alpha;
    struct cpu_walk w;
    struct cpu_piece p;
    union cpu_chunk a, b;

    if (!walk_inputs(t, &w)) return;
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        cpu_load(&a, t->in[0]->data, dt, p.off[0], p.step[0], p.n);
        cpu_load(&b, t->in[1]->data, dt, p.off[1], p.step[1], p.n);
        cpu_convert(&a, cls, CPU_F64, p.n);
        cpu_convert(&b, cls, CPU_F64, p.n);
        for (size_t i = 0; i < p.n; i++) {
            const double x = a.f64[i];

            if (t->call->op == OP_SWIGLU)
                a.f64[i] = x / (1 + exp(-alpha * x)) * b.f64[i];
            else if (x < 0)
                a.f64[i] = x * b.f64[i];
        }
        cpu_convert(&a, CPU_F64, cls, p.n);
        cpu_store(cpu_out(t, 0)->data, dt, p.at, &a, p.n);
    }
}

/* ---- Sum, Mean: a chunk of the output at a time, all inputs added in f64 ---- */

static bool add_input(const struct tensor *out, const struct tensor *x, size_t at, size_t n,
                      double *sum)
{
    struct cpu_walk w;
    struct cpu_piece p;
    union cpu_chunk c;

    cpu_walk_init(&w, out);
    if (!x || !cpu_walk_broadcast(&w, x)) return false;
    cpu_walk_begin(&w, at, at + n);
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        cpu_load(&c, x->data, x->type.dtype, p.off[0], p.step[0], p.n);
        cpu_convert(&c, cpu_class_of(x->type.dtype), CPU_F64, p.n);
        for (size_t i = 0; i < p.n; i++) sum[p.at - at + i] += c.f64[i];
    }
    return true;
}

void cpu_sum(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);
    const double scale = t->call->op == OP_MEAN ? t->call->n_in : 1;
    union cpu_chunk c;

    for (size_t i = s.begin; i < s.end; i += CPU_CHUNK) {
        const size_t n = s.end - i < CPU_CHUNK ? s.end - i : CPU_CHUNK;

        memset(&c, 0, sizeof c);
        for (int k = 0; k < t->call->n_in; k++)
            if (!add_input(out, t->in[k], i, n, c.f64)) {
                cpu_fail(t, ST_SHAPE, "input %d does not broadcast to the output", k);
                return;
            }
        for (size_t j = 0; j < n; j++) c.f64[j] /= scale;
        cpu_convert(&c, CPU_F64, cpu_class_of(out->type.dtype), n);
        cpu_store(out->data, out->type.dtype, i, &c, n);
    }
}
