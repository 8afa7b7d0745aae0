/* SPDX-License-Identifier: MIT */
/* Graphs: editing keeps uses, order and clones right; checking finds what is wrong. */
#include "helper_graph.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static const char chain[] =
    "graph g { in x: f32[2]  a = Relu(x)  b = Neg(a)  c = Add(a, b)  out c }";

static int value(const struct graph *g, const char *name)
{
    const int v = graph_find_value(g, name);
    assert_true(v >= 0);
    return v;
}

static void counts_uses_of_nodes_and_outputs(void **state)
{
    struct graph *g = graph_of("graph g { in x: f32[2]  a = Add(x, x)  out a, a, x }");

    (void)state;
    assert_int_equal(graph_uses(g, value(g, "x")), 3);
    assert_int_equal(graph_uses(g, value(g, "a")), 2);
    assert_int_equal(graph_uses(g, -1), 0);
    graph_destroy(g);
}

static void finds_users_in_order(void **state)
{
    struct graph *g = graph_of(chain);
    const int a = value(g, "a");

    (void)state;
    assert_int_equal(graph_next_user(g, a, -1), 1);
    assert_int_equal(graph_next_user(g, a, 1), 2);
    assert_int_equal(graph_next_user(g, a, 2), -1);
    assert_ptr_equal(graph_producer(g, a), &g->nodes[0]);
    assert_null(graph_producer(g, value(g, "x")));
    graph_destroy(g);
}

static void replaces_every_use(void **state)
{
    struct graph *g = graph_of(chain);

    (void)state;
    graph_replace_uses(g, value(g, "a"), value(g, "x"));
    graph_replace_uses(g, value(g, "c"), value(g, "b"));
    assert_int_equal(graph_uses(g, value(g, "a")), 0);
    assert_int_equal(graph_uses(g, value(g, "x")), 3);
    graph_remove_node(g, 2);
    graph_remove_node(g, 0);
    assert_int_equal(graph_uses(g, value(g, "x")), 1);
    assert_int_equal(graph_compact(g, NULL), ST_OK);
    assert_int_equal(graph_check(g, NULL), ST_OK);
    assert_listing(g, "graph g { in x: f32[2]  b = Neg(x) as Neg_1  out b }");
    graph_destroy(g);
}

static void replaces_uses_within_subgraphs(void **state)
{
    struct graph *g = graph_of("graph g { in c: bool[]  in x: f32[2]  r = Relu(x)\n"
                               "y = If(c) { then_branch: graph t { n = Neg(r)  out n },\n"
                               "            else_branch: graph e { out r } }  out y }");
    const int r = value(g, "r"), x = value(g, "x");

    (void)state;
    assert_int_equal(graph_uses(g, r), 2);
    assert_int_equal(graph_next_user(g, r, -1), 1);
    graph_replace_uses(g, r, x);
    assert_int_equal(graph_uses(g, r), 0);
    assert_int_equal(graph_uses(g, x), 3);
    struct graph *then = graph_node_branch(&g->nodes[1], "then_branch");
    assert_int_equal(then->values[value(then, "r")].captured, x);
    assert_ptr_equal(then->outer, g);
    graph_remove_node(g, 0);
    assert_int_equal(graph_compact(g, NULL), ST_OK);
    assert_int_equal(then->outer_node, 0);
    assert_int_equal(graph_check(g, NULL), ST_OK);
    graph_destroy(g);
}

static void sorts_appended_nodes_before_their_users(void **state)
{
    struct graph *g = graph_of(chain);
    const int x = value(g, "x"), fresh = graph_add_value(g, "a", NULL);

    (void)state;
    assert_string_not_equal(g->values[fresh].name, "a"); /* the name was taken */
    assert_int_equal(graph_add_node(g, &(struct graph_node){ .op = OP_ABS,
                                                             .version = 13,
                                                             .name = "abs",
                                                             .in = &x,
                                                             .n_in = 1,
                                                             .out = &fresh,
                                                             .n_out = 1 }),
                     3);
    graph_replace_uses(g, value(g, "a"), fresh);
    assert_int_equal(graph_check(g, NULL), ST_FORMAT); /* used before it is made */
    graph_remove_node(g, 0);
    assert_int_equal(graph_compact(g, NULL), ST_OK);
    assert_int_equal(graph_check(g, NULL), ST_OK);
    assert_int_equal(g->n_nodes, 3);
    assert_int_equal(g->nodes[0].op, OP_ABS);
    assert_int_equal(g->nodes[1].op, OP_NEG);
    assert_int_equal(g->values[fresh].producer, 0);
    graph_destroy(g);
}

static void refuses_cycles(void **state)
{
    struct graph *g = graph_of(chain);
    struct err err = { 0 };

    (void)state;
    graph_set_input(g, 0, 0, value(g, "b"));
    assert_int_equal(graph_compact(g, &err), ST_FORMAT);
    assert_non_null(strstr(err.text, "depend on its own output"));
    graph_destroy(g);
}

