/* SPDX-License-Identifier: MIT */
/* trace and mirror around the cpu backend: the answer stays, every node is counted, and a node that
 * computes something else is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "tests/unit/helper_segment.h"

enum { HIDDEN = 72, INNER = 200, TOKENS = 9, ROWS = 2 };

/* norm -> linear -> gate -> linear -> linear -> residual -> the rows asked for. The third linear
 * may not write where it reads. */
struct mlp {
    struct segment_builder b;
    int x, y;
    float norm[HIDDEN], up[INNER * HIDDEN], down[INNER * HIDDEN], square[HIDDEN * HIDDEN];
};

static const char *const names[] = { "norm", "up", "gate", "down", "square", "add", "pick" };
static struct mlp mlp;
static float input[TOKENS * HIDDEN];

static int temp(int64_t width)
{
    return sb_value(&mlp.b, SEG_TEMP, DT_F32, SB_DIMS(DIM_TOKENS, width), NULL);
}

static int setup(void **state)
{
    struct segment_builder *b = &mlp.b;

    (void)state;
    fill_floats(input, COUNT(input), 9);
    fill_floats(mlp.norm, HIDDEN, 1);
    fill_floats(mlp.up, COUNT(mlp.up), 2);
    fill_floats(mlp.down, COUNT(mlp.down), 3);
    fill_floats(mlp.square, COUNT(mlp.square), 4);
    mlp.x = sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(DIM_TOKENS, HIDDEN), NULL);
    mlp.y = sb_value(b, SEG_OUTPUT, DT_F32, SB_DIMS(DIM_ROWS, HIDDEN), NULL);
    const int norm = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(HIDDEN), mlp.norm);
    const int w_up = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(HIDDEN, INNER), mlp.up);
    const int w_down = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(INNER / 2, HIDDEN), mlp.down);
    const int w_square = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(HIDDEN, HIDDEN), mlp.square);
    const int n = temp(HIDDEN), u = temp(INNER), g = temp(INNER / 2), d = temp(HIDDEN),
              e = temp(HIDDEN), sum = temp(HIDDEN);
    const union op_attrs up = { .linear = { .k = HIDDEN, .n = INNER } };
    const union op_attrs down = { .linear = { .k = INNER / 2, .n = HIDDEN } };
    const union op_attrs square = { .linear = { .k = HIDDEN, .n = HIDDEN } };
    sb_node(b, OP_RMSNORM, &(union op_attrs){ .rmsnorm = { .axis = -1, .epsilon = 1e-5f } },
            SB_LIST(mlp.x, norm), SB_LIST(n));
    sb_node(b, OP_LINEAR, &up, SB_LIST(n, w_up), SB_LIST(u));
    sb_node(b, OP_GATEDACT, &(union op_attrs){ .gated = { .act = "silu" } }, SB_LIST(u),
            SB_LIST(g));
    sb_node(b, OP_LINEAR, &down, SB_LIST(g, w_down), SB_LIST(d));
    sb_node(b, OP_LINEAR, &square, SB_LIST(d, w_square), SB_LIST(e));
    sb_node(b, OP_ADD, NULL, SB_LIST(e, mlp.x), SB_LIST(sum));
    sb_node(b, OP_SELECTROWS, NULL, SB_LIST(sum), SB_LIST(mlp.y));
    for (size_t i = 0; i < COUNT(names); i++) b->nodes[i].call.node = names[i];
    return 0;
}

static struct backend *open_cpu(const char *isa)
{
    const struct backend_config cfg = { .n_threads = 2, .isa = isa };
    struct backend *be = NULL;

    assert_int_equal(backend_find("cpu")->open(&be, &cfg, NULL), ST_OK);
    return be;
}

/* A program with the nodes that were prepared for it. */
struct made {
    struct program *prog;
    struct prepared *prepared[COUNT(names)];
};

