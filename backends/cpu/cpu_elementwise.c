/* SPDX-License-Identifier: MIT */
/* Element-wise arithmetic and activations. Floats go through the kernels in chunks, converted at
 * the edges where they are f16 or bf16; f64 and integers are plain loops. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_map.h"
#include "backends/cpu/cpu_ops.h"

enum { GRAIN = 256 }; /* elements: what is worth a worker, and whole cache lines */

/* ---- one input ---- */

typedef float scalar_f32_fn(float);

static void map_f32(float *x, size_t n, scalar_f32_fn *fn)
{
    for (size_t i = 0; i < n; i++) x[i] = fn(x[i]);
}

static float recip_f32(float x) { return 1.0f / x; }

static float softplus_f32(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

static bool gelu_is_tanh(const struct op_call *c)
{
    return c->op == OP_FASTGELU || (c->op == OP_GELU && c->attr.gelu.approximate &&
                                    strcmp(c->attr.gelu.approximate, "tanh") == 0);
}

static void quick_gelu(float *x, size_t n, float alpha)
{
    float gate[CPU_CHUNK];

    if (alpha == 1.702f) {
        kern.quick_gelu_f32(x, x, n);
        return;
    }
    kern.affine_f32(gate, x, n, alpha, 0.0f);
    kern.sigmoid_f32(gate, gate, n);
    kern.mul_f32(x, x, gate, n);
}

static bool unary_f32(const struct op_call *c, float *x, size_t n)
{
    switch (c->op) {
    case OP_NEG: kern.neg_f32(x, x, n); return true;
    case OP_ABS: kern.abs_f32(x, x, n); return true;
    case OP_SQRT: kern.sqrt_f32(x, x, n); return true;
    case OP_EXP: kern.exp_f32(x, x, n); return true;
    case OP_ERF: kern.erf_f32(x, x, n); return true;
    case OP_SIGMOID: kern.sigmoid_f32(x, x, n); return true;
    case OP_TANH: kern.tanh_f32(x, x, n); return true;
    case OP_RELU: kern.relu_f32(x, x, n); return true;
    case OP_RECIPROCAL: map_f32(x, n, recip_f32); return true;
    case OP_LOG: map_f32(x, n, logf); return true;
    case OP_SOFTPLUS: map_f32(x, n, softplus_f32); return true;
    case OP_COS: map_f32(x, n, cosf); return true;
    case OP_SIN: map_f32(x, n, sinf); return true;
    case OP_FLOOR: map_f32(x, n, floorf); return true;
    case OP_CEIL: map_f32(x, n, ceilf); return true;
    case OP_ROUND: map_f32(x, n, rintf); return true;
    case OP_QUICKGELU: quick_gelu(x, n, c->attr.alpha.alpha); return true;
    case OP_GELU:
    case OP_FASTGELU:
    case OP_BIASGELU:
        if (gelu_is_tanh(c))
            kern.gelu_tanh_f32(x, x, n);
        else
            kern.gelu_erf_f32(x, x, n);
        return true;
    default: return false;
    }
}

static double sigmoid_f64(double x) { return 1.0 / (1.0 + exp(-x)); }

static double gelu_f64(const struct op_call *c, double x)
{
    if (gelu_is_tanh(c))
        return 0.5 * x * (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    return 0.5 * x * (1.0 + erf(x * 0.70710678118654752440));
}

static double one_f64(const struct op_call *c, double x)
{
    switch (c->op) {
    case OP_NEG: return -x;
    case OP_ABS: return fabs(x);
    case OP_SQRT: return sqrt(x);
    case OP_RECIPROCAL: return 1.0 / x;
    case OP_EXP: return exp(x);
    case OP_LOG: return log(x);
    case OP_ERF: return erf(x);
    case OP_SIGMOID: return sigmoid_f64(x);
    case OP_TANH: return tanh(x);
    case OP_RELU: return x > 0 ? x : (x != x ? x : 0);
    case OP_SOFTPLUS: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case OP_COS: return cos(x);
    case OP_SIN: return sin(x);
    case OP_FLOOR: return floor(x);
    case OP_CEIL: return ceil(x);
    case OP_ROUND: return rint(x);
    case OP_QUICKGELU: return x * sigmoid_f64((double)c->attr.alpha.alpha * x);
    default: return gelu_f64(c, x);
    }
}

static bool unary_i64(enum op_kind op, int64_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (op == OP_NEG || (op == OP_ABS && x[i] < 0)) x[i] = (int64_t)(0 - (uint64_t)x[i]);
        if (op == OP_RELU && x[i] < 0) x[i] = 0;
        if (op == OP_NOT) x[i] = !x[i];
    }
    return op == OP_NEG || op == OP_ABS || op == OP_RELU || op == OP_NOT;
}

static bool unary_chunk(const struct op_call *c, enum cpu_class cls, union cpu_chunk *x, size_t n)
{
    switch (cls) {
    case CPU_F32: return unary_f32(c, x->f32, n);
    case CPU_F64:
        for (size_t i = 0; i < n; i++) x->f64[i] = one_f64(c, x->f64[i]);
        return true;
    case CPU_I64: return unary_i64(c->op, x->i64, n);
    case CPU_U64: return c->op == OP_ABS || c->op == OP_RELU;
    case CPU_NONE: break;
    }
    return false;
}

void cpu_map(const struct cpu_task *t, cpu_chunk_fn *fn)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const enum dtype dt = in->type.dtype;
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);
    union cpu_chunk x;

    for (size_t i = s.begin; i < s.end; i += CPU_CHUNK) {
        const size_t n = s.end - i < CPU_CHUNK ? s.end - i : CPU_CHUNK;

        cpu_load(&x, in->data, dt, (int64_t)i, 1, n);
        if (!fn(t->call, cpu_class_of(dt), &x, n)) {
            cpu_fail(t, ST_UNSUPPORTED, "no such operation on %s", dtype_name(dt));
            return;
        }
        cpu_store(out->data, dt, i, &x, n);
    }
}

