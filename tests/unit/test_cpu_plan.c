/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "backends/cpu/cpu_run.h"
#include "tests/unit/helper_segment.h"

static struct segment_builder builder;

static void chain_of_unary_ops_shares_one_buffer(void **state)
{
    struct segment_builder *b = &builder;
    int64_t offset[SB_MAX];
    size_t bytes;

    (void)state;
    *b = (struct segment_builder){ 0 };
    int last = sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(DIM_TOKENS, 100), NULL);
    for (int i = 0; i < 10; i++) {
        const int v = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(DIM_TOKENS, 100), NULL);
        sb_node(b, i % 2 ? OP_NEG : OP_EXP, NULL, SB_LIST(last), SB_LIST(v));
        last = v;
    }
    const struct segment seg = sb_segment(b, 7, 1, 1);
    assert_int_equal(cpu_plan_temps(&seg, offset, &bytes, NULL), ST_OK);
    assert_int_equal(bytes, (7 * 100 * 4 + 63) / 64 * 64);
    assert_int_equal(offset[0], -1);
    for (int v = 1; v < b->n_values; v++) assert_int_equal(offset[v], 0);
}

static void input_that_is_read_later_is_not_overwritten(void **state)
{
    struct segment_builder *b = &builder;
    int64_t offset[SB_MAX];
    size_t bytes;

    (void)state;
    *b = (struct segment_builder){ 0 };
    const int x = sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(8), NULL);
    const int t = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(8), NULL);
    const int u = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(8), NULL);
    const int y = sb_value(b, SEG_OUTPUT, DT_F32, SB_DIMS(8), NULL);
    sb_node(b, OP_NEG, NULL, SB_LIST(x), SB_LIST(t));
    sb_node(b, OP_EXP, NULL, SB_LIST(t), SB_LIST(u));
    sb_node(b, OP_ADD, NULL, SB_LIST(t, u), SB_LIST(y));
    const struct segment seg = sb_segment(b, 1, 1, 1);
    assert_int_equal(cpu_plan_temps(&seg, offset, &bytes, NULL), ST_OK);
    assert_int_not_equal(offset[t], offset[u]);
}

static void smaller_input_is_not_overwritten_by_broadcast(void **state)
{
    struct segment_builder *b = &builder;
    int64_t offset[SB_MAX];
    size_t bytes;

    (void)state;
    *b = (struct segment_builder){ 0 };
    const int x = sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(1, 64), NULL);
    const int w = sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(9, 64), NULL);
    const int t = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(1, 64), NULL);
    const int u = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(9, 64), NULL);
    sb_node(b, OP_NEG, NULL, SB_LIST(x), SB_LIST(t));
    sb_node(b, OP_ADD, NULL, SB_LIST(t, w), SB_LIST(u));
    const struct segment seg = sb_segment(b, 1, 1, 1);
    assert_int_equal(cpu_plan_temps(&seg, offset, &bytes, NULL), ST_OK);
    assert_int_equal(bytes, 64 * 4 * 10);
}

/* Lifetime of a value: first and last node that names it. */
static void lifetime(const struct segment_builder *b, int v, int *first, int *last)
{
    *first = SB_MAX;
    *last = -1;
    for (int n = 0; n < b->n_nodes; n++)
        for (int i = 0; i < SB_ARGS; i++) {
            const bool named = (i < b->nodes[n].call.n_in && b->nodes[n].in[i] == v) ||
                               (i < b->nodes[n].call.n_out && b->nodes[n].out[i] == v);
            if (named && *first == SB_MAX) *first = n;
            if (named) *last = n;
        }
}

/* Random graphs of an operator without in-place: values that live together must not overlap. */
static void random_graphs_never_overlap(void **state)
{
    struct segment_builder *b = &builder;
    int64_t offset[SB_MAX];

    (void)state;
    for (uint32_t seed = 1; seed <= 200; seed++) {
        uint8_t r[SB_MAX * 4];
        size_t bytes, sum = 0;

        fill_bytes(r, sizeof r, seed);
        *b = (struct segment_builder){ 0 };
        sb_value(b, SEG_INPUT, DT_F32, SB_DIMS(10), NULL);
        for (int i = 1; i < 40; i++) {
            const int64_t n = r[i] % 5 == 0 ? 1000 : r[i];
            const int v = sb_value(b, SEG_TEMP, DT_F32, SB_DIMS(n), NULL);
            sb_node(b, OP_CONCAT, NULL, SB_LIST(r[64 + i] % v, r[128 + i] % v), SB_LIST(v));
            sum += (size_t)(n * 4 + 63) / 64 * 64;
        }
        const struct segment seg = sb_segment(b, 1, 1, 1);
        assert_int_equal(cpu_plan_temps(&seg, offset, &bytes, NULL), ST_OK);
        assert_true(bytes <= sum);
        for (int x = 1; x < 40; x++)
            for (int y = x + 1; y < 40; y++) {
                int fx, lx, fy, ly;
                lifetime(b, x, &fx, &lx);
                lifetime(b, y, &fy, &ly);
                if (fx > ly || fy > lx) continue;
                const int64_t nx = b->values[x].type.dim[0] * 4, ny = b->values[y].type.dim[0] * 4;
                assert_true(offset[x] + nx <= offset[y] || offset[y] + ny <= offset[x] || !nx ||
                            !ny);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_of_unary_ops_shares_one_buffer),
        cmocka_unit_test(input_that_is_read_later_is_not_overwritten),
        cmocka_unit_test(smaller_input_is_not_overwritten_by_broadcast),
        cmocka_unit_test(random_graphs_never_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