static struct made make(struct backend *be)
{
    const struct segment seg = sb_segment(&mlp.b, 2 * TOKENS, 2 * ROWS, 1);
    struct program *prog = NULL;
    struct made m = { 0 };
    struct err err = { 0 };

    for (size_t i = 0; i < COUNT(names); i++) {
        if (be->ops->prepare(be, &mlp.b.nodes[i].call, &m.prepared[i], &err) != ST_OK)
            fail_msg("%s", err.text);
        mlp.b.nodes[i].prepared = m.prepared[i];
    }
    if (be->ops->compile(be, &seg, &prog, &err) != ST_OK) fail_msg("%s", err.text);
    for (size_t i = 0; i < COUNT(names); i++) mlp.b.nodes[i].prepared = NULL;
    m.prog = prog;
    return m;
}

static void unmake(struct backend *be, struct made *m)
{
    be->ops->discard(be, m->prog);
    for (size_t i = 0; i < COUNT(names); i++) be->ops->release(be, m->prepared[i]);
}

/* out [ROWS, HIDDEN] */
static status run(struct backend *be, struct program *prog, float *out, struct err *err)
{
    static const int32_t rows[ROWS] = { 2, TOKENS - 1 };
    const struct step_seq seq = { .n_tokens = TOKENS };

    sb_bind(&mlp.b, mlp.x, TOKENS, input);
    sb_bind(&mlp.b, mlp.y, ROWS, out);
    const struct step step = { .n_tokens = TOKENS,
                               .n_seqs = 1,
                               .n_rows = ROWS,
                               .seqs = &seq,
                               .rows = rows,
                               .bindings = mlp.b.bindings,
                               .n_bindings = mlp.b.n_bindings };
    return be->ops->execute(be, prog, &step, err);
}

static void run_on(struct backend *be, float *out)
{
    struct made m = make(be);
    struct err err = { 0 };

    memset(out, 0, ROWS * HIDDEN * sizeof *out);
    if (run(be, m.prog, out, &err) != ST_OK) fail_msg("%s", err.text);
    unmake(be, &m);
}

static void near(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) assert_true(a[i] - b[i] < 1e-3F && b[i] - a[i] < 1e-3F);
}

/* ---- two caps in one process ---- */

/* Each backend keeps its own kernels, whatever others are open or ran in between. */
static void backends_of_two_caps_keep_their_kernels(void **state)
{
    static float alone[ROWS * HIDDEN], beside[ROWS * HIDDEN], native[ROWS * HIDDEN];
    struct backend *scalar = open_cpu("scalar");

    (void)state;
    run_on(scalar, alone);
    struct made m = make(scalar);
    assert_true(kern.rmsnorm_f32 == kern_rmsnorm_f32_scalar);
    struct backend *be = open_cpu(NULL);
    run_on(be, native);
    if (kern_cpu_features() != 0) assert_true(kern.rmsnorm_f32 != kern_rmsnorm_f32_scalar);
    assert_int_equal(run(scalar, m.prog, beside, NULL), ST_OK);
    assert_true(kern.rmsnorm_f32 == kern_rmsnorm_f32_scalar);
    assert_memory_equal(beside, alone, sizeof alone);
    near(native, alone, ROWS * HIDDEN);
    unmake(scalar, &m);
    be->ops->close(be);
    scalar->ops->close(scalar);
}

/* ---- trace ---- */

/* The number behind "key": in the line of an operator or a node. */
static double field(const char *json, const char *line, const char *key)
{
    const char *at = strstr(json, line);

    if (!at || !(at = strstr(at, key))) fail_msg("%s %s is not in %s", line, key, json);
    return strtod(at + strlen(key) + 2, NULL);
}