void cpu_unary(const struct cpu_task *t) { cpu_map(t, unary_chunk); }

/* Activation of input + bias, the bias repeated along the last dimension. */
void cpu_biasact(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *bias = cpu_in(t, 1), *out = cpu_out(t, 0);
    struct cpu_walk w;
    struct cpu_piece p;
    union cpu_chunk x, b;
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);
    const enum cpu_class cls = cpu_class_of(in->type.dtype);

    cpu_walk_init(&w, out);
    if (!cpu_walk_broadcast(&w, in) || (bias && !cpu_walk_broadcast(&w, bias)) ||
        (cls != CPU_F32 && cls != CPU_F64)) {
        cpu_fail(t, ST_SHAPE, "input and bias do not fit");
        return;
    }
    cpu_walk_begin(&w, s.begin, s.end);
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        cpu_load(&x, in->data, in->type.dtype, p.off[0], p.step[0], p.n);
        if (bias) cpu_load(&b, bias->data, bias->type.dtype, p.off[1], p.step[1], p.n);
        if (bias && cls == CPU_F32) kern.add_f32(x.f32, x.f32, b.f32, p.n);
        for (size_t i = 0; bias && cls == CPU_F64 && i < p.n; i++) x.f64[i] += b.f64[i];
        (void)unary_chunk(t->call, cls, &x, p.n);
        cpu_store(out->data, out->type.dtype, p.at, &x, p.n);
    }
}

/* ---- clip ---- */

/* The largest number of a float type. */
static double largest(enum dtype dt)
{
    switch (dt) {
    case DT_F64: return DBL_MAX;
    case DT_F16: return 65504;
    case DT_BF16: return 0x1.fep127;
    default: return (double)FLT_MAX;
    }
}

/* The bound given as input i, or by attribute below opset 11, else the last number of the type:
 * infinities are cut, too. False when there is none: all integers are within theirs. */
