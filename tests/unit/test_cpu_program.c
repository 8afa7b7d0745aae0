/* SPDX-License-Identifier: MIT */
/* Compiled programs of the cpu backend: no allocation, the same bits for any number of threads and
 * for any rows beside one's own, errors that name what is wrong and leave the backend usable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/helper_segment.h"

enum { HIDDEN = 72, INNER = 200, TOKENS = 150 };

/* norm -> linear (gate, up) -> gate -> linear -> residual: an MLP with one kind of weights. */
struct mlp {
    struct segment_builder b;
    struct backend *be;
    struct program *prog;
    int x, y;
    float norm[HIDDEN], wf[2][INNER * HIDDEN], scales[2][INNER * HIDDEN / 16];
    uint8_t wq[2][INNER * HIDDEN];
};

struct kind {
    int bits, accuracy_level, block;
};

static int mlp_linear(struct mlp *m, const struct kind *k, int which, int in, int64_t n,
                      int64_t kdim)
{
    struct segment_builder *b = &m->b;
    union op_attrs a = { .linear = { .k = kdim,
                                     .n = n,
                                     .bits = k->bits,
                                     .block_size = k->block,
                                     .accuracy_level = k->accuracy_level } };
    const int out = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(DIM_TOKENS, n), NULL);

    if (k->bits == 0) {
        const int w = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(kdim, n), m->wf[which]);
        sb_node(b, OP_LINEAR, &a, SB_LIST(in, w), SB_LIST(out));
        return out;
    }
    const int64_t blocks = (kdim + k->block - 1) / k->block;
    const int w =
        sb_value(b, SEG_CONST, DT_U8, SB_DIMS(n, blocks, k->block * k->bits / 8), m->wq[which]);
    const int s = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(n, blocks), m->scales[which]);
    sb_node(b, OP_LINEAR, &a, SB_LIST(in, w, s), SB_LIST(out));
    return out;
}

static void mlp_open(struct mlp *m, const struct kind *k, int n_threads, int tokens_max)
{
    const struct backend_config cfg = { .n_threads = n_threads };
    struct segment_builder *b = &m->b;
    struct err err = { 0 };

    memset(m, 0, sizeof *m);
    fill_floats(m->norm, HIDDEN, 1);
    for (int i = 0; i < 2; i++) {
        fill_floats(m->wf[i], COUNT(m->wf[i]), 2 + (uint32_t)i);
        fill_floats(m->scales[i], COUNT(m->scales[i]), 4 + (uint32_t)i);
        fill_bytes(m->wq[i], sizeof m->wq[i], 6 + (uint32_t)i);
    }
    m->x = sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(DIM_TOKENS, HIDDEN), NULL);
    m->y = sb_value(b, SEG_OUTPUT, DT_F32, SB_DIMS(DIM_TOKENS, HIDDEN), NULL);
    const int w = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(HIDDEN), m->norm);
    const int n = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(DIM_TOKENS, HIDDEN), NULL);
    const int g = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(DIM_TOKENS, INNER / 2), NULL);
    sb_node(b, OP_RMSNORM, &(union op_attrs){ .rmsnorm = { .axis = -1, .epsilon = 1e-5f } },
            SB_LIST(m->x, w), SB_LIST(n));
    const int up = mlp_linear(m, k, 0, n, INNER, HIDDEN);
    sb_node(b, OP_GATEDACT, &(union op_attrs){ .gated = { .act = "silu" } }, SB_LIST(up),
            SB_LIST(g));
    const int down = mlp_linear(m, k, 1, g, HIDDEN, INNER / 2);
    sb_node(b, OP_ADD, NULL, SB_LIST(down, m->x), SB_LIST(m->y));
    assert_int_equal(backend_find("cpu")->open(&m->be, &cfg, &err), ST_OK);
    const struct segment seg = sb_segment(b, tokens_max, 1, 1);
    if (m->be->ops->compile(m->be, &seg, &m->prog, &err) != ST_OK) fail_msg("%s", err.text);
}