static void a_trace_counts_every_node(void **state)
{
    static float plain[ROWS * HIDDEN], traced[ROWS * HIDDEN];
    const struct backend_roofline roof = { 1e10, 1e11, 1e12 };
    struct backend *cpu = open_cpu(NULL), *be = NULL;
    struct str out = { 0 };

    (void)state;
    run_on(cpu, plain);
    assert_int_equal(backend_trace_print(cpu, &roof, true, &out, NULL), ST_INVALID);
    assert_int_equal(backend_trace_wrap(&be, cpu, NULL), ST_OK);
    struct made m = make(be);
    const uint64_t before = mem_alloc_count();
    for (int i = 0; i < 3; i++) assert_int_equal(run(be, m.prog, traced, NULL), ST_OK);
    assert_int_equal(mem_alloc_count(), before);
    assert_memory_equal(traced, plain, sizeof plain);
    assert_int_equal(backend_trace_print(be, &roof, true, &out, NULL), ST_OK);
    const char *json = str_cstr(&out);
    for (size_t i = 0; i < COUNT(names); i++) {
        char line[32] = "\"node\":\"";
        strcat(line, names[i]);
        assert_true(field(json, line, "runs") == 3);
        assert_true(field(json, line, "seconds") > 0);
    }
    /* weights once a run; what comes in and goes out; two operations a multiply-add */
    assert_true(field(json, "\"node\":\"up\"", "bytes") ==
                3 * 4.0 * (HIDDEN * INNER + TOKENS * (HIDDEN + INNER)));
    assert_true(field(json, "\"node\":\"up\"", "ops") == 3 * 2.0 * TOKENS * HIDDEN * INNER);
    assert_true(field(json, "\"op\":\"cupola.Linear\"", "runs") == 9);
    /* begins anew */
    str_clear(&out);
    assert_int_equal(backend_trace_print(be, &roof, true, &out, NULL), ST_OK);
    assert_int_equal(out.len, 0);
    str_fini(&out);
    unmake(be, &m);
    be->ops->close(be);
}

/* Runs the builder's only node once under a trace; its report. The caller frees it. */
static struct str trace_once(struct segment_builder *b, const struct step *step)
{
    const struct segment seg = sb_segment(b, TOKENS, 1, 2);
    const struct backend_roofline roof = { 1e10, 1e11, 1e12 };
    struct backend *be = NULL;
    struct prepared *prepared = NULL;
    struct program *prog = NULL;
    struct err err = { 0 };
    struct str out = { 0 };

    assert_int_equal(backend_trace_wrap(&be, open_cpu(NULL), NULL), ST_OK);
    b->nodes[0].call.node = "one";
    if (be->ops->prepare(be, &b->nodes[0].call, &prepared, &err) != ST_OK) fail_msg("%s", err.text);
    b->nodes[0].prepared = prepared;
    if (be->ops->compile(be, &seg, &prog, &err) != ST_OK) fail_msg("%s", err.text);
    if (be->ops->execute(be, prog, step, &err) != ST_OK) fail_msg("%s", err.text);
    assert_int_equal(backend_trace_print(be, &roof, true, &out, NULL), ST_OK);
    be->ops->discard(be, prog);
    be->ops->release(be, prepared);
    be->ops->close(be);
    return out;
}