static bool clip_bound(const struct cpu_task *t, int i, enum cpu_class cls, union cpu_chunk *out)
{
    const struct attrs_clip *a = &t->call->attr.clip;
    const struct tensor *x = cpu_in(t, i);

    if (x) {
        if (cpu_elements(x) != 1) return false;
        cpu_load(out, x->data, x->type.dtype, 0, 1, 1);
        return cpu_class_of(x->type.dtype) == cls;
    }
    if (cls != CPU_F32 && cls != CPU_F64) return false;
    const double most = largest(t->in[0]->type.dtype);
    const double v = t->call->version < 11 ? (double)(i == 1 ? a->min : a->max)
                     : i == 1              ? -most
                                           : most;
    if (cls == CPU_F32)
        out->f32[0] = (float)v;
    else
        out->f64[0] = v;
    return true;
}

#define CLIP(field)                                                                                \
    for (size_t i = 0; i < n; i++) {                                                               \
        if (lo && x->field[i] < lo->field[0]) x->field[i] = lo->field[0];                          \
        if (hi && x->field[i] > hi->field[0]) x->field[i] = hi->field[0];                          \
    }

static void clip_chunk(enum cpu_class cls, union cpu_chunk *x, const union cpu_chunk *lo,
                       const union cpu_chunk *hi, size_t n)
{
    switch (cls) {
    case CPU_F32: CLIP(f32) break;
    case CPU_F64: CLIP(f64) break;
    case CPU_I64: CLIP(i64) break;
    case CPU_U64: CLIP(u64) break;
    case CPU_NONE: break;
    }
}

void cpu_clip(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const enum dtype dt = in->type.dtype;
    const enum cpu_class cls = cpu_class_of(dt);
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);
    union cpu_chunk lo, hi, x;
    const bool has_lo = clip_bound(t, 1, cls, &lo), has_hi = clip_bound(t, 2, cls, &hi);

    for (size_t i = s.begin; i < s.end; i += CPU_CHUNK) {
        const size_t n = s.end - i < CPU_CHUNK ? s.end - i : CPU_CHUNK;

        cpu_load(&x, in->data, dt, (int64_t)i, 1, n);
        clip_chunk(cls, &x, has_lo ? &lo : NULL, has_hi ? &hi : NULL, n);
        cpu_store(out->data, dt, i, &x, n);
    }
}

/* ---- two inputs ---- */

static void mod_f32(float *o, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) o[i] = fmodf(o[i], b[i]);
}

/* Mod with fmod = 0: the remainder has the sign of the divisor, as numpy's; a zero one, too. */
static double floor_mod(double a, double b)
{
    const double r = fmod(a, b);

    if (r == 0) return copysign(0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

static void floor_mod_chunk(enum cpu_class cls, union cpu_chunk *a, const union cpu_chunk *b,
                            size_t n)
{
    for (size_t i = 0; cls == CPU_F32 && i < n; i++)
        a->f32[i] = (float)floor_mod((double)a->f32[i], (double)b->f32[i]);
    for (size_t i = 0; cls == CPU_F64 && i < n; i++) a->f64[i] = floor_mod(a->f64[i], b->f64[i]);
}

static void arith_f32(enum op_kind op, float *a, const float *b, size_t n)
{
    switch (op) {
    case OP_ADD: kern.add_f32(a, a, b, n); break;
    case OP_SUB: kern.sub_f32(a, a, b, n); break;
    case OP_MUL: kern.mul_f32(a, a, b, n); break;
    case OP_DIV: kern.div_f32(a, a, b, n); break;
    default: mod_f32(a, b, n); break;
    }
}

static void arith_f64(enum op_kind op, double *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (op == OP_ADD) a[i] += b[i];
        if (op == OP_SUB) a[i] -= b[i];
        if (op == OP_MUL) a[i] *= b[i];
        if (op == OP_DIV) a[i] /= b[i];
        if (op == OP_MOD) a[i] = fmod(a[i], b[i]);
    }
}

/* Quotient toward zero; remainder with the sign of the divisor. b is not 0. */
static int64_t div_i64(int64_t a, int64_t b)
{
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t mod_i64(int64_t a, int64_t b)
{
    if (b == -1) return 0;
    const int64_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* Two's complement wraps; false on division by zero. */
static bool arith_i64(enum op_kind op, int64_t *a, const int64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t x = (uint64_t)a[i], y = (uint64_t)b[i];

        if ((op == OP_DIV || op == OP_MOD) && y == 0) return false;
        if (op == OP_ADD) a[i] = (int64_t)(x + y);
        if (op == OP_SUB) a[i] = (int64_t)(x - y);
        if (op == OP_MUL) a[i] = (int64_t)(x * y);
        if (op == OP_DIV) a[i] = div_i64(a[i], b[i]);
        if (op == OP_MOD) a[i] = mod_i64(a[i], b[i]);
    }
    return true;
}

/* Mod with fmod = 1: the remainder has the sign of the dividend, as C's. */
static bool rem_i64(int64_t *a, const int64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (b[i] == 0) return false;
        a[i] = b[i] == -1 ? 0 : a[i] % b[i];
    }
    return true;
}

static bool arith_u64(enum op_kind op, uint64_t *a, const uint64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((op == OP_DIV || op == OP_MOD) && b[i] == 0) return false;
        if (op == OP_ADD) a[i] += b[i];
        if (op == OP_SUB) a[i] -= b[i];
        if (op == OP_MUL) a[i] *= b[i];
        if (op == OP_DIV) a[i] /= b[i];
        if (op == OP_MOD) a[i] %= b[i];
    }
    return true;
}