static void mlp_run(struct mlp *m, float *x, int n, float *y)
{
    struct err err = { 0 };

    sb_bind(&m->b, m->x, n, x);
    sb_bind(&m->b, m->y, n, y);
    const struct step step = { .n_tokens = n,
                               .bindings = m->b.bindings,
                               .n_bindings = m->b.n_bindings };
    if (m->be->ops->execute(m->be, m->prog, &step, &err) != ST_OK) fail_msg("%s", err.text);
}

static void mlp_close(struct mlp *m)
{
    m->be->ops->discard(m->be, m->prog);
    m->be->ops->close(m->be);
}

static const struct kind kinds[] = {
    { 0, 0, 0 }, { 4, 4, 32 }, { 4, 0, 32 }, { 8, 4, 16 }, { 8, 0, 64 }
};

static struct mlp mlp;
static float x[TOKENS * HIDDEN], y[TOKENS * HIDDEN], z[TOKENS * HIDDEN];

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    fill_floats(x, COUNT(x), 9);
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (int n = 1; n <= TOKENS; n += 149)
            for (int threads = 1; threads <= 5; threads++) {
                mlp_open(&mlp, &kinds[k], threads, TOKENS);
                mlp_run(&mlp, x, n, threads == 1 ? y : z);
                mlp_close(&mlp);
                if (threads > 1) assert_memory_equal(y, z, (size_t)n * HIDDEN * sizeof *y);
            }
}

static void row_bits_do_not_depend_on_other_rows(void **state)
{
    static const int sizes[] = { 1, 2, 3, 5, 8, 9, 17, 64, 65, 150 };

    (void)state;
    fill_floats(x, COUNT(x), 9);
    for (size_t k = 0; k < COUNT(kinds); k++) {
        mlp_open(&mlp, &kinds[k], 2, TOKENS);
        mlp_run(&mlp, x, TOKENS, y);
        for (size_t s = 0; s < COUNT(sizes); s++)
            for (int at = 0; at + sizes[s] <= TOKENS; at += sizes[s] + 13) {
                mlp_run(&mlp, x + at * HIDDEN, sizes[s], z);
                assert_memory_equal(y + at * HIDDEN, z, (size_t)(sizes[s] * HIDDEN) * sizeof *y);
            }
        mlp_close(&mlp);
    }
}

static void execute_allocates_nothing(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        mlp_open(&mlp, &kinds[k], 3, TOKENS);
        const uint64_t before = mem_alloc_count();
        for (int n = 1; n <= TOKENS; n += 37) mlp_run(&mlp, x, n, y);
        assert_int_equal(mem_alloc_count(), before);
        mlp_close(&mlp);
    }
}

static void strict_precision_uses_float_activations(void **state)
{
    const struct backend_config cfg = { .n_threads = 1, .precision = "strict" };
    static struct mlp loose, strict;
    struct err err = { 0 };

    (void)state;
    mlp_open(&loose, &kinds[2], 1, TOKENS); /* accuracy_level 0 */
    mlp_open(&strict, &kinds[1], 1, TOKENS);
    mlp_close(&strict);
    assert_int_equal(backend_find("cpu")->open(&strict.be, &cfg, &err), ST_OK);
    const struct segment seg = sb_segment(&strict.b, TOKENS, 1, 1);
    assert_int_equal(strict.be->ops->compile(strict.be, &seg, &strict.prog, &err), ST_OK);
    mlp_run(&loose, x, 10, y);
    mlp_run(&strict, x, 10, z);
    mlp_close(&loose);
    mlp_close(&strict);
    assert_memory_equal(y, z, 10 * HIDDEN * sizeof *y);
}

/* ---- errors ---- */

static void expect_error(struct mlp *m, const struct step *step, status want, const char *text)
{
    struct err err = { 0 };

    assert_int_equal(m->be->ops->execute(m->be, m->prog, step, &err), want);
    if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
}

