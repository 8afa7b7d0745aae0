/* SPDX-License-Identifier: MIT */
/* Raw data stays in the mapped file: the graph is the one that the bytes in memory give, whatever
 * the file does with its fields, and large tensors are not copied. */
#include "engine/graph/graph_internal.h"
#include "helper_graph.h"
#include "helper_mapped.h"
#include "helper_onnx.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum { FIELD_INITIALIZER = 5, FIELD_RAW = 9, FIELD_ATTR_TENSOR = 5, U8 = 2, F32 = 1, I64 = 7 };
enum { LARGE = 70000 }; /* bytes: beyond what is copied to be aligned */

static char pattern[LARGE * 2];

static void fill_pattern(void)
{
    for (size_t i = 0; i < sizeof pattern; i++) pattern[i] = (char)(i * 7 + i / 251);
}

/* Both ways of import, which must say and give the same; the mapped graph, or NULL where both
 * refuse. */
static struct graph *import_both(const struct str *model)
{
    struct graph *a = NULL, *b = NULL;
    struct err ea = { 0 }, eb = { 0 };
    const status sa = onnx_import_memory(
        &(struct onnx_bytes){ model->data, model->len, "mem", NULL }, NULL, &a, &ea);
    const status sb = import_mapped(model->data, model->len, NULL, &b, &eb);

    if (sa != sb || strcmp(ea.text, eb.text) != 0)
        fail_msg("memory %d '%s', mapped %d '%s'", (int)sa, ea.text, (int)sb, eb.text);
    if (sa != ST_OK) return NULL;
    char *la = listing_of(a), *lb = listing_of(b);
    assert_string_equal(la, lb);
    mem_free(la);
    mem_free(lb);
    graph_destroy(a);
    return b;
}

static bool in_mapping(const struct graph *g, const char *value)
{
    const uint8_t *p = g->values[graph_find_value(g, value)].data;

    for (const struct graph_mapping *m = g->storage->mappings; m; m = m->next)
        if (p >= m->map.data && p < m->map.data + m->map.size) return true;
    return false;
}

/* A graph whose outputs are its initializers, which the caller has put. */
static void finish(struct str *model, struct str *graph, const char *name, int type, int64_t n)
{
    onnx_put_value(graph, 12, name, type, (int64_t[]){ n, -1 });
    onnx_put_model(model, graph, 21);
}

/* Raw data of these sizes in one tensor, one field after the other. */
static void put_raws(struct str *tensor, const size_t *sizes, size_t n)
{
    for (size_t i = 0; i < n; i++) onnx_put_bytes(tensor, FIELD_RAW, pattern + i, sizes[i]);
}

static void takes_raw_data_of_any_size(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 300; n++) {
        struct str model = { 0 }, graph = { 0 }, w = { 0 };

        onnx_put_tensor_head(&w, "w", U8, (int64_t[]){ (int64_t)n, -1 });
        put_raws(&w, &n, 1);
        onnx_put_message(&graph, FIELD_INITIALIZER, &w);
        finish(&model, &graph, "w", U8, (int64_t)n);
        struct graph *g = import_both(&model);
        assert_non_null(g);
        assert_int_equal(in_mapping(g, "w"), n >= 16);
        graph_destroy(g);
        str_fini(&model);
    }
}