/* Three tokens through two of eight experts each: five run, one of them for two tokens. */
static void a_trace_counts_the_experts_that_ran(void **state)
{
    enum { EXPERTS = 8, K = 2, T = 3, H = 16, I = 24 };
    static const float logits[T * EXPERTS] = { 1, 9, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0,
                                               0, 3, 3, 0, 1, 1, 1, 1, 1, 1, 1, 2 };
    static float x[T * H], y[T * H], fc1[EXPERTS * I * H], fc2[EXPERTS * H * I];
    static struct segment_builder b;
    const int in = sb_value(&b, SEG_INPUT, DT_F32, SB_DIMS(DIM_TOKENS, H), NULL);
    const int router = sb_value(&b, SEG_INPUT, DT_F32, SB_DIMS(DIM_TOKENS, EXPERTS), NULL);
    const int w1 = sb_value(&b, SEG_CONST, DT_F32, SB_DIMS(EXPERTS, I, H), fc1);
    const int w2 = sb_value(&b, SEG_CONST, DT_F32, SB_DIMS(EXPERTS, H, I), fc2);
    const int out = sb_value(&b, SEG_OUTPUT, DT_F32, SB_DIMS(DIM_TOKENS, H), NULL);
    const union op_attrs attr = {
        .moe = { .k = K, .activation_type = "silu", .swiglu_limit = 3.4e38F, .quant_type = "int" }
    };

    (void)state;
    sb_node(&b, OP_MOE, &attr, SB_LIST(in, router, w1, -1, w2), SB_LIST(out));
    sb_bind(&b, in, T, x);
    sb_bind(&b, router, T, (float *)(uintptr_t)logits);
    sb_bind(&b, out, T, y);
    const struct step_seq seq = { .n_tokens = T };
    struct str json = trace_once(&b, &(struct step){ .n_tokens = T,
                                                     .n_seqs = 1,
                                                     .seqs = &seq,
                                                     .bindings = b.bindings,
                                                     .n_bindings = b.n_bindings });
    /* tokens choose {1, 2}, {2, 5} (equal ones by index), {7, 0} */
    assert_true(field(str_cstr(&json), "\"node\":\"one\"", "bytes") ==
                4.0 * (5 * 2 * H * I + T * (H + EXPERTS + H)));
    assert_true(field(str_cstr(&json), "\"node\":\"one\"", "ops") == 2.0 * T * K * 2 * H * I);
    str_fini(&json);
}

/* Sequences of 5 and 4 tokens: each over its own, both ways, whole or within a window. */
static void a_trace_counts_self_attention(void **state)
{
    enum { HEADS = 2, DIM = 8, WIDTH = HEADS * DIM, T = 9 };
    static const struct {
        int64_t left, right;
        double pairs;
    } cases[] = { { -1, -1, 25 + 16 }, { 1, -1, 19 + 13 }, { 1, 0, 9 + 7 } };
    static float q[T * WIDTH], k[T * WIDTH], v[T * WIDTH], y[T * WIDTH];
    const struct step_seq seqs[] = { { .n_tokens = 5 }, { .first = 5, .n_tokens = 4 } };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        static struct segment_builder b;
        float *const data[] = { q, k, v, y };
        int at[4];

        b = (struct segment_builder){ 0 };
        for (int n = 0; n < 4; n++) {
            at[n] = sb_value(&b, n < 3 ? SEG_INPUT : SEG_OUTPUT, DT_F32, SB_DIMS(DIM_TOKENS, WIDTH),
                             NULL);
            sb_bind(&b, at[n], T, data[n]);
        }
        const union op_attrs attr = { .selfattn = { .num_heads = HEADS,
                                                    .kv_num_heads = HEADS,
                                                    .head_dim = DIM,
                                                    .left = cases[i].left,
                                                    .right = cases[i].right } };
        sb_node(&b, OP_SELFATTN, &attr, SB_LIST(at[0], at[1], at[2]), SB_LIST(at[3]));
        struct str json = trace_once(&b, &(struct step){ .n_tokens = T,
                                                         .n_seqs = COUNT(seqs),
                                                         .seqs = seqs,
                                                         .bindings = b.bindings,
                                                         .n_bindings = b.n_bindings });
        /* scores and sums: two products of head_dim, two operations a multiply-add */
        assert_true(field(str_cstr(&json), "\"node\":\"one\"", "ops") ==
                    cases[i].pairs * 4 * WIDTH);
        assert_true(field(str_cstr(&json), "\"node\":\"one\"", "bytes") == 4.0 * 4 * T * WIDTH);
        str_fini(&json);
    }
}

/* ---- mirror ---- */

static struct backend_ops spoiled_ops;
static int executions, spoil_at;

