/* SPDX-License-Identifier: MIT */
/* The text form prints, and parses back to an equal graph. */
#include "helper_graph.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* Prints, parses, prints: the same text. */
static void assert_round_trip(const struct graph *g, const char *what)
{
    char *a = listing_of(g);
    struct graph *again = graph_of(a);
    char *b = listing_of(again);

    if (strcmp(a, b) != 0) fail_msg("%s changes when printed and parsed", what);
    mem_free(a);
    mem_free(b);
    graph_destroy(again);
}

static void prints_as_written(void **state)
{
    static const char text[] =
        "graph \"two words\" {\n"
        "    opset 22, com.microsoft 1\n"
        "    in x: f32[batch,\"past + seq\",4]\n"
        "    in ids: i64[*]\n"
        "    const w: f32[2] = {0.1, -0.0}\n"
        "    const /a.b/c_d-e: i64[1] = {-1}\n"
        "    const many: f32[16] = fill(1.5)\n"
        "    r = Relu(x)\n"
        "    h: f32[?,8], _ = com.microsoft.SimplifiedLayerNormalization(x, w) @7\n"
        "    \"in\" = Clip(h, _, w) {_note: \"a \\\"b\\\" \\\\ \\x01\"} as /layers.0/clip\n"
        "    s = Softmax(\"in\") {axis: -1} @11\n"
        "    out \"in\", s, r, ids, /a.b/c_d-e\n"
        "}\n";
    struct graph *g = graph_of(text);
    char *printed = listing_of(g);

    (void)state;
    assert_round_trip(g, "the sample");
    assert_non_null(strstr(
        printed,
        " = SimplifiedLayerNormalization(x, w)")); /* the alias prints under its primary name */
    assert_non_null(strstr(printed, "    in x: f32[batch,\"past + seq\",4]\n"));
    assert_non_null(strstr(printed, "    const w: f32[2] = {0.1, -0.0}\n"));
    assert_null(strstr(printed, "many")); /* constants that nothing uses are left out */
    assert_non_null(strstr(
        printed,
        "    \"in\" = Clip(h, _, w) {_note: \"a \\\"b\\\" \\\\ \\x01\"} as /layers.0/clip\n"));
    assert_non_null(strstr(printed, "    s = Softmax(\"in\") {axis: -1} @11\n"));
    mem_free(printed);
    graph_destroy(g);
}

/* Parsed back from its listing, the graph's outputs hold the same bytes. */
static void assert_same_constants(const struct graph *g)
{
    char *text = listing_of(g);
    struct graph *again = graph_of(text);

    for (size_t i = 0; i < g->n_outputs; i++) {
        const struct graph_value *a = &g->values[g->outputs[i]];
        const struct graph_value *b = &again->values[again->outputs[i]];
        size_t n;

        assert_true(type_equal(&a->type, &b->type));
        assert_true(type_bytes(&a->type, &n));
        if (a->type.dtype != DT_STRING && memcmp(a->data, b->data, n) != 0)
            fail_msg("the elements of '%s' change", a->name);
    }
    mem_free(text);
    graph_destroy(again);
}

static void keeps_every_dtype(void **state)
{
    static const char text[] =
        "graph g {\n"
        "const a: f32[5] = {nan, inf, -inf, 0x7fc00001, 3.4028235e38}\n"
        "const b: f64[3] = {0.1, 1e300, 0x7ff8000000000001}\n"
        "const c: f16[3] = {65504.0, 0.333251953125, 0x7e01}  const d: bf16[2] = {1.0, inf}\n"
        "const e: u8[2] = {0, 255}  const f: i8[2] = {-128, 127}  const h: u16[1] = {65535}  const "
        "i: i16[1] = {-32768}\n"
        "const j: u32[1] = {4294967295}  const k: i32[1] = {-2147483648}  const l: u64[1] = "
        "{18446744073709551615}\n"
        "const m: i64[2] = {-9223372036854775808, 9223372036854775807}  const n: bool[2] = {0, 1}\n"
        "const o: u4[3] = {15, 0, 7}  const p: i4[3] = {-8, 7, -1}  const q: u2[5] = {3, 2, 1, 0, "
        "3}  const r: i2[2] = {-2, 1}\n"
        "const s: string[3] = {\"\", \"a\\x00b\", \"\\xff\"}  const t: f8e4m3fn[2] = hex(\"7f01\") "
        " const u: c64[1] = hex(\"0000803f00000040\")\n"
        "const v: f4e2m1[3] = hex(\"2f03\")  const w: f32[0] = {}  const x: i64[] = {3}  const y: "
        "i32[3,4] = fill(-7)\n"
        "out a, b, c, d, e, f, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y }";
    struct graph *g = graph_of(text);
    const uint8_t *i4 = g->values[graph_find_value(g, "p")].data;
    uint32_t bits;

    (void)state;
    assert_round_trip(g, "the constants");
    assert_same_constants(g);
    assert_int_equal(i4[0], 0x78); /* low nibble first */
    assert_int_equal(i4[1], 0x0f);
    memcpy(&bits, (const float *)g->values[graph_find_value(g, "a")].data + 3, sizeof bits);
    assert_int_equal(bits, 0x7fc00001);
    graph_destroy(g);
}