static void wrong_steps_are_refused(void **state)
{
    struct binding two[2];

    (void)state;
    mlp_open(&mlp, &kinds[1], 2, 8);
    sb_bind(&mlp.b, mlp.x, 3, x);
    sb_bind(&mlp.b, mlp.y, 3, y);
    memcpy(two, mlp.b.bindings, sizeof two);
    struct step step = { .n_tokens = 9, .bindings = two, .n_bindings = 2 };
    expect_error(&mlp, &step, ST_LIMIT, "9 tokens");
    step.n_tokens = 4; /* bound for 3 */
    expect_error(&mlp, &step, ST_SHAPE, "expected");
    step.n_tokens = 3;
    step.n_bindings = 1;
    expect_error(&mlp, &step, ST_INVALID, "1 bindings");
    step.n_bindings = 2;
    two[1] = two[0];
    expect_error(&mlp, &step, ST_INVALID, "twice");
    mlp_run(&mlp, x, 3, y);
    mlp_close(&mlp);
}

/* A failing step between others: all workers leave by the same door, and the next run works. */
static void failing_operator_stops_all_workers(void **state)
{
    static float table[10 * 4], out[4 * 4];
    static int64_t ids[4] = { 1, 2, 3, 99 };
    struct segment_builder *b = &mlp.b;
    const struct backend_config cfg = { .n_threads = 4 };
    struct backend *be;
    struct program *p;
    struct err err = { 0 };

    (void)state;
    *b = (struct segment_builder){ 0 };
    const int i = sb_value(b, SEG_INPUT, DT_I64, SB_DIMS(4), NULL);
    const int w = sb_value(b, SEG_CONST, DT_F32, SB_DIMS(10, 4), table);
    const int e = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(4, 4), NULL);
    const int s = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(4, 4), NULL);
    const int o = sb_value(b, SEG_OUTPUT, DT_F32, SB_DIMS(4, 4), NULL);
    sb_node(b, OP_GATHER, NULL, SB_LIST(w, i), SB_LIST(e));
    sb_node(b, OP_EXP, NULL, SB_LIST(e), SB_LIST(s));
    sb_node(b, OP_NEG, NULL, SB_LIST(s), SB_LIST(o));
    assert_int_equal(backend_find("cpu")->open(&be, &cfg, &err), ST_OK);
    const struct segment seg = sb_segment(b, 1, 1, 1);
    assert_int_equal(be->ops->compile(be, &seg, &p, &err), ST_OK);
    sb_bind(b, i, 0, ids);
    sb_bind(b, o, 0, out);
    const struct step step = { .bindings = b->bindings, .n_bindings = 2 };
    for (int run = 0; run < 300; run++) {
        ids[3] = run % 2 ? 3 : 99;
        err_clear(&err);
        assert_int_equal(be->ops->execute(be, p, &step, &err), run % 2 ? ST_OK : ST_INVALID);
        if (run % 2 == 0) assert_string_equal(err.text, "node: index 99 of 10 entries");
        if (run % 2) assert_true(out[15] == -1.0f);
    }
    be->ops->discard(be, p);
    be->ops->close(be);
}

/* ---- weights that two nodes read ---- */

enum { TIED_K = 5, TIED_N = 35 };

/* What prepare makes of a head of `w` [K, N] and of the embedding that is its transpose. */
static void tied_prepare(struct backend *be, enum dtype dt, void *w, struct prepared *p[2])
{
    struct tensor in[2] = { { .type = type_make(DT_I64, 1, (int64_t[]){ DIM_TOKENS }) } };
    struct tensor out = { .type = type_make(dt, 2, (int64_t[]){ DIM_TOKENS, TIED_K }) };
    const struct tensor weights = { .type = type_make(dt, 2, (int64_t[]){ TIED_K, TIED_N }),
                                    .data = w };
    struct op_call c = {
        .op = OP_GATHERCOLS, .node = "embed", .n_in = 2, .n_out = 1, .in = in, .out = &out
    };
    struct err err = { 0 };

    in[1] = in[0];
    in[0] = weights;
    assert_int_equal(be->ops->prepare(be, &c, &p[0], &err), ST_OK);
    in[1] = weights;
    in[0].type = type_make(DT_F32, 2, (int64_t[]){ DIM_ROWS, TIED_K });
    in[0].data = NULL;
    out.type = type_make(DT_F32, 2, (int64_t[]){ DIM_ROWS, TIED_N });
    c.op = OP_LINEAR, c.node = "head";
    c.attr.linear = (struct attrs_linear){ .k = TIED_K, .n = TIED_N };
    assert_int_equal(be->ops->prepare(be, &c, &p[1], &err), ST_OK);
}