/* Adds 10000 to the last number that the chosen execution wrote. */
static status spoiled_execute(struct backend *be, struct program *prog, const struct step *step,
                              struct err *err)
{
    TRY(backend_find("cpu")->execute(be, prog, step, err));
    if (++executions != spoil_at) return ST_OK;
    const struct tensor *out = &step->bindings[step->n_bindings - 1].tensor;
    ((float *)out->data)[out->type.dim[0] * out->type.dim[1] - 1] += 1e4F;
    return ST_OK;
}

static void a_mirror_agrees(void **state)
{
    static float plain[ROWS * HIDDEN], mirrored[ROWS * HIDDEN];
    struct backend *cpu = open_cpu(NULL), *be = NULL;
    struct str out = { 0 };

    (void)state;
    run_on(cpu, plain);
    assert_int_equal(backend_mirror_wrap(&be, cpu, open_cpu("scalar"), NULL), ST_OK);
    struct made m = make(be);
    const uint64_t before = mem_alloc_count();
    assert_int_equal(run(be, m.prog, mirrored, NULL), ST_OK);
    assert_int_equal(mem_alloc_count(), before);
    assert_memory_equal(mirrored, plain, sizeof plain);
    assert_int_equal(backend_mirror_print(be, true, &out, NULL), ST_OK);
    const char *json = str_cstr(&out);
    assert_true(field(json, "\"op\":\"cupola.Linear\"", "runs") == 3);
    assert_true(field(json, "\"op\":\"cupola.Linear\"", "largest_difference") < 1e-5);
    str_fini(&out);
    unmake(be, &m);
    be->ops->close(be);
}

static void a_mirror_names_the_first_node_that_differs(void **state)
{
    static float out[ROWS * HIDDEN];

    (void)state;
    spoiled_ops = *backend_find("cpu");
    spoiled_ops.execute = spoiled_execute;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct backend *cpu = open_cpu(NULL), *be = NULL;
        struct err err = { 0 };

        cpu->ops = &spoiled_ops;
        assert_int_equal(backend_mirror_wrap(&be, cpu, open_cpu("scalar"), NULL), ST_OK);
        struct made m = make(be);
        executions = 0;
        spoil_at = (int)i + 1;
        assert_int_equal(run(be, m.prog, out, &err), ST_INTERNAL);
        assert_int_equal(strncmp(err.text, names[i], strlen(names[i])), 0);
        assert_non_null(strstr(err.text, "the reference's"));
        unmake(be, &m);
        be->ops->close(be);
    }
}

/* A failed allocation while compiling leaves nothing behind. */
static void every_failed_allocation_is_reported(void **state)
{
    int failures = 0;

    (void)state;
    for (int mirror = 0; mirror < 2; mirror++) {
        struct backend *cpu = open_cpu(NULL), *be = NULL;
        const struct segment seg = sb_segment(&mlp.b, TOKENS, ROWS, 1);

        assert_int_equal(mirror ? backend_mirror_wrap(&be, cpu, open_cpu("scalar"), NULL)
                                : backend_trace_wrap(&be, cpu, NULL),
                         ST_OK);
        for (uint64_t n = 1;; n++) {
            struct program *prog = NULL;
            mem_fail_after(n, 0);
            const status st = be->ops->compile(be, &seg, &prog, NULL);
            mem_fail_after(0, 0);
            be->ops->discard(be, prog);
            if (st == ST_OK) break;
            assert_int_equal(st, ST_NOMEM);
            failures++;
        }
        be->ops->close(be);
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backends_of_two_caps_keep_their_kernels),
        cmocka_unit_test(a_trace_counts_every_node),
        cmocka_unit_test(a_trace_counts_the_experts_that_ran),
        cmocka_unit_test(a_trace_counts_self_attention),
        cmocka_unit_test(a_mirror_agrees),
        cmocka_unit_test(a_mirror_names_the_first_node_that_differs),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