static void keeps_every_attribute(void **state)
{
    struct graph *g = graph_of("graph g { in x: f32[2,3]\n"
                               "a = Relu(x) {_i: -5, _f: 2.0, _g: 1e-06, _n: nan, _h: 0xffc00001, "
                               "_s: \"\", _is: [1, 2], _fs: [1.0, inf], _ss: [\"p\", \"q\"],\n"
                               "  _ei: ints[], _ef: floats[], _es: strings[], _t: f16[2]{1.0, "
                               "2.0}, _g2: graph inner { z = Neg(x) out z }}\n out a }");
    const struct attr *attrs = g->nodes[0].attrs;

    (void)state;
    assert_round_trip(g, "the attributes");
    assert_int_equal(g->nodes[0].n_attrs, 14);
    assert_int_equal(attrs[0].type, ATTR_INT);
    assert_int_equal(attrs[1].type, ATTR_FLOAT);
    assert_int_equal(attrs[9].type, ATTR_INTS);
    assert_non_null(attrs[9].ints.v); /* an empty list is not an absent one */
    assert_int_equal(attrs[12].tensor.type.dtype, DT_F16);
    graph_destroy(g);
}

static void shortens_large_constants_to_a_hash(void **state)
{
    const struct graph_print_options few = { .constant_elements_max = 2 };
    struct graph *g = graph_of("graph g { const a: i32[3] = {1, 2, 3}  out a }"), *again = NULL;
    struct str out = { 0 };
    struct err err = { 0 };

    (void)state;
    assert_int_equal(graph_print(g, &few, &out, NULL), ST_OK);
    assert_non_null(strstr(out.data, "const a: i32[3] = hash("));
    assert_int_equal(graph_parse(out.data, out.len, &again, &err), ST_FORMAT);
    assert_non_null(strstr(err.text, "line 2: the elements of this constant were not printed"));
    str_fini(&out);
    graph_destroy(g);
}

static const struct {
    const char *text, *error;
} wrong[] = {
    { "", "line 1: expected 'graph'" },
    { "graph g {", "expected '}', the text ends" },
    { "graph g { } x", "text after the graph" },
    { "graph g {\n\n y = Relu(x) }", "line 3: value 'x' is not made before" },
    { "graph g { in x: f32[2]  x = Relu(x) }", "value 'x' is made twice" },
    { "graph g { in x: f33[2] }", "'f33' is not a type" },
    { "graph g { in x: f32[-2] }", "'-2'" },
    { "graph g { in x: f32[1,1,1,1,1,1,1,1,1] }", "more than 8 dimensions" },
    { "graph g { in x: f32[2]  y = Nope(x) }", "operator 'Nope' is not known" },
    { "graph g { in x: f32[2]  y = Relu(x, x)  out y }",
      "node 'Relu_0' (Relu): 2 inputs, expected 1 to 1" },
    { "graph g { const c: i8[1] = {128} }", "'128' is not an element of i8" },
    { "graph g { const c: i8[2] = {1} }", "expected ','" },
    { "graph g { const c: i8[1] = {1, 2} }", "more than 1 elements" },
    { "graph g { const c: i8[n] = {1} }", "a type that is not known" },
    { "graph g { const c: i8[100000000000] = fill(0) }", "too many for this text" },
    { "graph g { const c: i8[9223372036854775807,9] = fill(0) }", "elements" },
    { "graph g { const c: f32[1] = {abc} }", "'abc' is not a number" },
    { "graph g { const c: f32[1] = hex(\"00\") }", "2 hex digits, expected 8" },
    { "graph g { in x: f32[1]  y = Relu(x) {a: [1, 2.0]} }", "mixed" },
    { "graph g { in x: f32[1]  y = Relu(x) {a: []} }", "an empty list is written" },
    { "graph g { in x: f32[1]  y = Relu(x) {a: 1 b: 2} }", "expected ','" },
    { "graph g { in x: f32[1]  y = Relu(x) {a: \"q} }", "a string does not end" },
    { "graph g { in x: f32[1]  y = Relu(x) {a: \"\\q\"} }", "an escape" },
    { "graph g { capture x }", "capture outside a subgraph" },
    { "graph g { out _ }", "an output that is absent" },
};