static void takes_the_last_of_repeated_fields(void **state)
{
    static const size_t sizes[][3] = {
        { 8, LARGE, 0 }, { LARGE, 8, 0 }, { LARGE, LARGE, 0 }, { 17, 16, 15 },   { 15, 16, 17 },
        { 16, 16, 16 },  { 0, LARGE, 0 }, { LARGE, 0, 8 },     { LARGE, 8, 16 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t n = 1; n <= 3; n++)
            for (size_t want = 0; want < 3; want++) { /* the size that the type takes */
                struct str model = { 0 }, graph = { 0 }, w = { 0 };

                onnx_put_tensor_head(&w, "w", U8, (int64_t[]){ (int64_t)sizes[i][want], -1 });
                put_raws(&w, sizes[i], n);
                onnx_put_message(&graph, FIELD_INITIALIZER, &w);
                finish(&model, &graph, "w", U8, (int64_t)sizes[i][want]);
                struct graph *g = import_both(&model);
                assert_int_equal(g != NULL, sizes[i][n - 1] == sizes[i][want]);
                if (g && sizes[i][n - 1] > 0)
                    assert_memory_equal(g->values[graph_find_value(g, "w")].data, pattern + n - 1,
                                        sizes[i][n - 1]);
                graph_destroy(g);
                str_fini(&model);
            }
}

/* AttributeProto.t in two parts is one message to protobuf: the first has the type and other data.
 */
static void takes_messages_in_parts(void **state)
{
    struct str model = { 0 }, graph = { 0 }, node = { 0 }, a = { 0 }, t = { 0 };
    const size_t sizes[] = { LARGE };

    (void)state;
    onnx_put_text(&a, 1, "value");
    onnx_put_tensor_head(&t, "t", U8, (int64_t[]){ LARGE, -1 });
    onnx_put_bytes(&t, FIELD_RAW, pattern + 99, 20);
    onnx_put_message(&a, FIELD_ATTR_TENSOR, &t);
    t = (struct str){ 0 };
    put_raws(&t, sizes, 1);
    onnx_put_message(&a, FIELD_ATTR_TENSOR, &t);
    onnx_put_number(&a, 20, 4);
    onnx_put_text(&node, 2, "w");
    onnx_put_text(&node, 4, "Constant");
    onnx_put_message(&node, 5, &a);
    onnx_put_message(&graph, 1, &node);
    finish(&model, &graph, "w", U8, LARGE);
    struct graph *g = import_both(&model);
    assert_non_null(g);
    assert_true(in_mapping(g, "w"));
    assert_memory_equal(g->values[graph_find_value(g, "w")].data, pattern, LARGE);
    graph_destroy(g);
    str_fini(&model);
}

/* A length may be written longer than need be; the skeleton keeps its width. */
static void takes_padded_lengths(void **state)
{
    struct str model = { 0 }, graph = { 0 }, w = { 0 }, padded = { 0 };

    (void)state;
    onnx_put_tensor_head(&w, "w", U8, (int64_t[]){ 40, -1 });
    onnx_put_varint(&w, FIELD_RAW << 3 | 2);
    str_put_n(&w, "\xa8\x80\x80\x00", 4); /* 40 */
    str_put_n(&w, pattern, 40);
    onnx_put_varint(&graph, FIELD_INITIALIZER << 3 | 2);
    str_put_char(&graph, (char)(w.len | 128));
    str_put_n(&graph, "\x80\x80\x00", 3);
    str_put_n(&graph, w.data, w.len);
    str_fini(&w);
    finish(&model, &graph, "w", U8, 40);
    struct graph *g = import_both(&model);
    assert_non_null(g);
    assert_memory_equal(g->values[graph_find_value(g, "w")].data, pattern, 40);
    graph_destroy(g);
    str_fini(&model);
    str_fini(&padded);
}

static void refuses_raw_beside_other_data(void **state)
{
    (void)state;
    for (int external = 0; external <= 1; external++) {
        struct str model = { 0 }, graph = { 0 }, w = { 0 };

        onnx_put_tensor_head(&w, "w", external ? U8 : F32, (int64_t[]){ 64, -1 });
        onnx_put_bytes(&w, FIELD_RAW, pattern, external ? 64 : 256);
        if (external)
            onnx_put_external(&w, "weights.bin", 0, 64);
        else
            onnx_put_bytes(&w, 4, pattern, 256); /* float_data */
        onnx_put_message(&graph, FIELD_INITIALIZER, &w);
        finish(&model, &graph, "w", external ? U8 : F32, 64);
        assert_null(import_both(&model));
        str_fini(&model);
    }
}

static void refuses_what_is_cut_off(void **state)
{
    struct str model = { 0 }, graph = { 0 }, w = { 0 };
    const size_t sizes[] = { 300 };

    (void)state;
    onnx_put_tensor_head(&w, "w", U8, (int64_t[]){ 300, -1 });
    put_raws(&w, sizes, 1);
    onnx_put_message(&graph, FIELD_INITIALIZER, &w);
    finish(&model, &graph, "w", U8, 300);
    for (size_t n = 1; n < model.len; n++) {
        const struct str part = { .data = model.data, .len = n };

        graph_destroy(import_both(&part));
    }
    str_fini(&model);
}

/* Odd addresses: what a weight's reader takes as it lies stays, what is added to is copied. */
static void aligns_what_must_be(void **state)
{
    struct str model = { 0 }, graph = { 0 };
    static const char *const names[] = { "w", "b" };
    const int64_t square[] = { 160, 160, -1 };

    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        for (size_t i = 0; i < COUNT(names); i++) {
            struct str w = { 0 };

            for (size_t k = 0; k < shift; k++) onnx_put_text(&w, 12, "0123"); /* doc_string */
            if (shift) onnx_put_text(&w, 12, "0123" + shift);
            onnx_put_tensor_head(&w, names[i], F32, square);
            onnx_put_bytes(&w, FIELD_RAW, pattern, 160 * 160 * 4);
            onnx_put_message(&graph, FIELD_INITIALIZER, &w);
        }
        onnx_put_node(&graph,
                      &(struct onnx_node){ .op = "MatMul", .in = { "x", "w" }, .out = "t" });
        onnx_put_node(&graph, &(struct onnx_node){ .op = "Add", .in = { "t", "b" }, .out = "y" });
        onnx_put_value(&graph, 11, "x", F32, square);
        onnx_put_value(&graph, 12, "y", F32, square);
        onnx_put_model(&model, &graph, 21);
        struct graph *g = import_both(&model);
        assert_non_null(g);
        assert_true(in_mapping(g, "w"));
        const void *b = g->values[graph_find_value(g, "b")].data;
        assert_int_equal((uintptr_t)b % 4, 0);
        graph_destroy(g);
        str_fini(&model);
        model = graph = (struct str){ 0 };
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_raw_data_of_any_size),
        cmocka_unit_test(takes_the_last_of_repeated_fields),
        cmocka_unit_test(takes_messages_in_parts),
        cmocka_unit_test(takes_padded_lengths),
        cmocka_unit_test(refuses_raw_beside_other_data),
        cmocka_unit_test(refuses_what_is_cut_off),
        cmocka_unit_test(aligns_what_must_be),
    };

    fill_pattern();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