static bool arith_chunk(const struct op_call *call, enum cpu_class cls, union cpu_chunk *a,
                        const union cpu_chunk *b, size_t n)
{
    const enum op_kind op = call->op;

    if (op == OP_MOD && call->attr.mod.fmod && cls == CPU_I64) return rem_i64(a->i64, b->i64, n);
    if (op == OP_MOD && !call->attr.mod.fmod && (cls == CPU_F32 || cls == CPU_F64)) {
        floor_mod_chunk(cls, a, b, n);
        return true;
    }
    switch (cls) {
    case CPU_F32: arith_f32(op, a->f32, b->f32, n); return true;
    case CPU_F64: arith_f64(op, a->f64, b->f64, n); return true;
    case CPU_I64: return arith_i64(op, a->i64, b->i64, n);
    case CPU_U64: return arith_u64(op, a->u64, b->u64, n);
    case CPU_NONE: break;
    }
    return false;
}

/* The lowered form's additions and products: fp32, nothing broadcast within a piece. */
static bool arith_direct(const struct cpu_task *t, const struct tensor *const x[3],
                         const struct cpu_piece *p)
{
    static const enum op_kind direct[] = { OP_ADD, OP_SUB, OP_MUL, OP_DIV };
    kern_binary_f32_fn *const fn[] = { kern.add_f32, kern.sub_f32, kern.mul_f32, kern.div_f32 };

    if (x[0]->type.dtype != DT_F32 || p->step[0] != 1 || p->step[1] != 1) return false;
    for (size_t i = 0; i < COUNT(direct); i++) {
        if (t->call->op != direct[i]) continue;
        fn[i]((float *)x[2]->data + p->at, (const float *)x[0]->data + p->off[0],
              (const float *)x[1]->data + p->off[1], p->n);
        return true;
    }
    return false;
}

/* Begins a walk of the output with two inputs of its type broadcast to it. */
static bool pair_begin(const struct cpu_task *t, struct cpu_walk *w, const struct tensor *x[3])
{
    const struct cpu_share s = cpu_share(t, cpu_elements(cpu_out(t, 0)), GRAIN);

    x[0] = cpu_in(t, 0);
    x[1] = cpu_in(t, 1);
    x[2] = cpu_out(t, 0);
    cpu_walk_init(w, x[2]);
    if (!x[0] || !x[1] || !cpu_walk_broadcast(w, x[0]) || !cpu_walk_broadcast(w, x[1])) {
        cpu_fail(t, ST_SHAPE, "inputs do not broadcast to the output");
        return false;
    }
    cpu_walk_begin(w, s.begin, s.end);
    return true;
}