static void sorts_a_long_chain_without_recursion(void **state)
{
    enum { N = 200000 };
    struct graph *g = NULL;
    const struct tensor_type t = type_make(DT_F32, 0, NULL);

    (void)state;
    assert_int_equal(graph_create(&g, "long", NULL), ST_OK);
    int *v = mem_alloc((N + 1) * sizeof *v);
    for (int i = 0; i <= N; i++) v[i] = graph_add_value(g, NULL, &t);
    for (int i = N; i > 0; i--) /* last node first */
        assert_int_equal(graph_add_node(g, &(struct graph_node){ .op = OP_NEG,
                                                                 .version = 13,
                                                                 .in = &v[i - 1],
                                                                 .n_in = 1,
                                                                 .out = &v[i],
                                                                 .n_out = 1 }),
                         N - i);
    assert_int_equal(graph_set_inputs(g, &v[0], 1, NULL), ST_OK);
    assert_int_equal(graph_set_outputs(g, &v[N], 1, NULL), ST_OK);
    assert_int_equal(graph_compact(g, NULL), ST_OK);
    assert_int_equal(graph_check(g, NULL), ST_OK);
    assert_int_equal(g->values[v[1]].producer, 0);
    assert_int_equal(graph_infer(g, NULL), ST_OK);
    mem_free(v);
    graph_destroy(g);
}

static void clones_are_edited_apart(void **state)
{
    struct graph *g = graph_of("graph g { in c: bool[]  in x: f32[2]  r = Relu(x)\n"
                               "y = If(c) { then_branch: graph t { n = Neg(r)  out n },\n"
                               "            else_branch: graph e { out r } }  out y }"),
                 *c = NULL;
    char *before = listing_of(g);

    (void)state;
    assert_int_equal(graph_clone(g, &c, NULL), ST_OK);
    graph_replace_uses(c, value(c, "r"), value(c, "x"));
    graph_remove_node(c, 0);
    assert_int_equal(graph_compact(c, NULL), ST_OK);
    assert_int_equal(graph_check(c, NULL), ST_OK);
    char *after = listing_of(g);
    assert_string_equal(before, after);
    assert_int_equal(graph_check(g, NULL), ST_OK);
    mem_free(before);
    mem_free(after);
    graph_destroy(g); /* the clone lives on */
    assert_int_equal(c->n_nodes, 1);
    assert_string_equal(type_of(c, "x"), "f32[2]");
    graph_destroy(c);
}

static void reads_constants_of_every_number_type(void **state)
{
    struct graph *g = graph_of(
        "graph g { const a: i8[2] = {-3, 7}  const b: u16[] = {65535}  const c: i64[] = {-9}\n"
        "const d: f16[2] = {0.5, -2.0}  const e: f64[] = {0.1}  const f: bool[] = {1}\n"
        "const h: u64[] = {18446744073709551615}  const s: string[] = {\"1\"} const q: i4[2] = {1, "
        "-1} }");
    int64_t i;
    double d;

    (void)state;
    assert_true(graph_constant_i64(g, value(g, "a"), 1, &i) && i == 7);
    assert_false(graph_constant_i64(g, value(g, "a"), 2, &i));
    assert_true(graph_constant_i64(g, value(g, "b"), 0, &i) && i == 65535);
    assert_true(graph_constant_i64(g, value(g, "c"), 0, &i) && i == -9);
    assert_true(graph_constant_i64(g, value(g, "f"), 0, &i) && i == 1);
    assert_false(graph_constant_i64(g, value(g, "h"), 0, &i)); /* does not fit */
    assert_false(graph_constant_i64(g, value(g, "d"), 0, &i));
    assert_true(graph_constant_float(g, value(g, "d"), 1, &d) && d == -2.0);
    assert_true(graph_constant_float(g, value(g, "e"), 0, &d) && d == 0.1);
    assert_true(graph_constant_float(g, value(g, "a"), 0, &d) && d == -3.0);
    assert_false(graph_constant_float(g, value(g, "s"), 0, &d));
    assert_false(graph_constant_i64(g, value(g, "q"), 0, &i));
    assert_false(graph_constant_i64(g, -1, 0, &i));
    graph_destroy(g);
}

static void sees_inputs_changed_past_the_functions(void **state)
{
    struct graph *g = graph_of(chain);
    struct err err = { 0 };

    (void)state;
    ((int *)(uintptr_t)g->nodes[1].in)[0] = value(g, "x");
    assert_int_equal(graph_check(g, &err), ST_INTERNAL);
    assert_non_null(strstr(err.text, "graph_set_input"));
    graph_destroy(g);
}

static void fails_cleanly_when_memory_runs_out(void **state)
{
    struct err err;
    struct graph *g, *c;

    (void)state;
    for (uint64_t n = 1;; n++) {
        status st;
        err = (struct err){ 0 };
        g = c = NULL;
        mem_fail_after(n, 1);
        st = graph_parse(chain, sizeof chain - 1, &g, &err);
        if (st == ST_OK) st = graph_clone(g, &c, &err);
        if (st == ST_OK) st = graph_compact(c, &err);
        mem_fail_after(0, 0);
        graph_destroy(c);
        graph_destroy(g);
        if (st == ST_OK) break;
        assert_int_not_equal(err.text[0], 0);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_uses_of_nodes_and_outputs),
        cmocka_unit_test(finds_users_in_order),
        cmocka_unit_test(replaces_every_use),
        cmocka_unit_test(replaces_uses_within_subgraphs),
        cmocka_unit_test(sorts_appended_nodes_before_their_users),
        cmocka_unit_test(refuses_cycles),
        cmocka_unit_test(sorts_a_long_chain_without_recursion),
        cmocka_unit_test(clones_are_edited_apart),
        cmocka_unit_test(reads_constants_of_every_number_type),
        cmocka_unit_test(sees_inputs_changed_past_the_functions),
        cmocka_unit_test(fails_cleanly_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