/* Both nodes in one program, ids 0 34 -1 16: the embedding is exact, the head multiplies. */
static void tied_run(struct backend *be, enum dtype dt, void *w, struct prepared *const p[2])
{
    static float in[TIED_K], out[TIED_N];
    static int64_t ids[4] = { 0, TIED_N - 1, -1, 16 };
    char e[4 * TIED_K * sizeof(float)];
    struct segment_builder *b = &mlp.b;
    const size_t size = dtype_bits(dt) / 8;
    struct program *prog;
    struct err err = { 0 };

    *b = (struct segment_builder){ 0 };
    const union op_attrs a = { .linear = { .k = TIED_K, .n = TIED_N } };
    const int i = sb_value(b, SEG_INPUT, DT_I64, SB_DIMS(4), NULL);
    const int c = sb_value(b, SEG_CONST, dt, SB_DIMS(TIED_K, TIED_N), w);
    const int o = sb_value(b, SEG_OUTPUT, dt, SB_DIMS(4, TIED_K), NULL);
    const int h = sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(1, TIED_K), NULL);
    const int l = sb_value(b, SEG_OUTPUT, DT_F32, SB_DIMS(1, TIED_N), NULL);
    sb_node(b, OP_GATHERCOLS, NULL, SB_LIST(c, i), SB_LIST(o));
    sb_node(b, OP_LINEAR, &a, SB_LIST(h, c), SB_LIST(l));
    for (int k = 0; k < 2; k++) b->nodes[k].prepared = p[k];
    const struct segment seg = sb_segment(b, 4, 1, 1);
    assert_int_equal(be->ops->compile(be, &seg, &prog, &err), ST_OK);
    sb_bind(b, i, 0, ids);
    sb_bind(b, o, 0, e);
    sb_bind(b, h, 0, in);
    sb_bind(b, l, 0, out);
    in[2] = 1;
    const struct step step = { .bindings = b->bindings, .n_bindings = 4 };
    assert_int_equal(be->ops->execute(be, prog, &step, &err), ST_OK);
    for (int t = 0; t < 4; t++)
        for (int k = 0; k < TIED_K; k++)
            assert_memory_equal(
                e + (size_t)(t * TIED_K + k) * size,
                (char *)w + (size_t)(k * TIED_N + (ids[t] + TIED_N) % TIED_N) * size, size);
    if (dt == DT_F32) assert_memory_equal(out, (float *)w + 2 * TIED_N, sizeof out);
    ids[3] = TIED_N;
    assert_int_equal(be->ops->execute(be, prog, &step, &err), ST_INVALID);
    assert_string_equal(err.text, "node: index 35 of 35 entries");
    ids[3] = 16;
    be->ops->discard(be, prog);
}