void cpu_arith(const struct cpu_task *t)
{
    const struct tensor *x[3];
    struct cpu_walk w;
    struct cpu_piece p;
    union cpu_chunk a, b;

    if (!pair_begin(t, &w, x)) return;
    const enum dtype dt = x[0]->type.dtype;
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        if (arith_direct(t, x, &p)) continue;
        cpu_load(&a, x[0]->data, dt, p.off[0], p.step[0], p.n);
        cpu_load(&b, x[1]->data, x[1]->type.dtype, p.off[1], p.step[1], p.n);
        if (!arith_chunk(t->call, cpu_class_of(dt), &a, &b, p.n)) {
            cpu_fail(t, ST_INVALID, "integer division by zero, or no arithmetic on %s",
                     dtype_name(dt));
            return;
        }
        cpu_store(x[2]->data, dt, p.at, &a, p.n);
    }
}

/* Base and exponent may differ in type; the result has the base's. Squares are exact products. */
static void pow_chunk(enum cpu_class cls, union cpu_chunk *a, union cpu_chunk *b,
                      enum cpu_class b_cls, size_t n)
{
    if (cls == CPU_F32) {
        cpu_convert(b, b_cls, CPU_F32, n);
        for (size_t i = 0; i < n; i++) {
            const float x = a->f32[i], e = b->f32[i];
            a->f32[i] = e == 2.0f ? x * x : e == 3.0f ? x * x * x : powf(x, e);
        }
        return;
    }
    cpu_convert(a, cls, CPU_F64, n);
    cpu_convert(b, b_cls, CPU_F64, n);
    for (size_t i = 0; i < n; i++) a->f64[i] = pow(a->f64[i], b->f64[i]);
    cpu_convert(a, CPU_F64, cls, n);
}

void cpu_pow(const struct cpu_task *t)
{
    const struct tensor *x[3];
    struct cpu_walk w;
    struct cpu_piece p;
    union cpu_chunk a, b;

    if (!pair_begin(t, &w, x)) return;
    while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
        cpu_load(&a, x[0]->data, x[0]->type.dtype, p.off[0], p.step[0], p.n);
        cpu_load(&b, x[1]->data, x[1]->type.dtype, p.off[1], p.step[1], p.n);
        pow_chunk(cpu_class_of(x[0]->type.dtype), &a, &b, cpu_class_of(x[1]->type.dtype), p.n);
        cpu_store(x[2]->data, x[2]->type.dtype, p.at, &a, p.n);
    }
}

/* ---- Min, Max of any number of inputs: NaN wins, as in numpy ---- */

#define EXTREME(field)                                                                             \
    for (size_t i = 0; i < n; i++)                                                                 \
        if (max ? b->field[i] > a->field[i] : b->field[i] < a->field[i]) a->field[i] = b->field[i];
#define EXTREME_FLOAT(field)                                                                       \
    EXTREME(field)                                                                                 \
    for (size_t i = 0; i < n; i++)                                                                 \
        if (b->field[i] != b->field[i]) a->field[i] = b->field[i];

static void extreme_chunk(bool max, enum cpu_class cls, union cpu_chunk *a,
                          const union cpu_chunk *b, size_t n)
{
    switch (cls) {
    case CPU_F32: EXTREME_FLOAT(f32) break;
    case CPU_F64: EXTREME_FLOAT(f64) break;
    case CPU_I64: EXTREME(i64) break;
    case CPU_U64: EXTREME(u64) break;
    case CPU_NONE: break;
    }
}