static void tells_what_is_wrong_and_where(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct err err = { 0 };
        struct graph *g = NULL;
        if (graph_parse(wrong[i].text, strlen(wrong[i].text), &g, &err) == ST_OK)
            fail_msg("accepted: %s", wrong[i].text);
        if (!strstr(err.text, wrong[i].error)) fail_msg("%s\ngave: %s", wrong[i].text, err.text);
        assert_null(g);
    }
}

static void refuses_deep_nesting(void **state)
{
    struct str text = { 0 };
    struct err err = { 0 };
    struct graph *g = NULL;

    (void)state;
    str_put(&text, "graph g { in c: bool[] ");
    for (int i = 0; i < 20000; i++) str_put(&text, "y = If(c) {then_branch: graph g {");
    assert_int_equal(graph_parse(text.data, text.len, &g, &err), ST_FORMAT);
    assert_non_null(strstr(err.text, "nest deeper"));
    str_fini(&text);
}

static void round_trips_the_models(void **state)
{
    char **names, path[4096];
    size_t n, done = 0;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(os_list_dir(fixture("models"), &names, &n, &err), ST_OK);
    for (size_t i = 0; i < n; i++) {
        struct graph *g = NULL;
        (void)snprintf(path, sizeof path, "%s/%s/model.onnx", fixture("models"), names[i]);
        if (!os_is_file(path)) continue;
        if (onnx_import_file(path, NULL, &g, &err) != ST_OK) fail_msg("%s", err.text);
        assert_round_trip(g, names[i]);
        graph_destroy(g);
        done++;
    }
    assert_true(done >= 20);
    os_free_list(names, n);
}

static void exports_json_and_dot(void **state)
{
    struct graph *g = graph_of(
        "graph \"g\\\"\" { in c: bool[]  in x: f32[b]  const k: f32[1] = {1.0}\n"
        "y = If(c) {then_branch: graph t { s = Add(x, k) out s }, else_branch: graph e { out x }}\n"
        "z = Clip(y, _, k) {_a: [1, 2], _b: 0.5, _c: nan, _d: \"\\x01\"}  out z, x }");
    struct str json = { 0 }, dot = { 0 };
    struct err err = { 0 };
    cJSON *tree = NULL;

    (void)state;
    assert_int_equal(graph_infer(g, &err), ST_OK);
    assert_int_equal(graph_print_json(g, &json, &err), ST_OK);
    if (json_parse(json.data, json.len, NULL, &tree, &err) != ST_OK)
        fail_msg("%s: %s", err.text, json.data);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "nodes")), 2);
    assert_string_equal(
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "inputs"), 1), "type")
            ->valuestring,
        "f32[b]");
    json_free(tree);
    assert_int_equal(graph_print_dot(g, &dot, &err), ST_OK);
    assert_non_null(strstr(dot.data, "n0 -> n1"));
    str_fini(&json);
    str_fini(&dot);
    graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_as_written),
        cmocka_unit_test(keeps_every_dtype),
        cmocka_unit_test(keeps_every_attribute),
        cmocka_unit_test(shortens_large_constants_to_a_hash),
        cmocka_unit_test(tells_what_is_wrong_and_where),
        cmocka_unit_test(refuses_deep_nesting),
        cmocka_unit_test(round_trips_the_models),
        cmocka_unit_test(exports_json_and_dot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