static void embedding_and_head_are_packed_once(void **state)
{
    static const enum dtype types[] = { DT_F32, DT_F16, DT_BF16 };
    const struct backend_config cfg = { .n_threads = 2 };
    float w[TIED_K * TIED_N];
    struct backend *be;
    struct err err = { 0 };

    (void)state;
    fill_floats(w, TIED_K * TIED_N, 5);
    assert_int_equal(backend_find("cpu")->open(&be, &cfg, &err), ST_OK);
    for (size_t i = 0; i < COUNT(types); i++) {
        struct prepared *p[2];

        tied_prepare(be, types[i], w, p);
        assert_int_equal(p[0]->bytes, 48 * TIED_K * dtype_bits(types[i]) / 8);
        assert_int_equal(p[1]->bytes, 0);
        tied_run(be, types[i], w, p);
        be->ops->release(be, p[0]); /* the other has the panels still */
        p[0] = NULL;
        tied_run(be, types[i], w, p);
        be->ops->release(be, p[1]);
        w[7] += 1; /* others' weights by now: nothing is kept of them */
    }
    be->ops->close(be);
}

static void constants_that_do_not_fit_are_refused(void **state)
{
    const struct backend_config cfg = { .n_threads = 1 };
    union op_attrs a = { .linear = { .k = 64, .n = 16, .bits = 4, .block_size = 32 } };
    static uint8_t w[16 * 32];
    static float scales[16 * 2];
    struct backend *be;
    struct prepared *p;
    struct tensor in[4] = { 0 }, out = { 0 };
    struct op_call c = {
        .op = OP_LINEAR, .node = "lin", .attr = a, .n_in = 4, .n_out = 1, .in = in, .out = &out
    };
    struct err err = { 0 };

    (void)state;
    assert_int_equal(backend_find("cpu")->open(&be, &cfg, &err), ST_OK);
    in[0].type = type_make(DT_F32, 2, (const int64_t[]){ 1, 64 });
    in[1] = (struct tensor){ type_make(DT_U8, 3, (const int64_t[]){ 16, 2, 16 }), w };
    in[2] = (struct tensor){ type_make(DT_F32, 2, (const int64_t[]){ 16, 1 }), scales };
    assert_int_equal(be->ops->prepare(be, &c, &p, &err), ST_SHAPE);
    assert_non_null(strstr(err.text, "lin: scales"));
    err_clear(&err);
    in[2].type.dim[1] = 2;
    c.attr.linear.block_size = 48;
    assert_int_equal(be->ops->prepare(be, &c, &p, &err), ST_UNSUPPORTED);
    err_clear(&err);
    c.attr.linear.block_size = 32;
    c.attr.linear.n = INT64_MAX / 2;
    assert_int_not_equal(be->ops->prepare(be, &c, &p, &err), ST_OK);
    c.attr.linear.n = 16;
    assert_int_equal(be->ops->prepare(be, &c, &p, NULL), ST_OK);
    be->ops->release(be, p);
    be->ops->close(be);
}

/* An allocation that fails anywhere in open, compile: an error, nothing leaked (ASan sees). */
static void failing_allocations_are_reported(void **state)
{
    const struct backend_config cfg = { .n_threads = 2 };

    (void)state;
    mlp_open(&mlp, &kinds[1], 2, TOKENS);
    const struct segment seg = sb_segment(&mlp.b, TOKENS, 1, 1);
    for (uint64_t n = 1;; n++) {
        struct backend *be = NULL;
        struct program *p = NULL;
        struct err err = { 0 };

        mem_fail_after(n, 1);
        status st = backend_find("cpu")->open(&be, &cfg, &err);
        if (st == ST_OK) st = be->ops->compile(be, &seg, &p, &err);
        mem_fail_after(0, 0);
        if (p) be->ops->discard(be, p);
        if (be) be->ops->close(be);
        if (st == ST_OK) break;
        assert_int_equal(st, ST_NOMEM);
        assert_true(n < 1000);
    }
    mlp_close(&mlp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(row_bits_do_not_depend_on_other_rows),
        cmocka_unit_test(execute_allocates_nothing),
        cmocka_unit_test(strict_precision_uses_float_activations),
        cmocka_unit_test(wrong_steps_are_refused),
        cmocka_unit_test(failing_operator_stops_all_workers),
        cmocka_unit_test(embedding_and_head_are_packed_once),
        cmocka_unit_test(constants_that_do_not_fit_are_refused),
        cmocka_unit_test(failing_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