/* One walk per input over this worker's share: the output is the accumulator. */
void cpu_variadic(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    const enum dtype dt = out->type.dtype;
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);
    union cpu_chunk a, b;
    struct cpu_piece p;

    for (int i = 0; i < t->call->n_in; i++) {
        struct cpu_walk w;

        cpu_walk_init(&w, out);
        if (!t->in[i] || !cpu_walk_broadcast(&w, t->in[i])) {
            cpu_fail(t, ST_SHAPE, "input %d does not broadcast to the output", i);
            return;
        }
        cpu_walk_begin(&w, s.begin, s.end);
        while (cpu_walk_next(&w, CPU_CHUNK, &p)) {
            cpu_load(&b, t->in[i]->data, dt, p.off[0], p.step[0], p.n);
            if (i > 0) {
                cpu_load(&a, out->data, dt, (int64_t)p.at, 1, p.n);
                extreme_chunk(t->call->op == OP_MAX, cpu_class_of(dt), &a, &b, p.n);
            }
            cpu_store(out->data, dt, p.at, i > 0 ? &a : &b, p.n);
        }
    }
}

/* ---- gated activations of the lowered form: act(gate) * up ---- */

/* n <= CPU_CHUNK */
static void gate_piece(const char *act, float *out, const float *gate, const float *up, size_t n)
{
    if (strcmp(act, "silu") == 0) {
        kern.silu_mul_f32(out, gate, up, n);
        return;
    }
    if (strcmp(act, "gelu") == 0) {
        kern.gelu_erf_mul_f32(out, gate, up, n);
        return;
    }
    if (strcmp(act, "gelu_tanh") == 0) {
        kern.gelu_tanh_mul_f32(out, gate, up, n);
        return;
    }
    float x[CPU_CHUNK];
    if (strcmp(act, "relu") == 0)
        kern.relu_f32(x, gate, n);
    else if (strcmp(act, "sigmoid") == 0)
        kern.sigmoid_f32(x, gate, n);
    else
        kern.quick_gelu_f32(x, gate, n);
    kern.mul_f32(out, x, up, n);
}

static bool act_known(const char *act)
{
    static const char *const names[] = { "silu",       "gelu", "gelu_tanh",
                                         "quick_gelu", "relu", "sigmoid" };

    for (size_t i = 0; act && i < COUNT(names); i++)
        if (strcmp(act, names[i]) == 0) return true;
    return false;
}

/* gate and up: two inputs [T, I], or one [T, 2I] with the gate first. Pieces never cross a row. */
void cpu_gatedact(const struct cpu_task *t)
{
    const struct tensor *gate = cpu_in(t, 0), *up = cpu_in(t, 1), *out = cpu_out(t, 0);
    const bool ranked = out->type.ndim > 0 && gate->type.ndim > 0;
    const size_t width = ranked ? (size_t)out->type.dim[out->type.ndim - 1] : 0;
    const size_t stride = ranked ? (size_t)gate->type.dim[gate->type.ndim - 1] : 0;
    const size_t rows = width ? cpu_elements(out) / width : 0;
    const struct cpu_share s = cpu_share(t, rows * width, GRAIN);
    float a[CPU_CHUNK], b[CPU_CHUNK], y[CPU_CHUNK];

    if (!act_known(t->call->attr.gated.act) || !cpu_is_float(out->type.dtype) || !ranked ||
        stride != (up ? width : 2 * width) || cpu_elements(gate) != rows * stride ||
        (up && cpu_elements(up) != rows * width)) {
        cpu_fail(t, ST_UNSUPPORTED, "gate of this activation or shape");
        return;
    }
    for (size_t i = s.begin, n; i < s.end; i += n) {
        const size_t row = i / width, col = i % width;

        n = width - col < s.end - i ? width - col : s.end - i;
        if (n > CPU_CHUNK) n = CPU_CHUNK;
        const float *g = cpu_row_f32(gate, row * stride + col, n, a);
        const float *u = up ? cpu_row_f32(up, row * stride + col, n, b)
                            : cpu_row_f32(gate, row * stride + width + col, n, b);
        float *o = out->type.dtype == DT_F32 ? (float *)out->data + i : y;
        gate_piece(t->call->attr.gated.act, o, g, u, n);
        if (o == y) cpu_from_f32(out->data, out->type.dtype, i, y, n);
    }
}
