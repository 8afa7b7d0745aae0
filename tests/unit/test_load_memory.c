/* SPDX-License-Identifier: MIT */
/* What loading takes: the packed weights and little more, not the pages of the file they came from
 * as well. Counted in resident pages, as the system sees them. */
#include "engine/onnx/onnx_import.h"
#include "engine/passes/passes.h"
#include "engine/plan/plan.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum { WIDTH = 1024, LAYERS = 12, LAYER_BYTES = WIDTH * WIDTH * 4, MIB = 1 << 20 };
enum { WEIGHT_BYTES = LAYERS * LAYER_BYTES };
/* Beside the ten per cent: stacks and arenas of the workers, the graph; and what a sanitizer's
 * shadow of the packed weights takes, an eighth. */
enum { SLACK_BYTES = 8 * MIB };

/* ---- a model of matrix products with external weights, in protobuf's own bytes ---- */

static void put_varint(struct str *s, uint64_t v)
{
    for (; v > 127; v >>= 7) str_put_char(s, (char)(v | 128));
    str_put_char(s, (char)v);
}

static void put_number(struct str *s, unsigned field, uint64_t v)
{
    put_varint(s, field << 3);
    put_varint(s, v);
}

static void put_bytes(struct str *s, unsigned field, const char *data, size_t n)
{
    put_varint(s, field << 3 | 2);
    put_varint(s, n);
    str_put_n(s, data, n);
}

static void put_text(struct str *s, unsigned field, const char *text)
{
    put_bytes(s, field, text, strlen(text));
}

/* The inner message, which is given up. */
static void put_message(struct str *s, unsigned field, struct str *inner)
{
    put_bytes(s, field, str_cstr(inner), inner->len);
    str_fini(inner);
}

static void put_entry(struct str *tensor, const char *key, const char *value)
{
    struct str e = { 0 };

    put_text(&e, 1, key);
    put_text(&e, 2, value);
    put_message(tensor, 13, &e);
}

static void put_layer(struct str *graph, int i)
{
    struct str node = { 0 }, w = { 0 };
    char in[16], out[16], name[16], number[24];

    snprintf(in, sizeof in, "h%d", i);
    snprintf(out, sizeof out, "h%d", i + 1);
    snprintf(name, sizeof name, "w%d", i);
    put_text(&node, 1, in);
    put_text(&node, 1, name);
    put_text(&node, 2, out);
    put_text(&node, 4, "MatMul");
    put_message(graph, 1, &node);
    put_number(&w, 1, WIDTH);
    put_number(&w, 1, WIDTH);
    put_number(&w, 2, 1); /* FLOAT */
    put_text(&w, 8, name);
    put_entry(&w, "location", "weights.bin");
    snprintf(number, sizeof number, "%d", i * LAYER_BYTES);
    put_entry(&w, "offset", number);
    snprintf(number, sizeof number, "%d", LAYER_BYTES);
    put_entry(&w, "length", number);
    put_number(&w, 14, 1); /* EXTERNAL */
    put_message(graph, 5, &w);
}

static void put_row(struct str *graph, unsigned field, int i)
{
    struct str info = { 0 }, type = { 0 }, tensor = { 0 }, shape = { 0 }, dim = { 0 };
    char name[16];

    snprintf(name, sizeof name, "h%d", i);
    put_number(&dim, 1, 1);
    put_message(&shape, 1, &dim);
    dim = (struct str){ 0 };
    put_number(&dim, 1, WIDTH);
    put_message(&shape, 1, &dim);
    put_number(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    put_message(graph, field, &info);
}

static void write_model(const char *path)
{
    struct str model = { 0 }, graph = { 0 }, opset = { 0 };

    for (int i = 0; i < LAYERS; i++) put_layer(&graph, i);
    put_text(&graph, 2, "g");
    put_row(&graph, 11, 0);
    put_row(&graph, 12, LAYERS);
    put_number(&model, 1, 10);
    put_message(&model, 7, &graph);
    put_number(&opset, 2, 21);
    put_message(&model, 8, &opset);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(str_cstr(&model), 1, model.len, f), model.len);
    assert_int_equal(fclose(f), 0);
    str_fini(&model);
}

struct folder {
    char dir[64], model[96], weights[96];
};

static void folder_create(struct folder *f)
{
    strcpy(f->dir, "/tmp/cupola-load-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->model, sizeof f->model, "%s/model.onnx", f->dir);
    snprintf(f->weights, sizeof f->weights, "%s/weights.bin", f->dir);
    write_model(f->model);
    const int fd = open(f->weights, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, WEIGHT_BYTES), 0);
    assert_int_equal(close(fd), 0);
}

static void folder_remove(struct folder *f)
{
    unlink(f->model);
    unlink(f->weights);
    rmdir(f->dir);
}

/* ---- resident pages ---- */

/* A line of /proc/self/status, in bytes. */
static long resident(const char *key)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "r");

    assert_non_null(f);
    while (kib < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) kib = strtol(line + strlen(key) + 1, NULL, 10);
    fclose(f);
    return kib * 1024;
}

static bool reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");

    if (!f) return false;
    const bool ok = fputs("5", f) >= 0;
    return fclose(f) == 0 && ok;
}

/* Emulators of other processors ignore the advice, and then there is nothing to see. */
static bool system_gives_pages_back(const struct folder *f)
{
    struct os_mapping map;
    volatile unsigned sum = 0;

    assert_int_equal(os_map_file(f->weights, &map, NULL), ST_OK);
    for (size_t i = 0; i < map.size; i += 4096) sum += map.data[i];
    const long full = resident("VmRSS");
    (void)madvise((void *)(uintptr_t)map.data, map.size, MADV_DONTNEED);
    const long less = full - resident("VmRSS");
    os_unmap(&map);
    return less > WEIGHT_BYTES / 10 * 9;
}

static void packing_takes_the_packed_weights_and_a_tenth(void **state)
{
    const struct plan_bounds bounds = { 1, 1, 1 };
    const struct backend_config bc = { .n_threads = 2 };
    struct backend *be = NULL;
    struct graph *imported = NULL, *g = NULL;
    struct plan plan;
    struct folder f;
    struct err err = { 0 };

    (void)state;
    folder_create(&f);
    if (!system_gives_pages_back(&f) || !reset_peak()) {
        folder_remove(&f);
        skip();
    }
    assert_int_equal(backend_find("cpu")->open(&be, &bc, &err), ST_OK);
    const struct pass_context ctx = { .backend = be };
    if (onnx_import_file(f.model, NULL, &imported, &err) != ST_OK) fail_msg("%s", err.text);
    if (passes_run(imported, NULL, &ctx, &g, &err) != ST_OK) fail_msg("%s", err.text);
    graph_destroy(imported);
    assert_true(reset_peak());
    const long before = resident("VmRSS");
    if (plan_open(&plan, g, be, &bounds, NULL, NULL, &err) != ST_OK) fail_msg("%s", err.text);
    const long peak = resident("VmHWM") - before, after = resident("VmRSS") - before;
    assert_in_range(after, WEIGHT_BYTES / 10 * 9, WEIGHT_BYTES / 10 * 11 + SLACK_BYTES);
    assert_in_range(peak, WEIGHT_BYTES / 10 * 9, WEIGHT_BYTES / 10 * 11 + SLACK_BYTES);
    plan_fini(&plan);
    graph_destroy(g);
    be->ops->close(be);
    folder_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_takes_the_packed_weights_and_a_tenth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
