/* SPDX-License-Identifier: MIT */
/* What loading takes: at its highest the packed weights, a tenth more, and a fixed allowance; not
 * the pages of the file they came from as well. Each model is loaded in a process of its own and
 * counted in resident pages, as the system sees them. */
#include "engine/onnx/onnx_import.h"
#include "engine/passes/passes.h"
#include "engine/plan/plan.h"
#include "helper_onnx.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* Every model is LAYERS square layers and a head of about the weight of all of them together: a
 * loader that has the largest layer's source in memory while it packs it goes beyond the bound. */
enum { WIDTH = 1024, LAYERS = 8, MIB = 1 << 20, ALIGNED = 64 };
/* Beside the tenth: the program's own pages that loading touches first, the stacks, arenas and
 * slices of the workers, the graph; and what a sanitizer's shadow of the packed weights takes. */
enum { ALLOWANCE_BYTES = 12 * MIB };
enum { F32 = 1, U8 = 2, I64 = 7, F16 = 10 };

/* ---- models ---- */

struct maker {
    struct str graph;
    uint64_t at; /* in weights.bin */
    bool inside; /* weights are raw data of model.onnx */
};

static const size_t elem_bytes[] = { [F32] = 4, [U8] = 1, [I64] = 8, [F16] = 2 };

/* A tensor of zeros. What lies inside the model begins wherever it comes to lie. */
static void put_weight(struct maker *m, const char *name, int type, const int64_t *dims)
{
    size_t bytes = elem_bytes[type];
    struct str t = { 0 };

    for (const int64_t *d = dims; *d >= 0; d++) bytes *= (size_t)*d;
    onnx_put_tensor_head(&t, name, type, dims);
    if (m->inside) {
        void *zeros = mem_calloc(bytes, 1);
        onnx_put_bytes(&t, 9, zeros, bytes);
        mem_free(zeros);
    } else {
        onnx_put_external(&t, "weights.bin", m->at, bytes);
        m->at += (bytes + ALIGNED - 1) / ALIGNED * ALIGNED;
    }
    onnx_put_message(&m->graph, 5, &t);
}

static void layer_names(char name[3][16], int i)
{
    snprintf(name[0], sizeof name[0], "h%d", i);
    snprintf(name[1], sizeof name[1], "w%d", i);
    snprintf(name[2], sizeof name[2], "h%d", i + 1);
}

static void put_float_layer(struct maker *m, int i, int type, int64_t columns)
{
    char name[3][16];

    layer_names(name, i);
    onnx_put_node(&m->graph, &(struct onnx_node){
                                 .op = "MatMul", .in = { name[0], name[1] }, .out = name[2] });
    put_weight(m, name[1], type, (int64_t[]){ WIDTH, columns, -1 });
}

/* As the builder writes int4: blocks of 32, scales of half floats or floats. */
static void put_int4_layer(struct maker *m, int i, int64_t columns)
{
    char name[3][16], scales[16];

    layer_names(name, i);
    snprintf(scales, sizeof scales, "s%d", i);
    onnx_put_node(&m->graph, &(struct onnx_node){ .op = "MatMulNBits",
                                                  .domain = "com.microsoft",
                                                  .in = { name[0], name[1], scales },
                                                  .out = name[2],
                                                  .ints = { { "K", WIDTH },
                                                            { "N", columns },
                                                            { "bits", 4 },
                                                            { "block_size", 32 },
                                                            { "accuracy_level", 4 } } });
    put_weight(m, name[1], U8, (int64_t[]){ columns, WIDTH / 32, 16, -1 });
    put_weight(m, scales, F32, (int64_t[]){ columns * WIDTH / 32, -1 });
}

/* The same as DequantizeLinear in front of a MatMul: the codes are laid out anew before they are
 * packed. */
static void put_qdq_layer(struct maker *m, int i, int64_t columns)
{
    char name[3][16], scales[16], floats[16];

    layer_names(name, i);
    snprintf(scales, sizeof scales, "s%d", i);
    snprintf(floats, sizeof floats, "f%d", i);
    onnx_put_node(&m->graph,
                  &(struct onnx_node){ .op = "DequantizeLinear",
                                       .in = { name[1], scales },
                                       .out = floats,
                                       .ints = { { "axis", 0 }, { "block_size", 32 } } });
    onnx_put_node(&m->graph,
                  &(struct onnx_node){ .op = "MatMul", .in = { name[0], floats }, .out = name[2] });
    put_weight(m, name[1], U8, (int64_t[]){ WIDTH, columns, -1 });
    put_weight(m, scales, F32, (int64_t[]){ WIDTH / 32, columns, -1 });
}

static void put_edges(struct maker *m, int type, int last, int64_t columns)
{
    char name[16];

    onnx_put_value(&m->graph, 11, "h0", type, (int64_t[]){ 1, WIDTH, -1 });
    snprintf(name, sizeof name, "h%d", last);
    onnx_put_value(&m->graph, 12, name, type, (int64_t[]){ 1, columns, -1 });
}

static void make_int4(struct maker *m)
{
    for (int i = 0; i < LAYERS; i++) put_int4_layer(m, i, WIDTH);
    put_int4_layer(m, LAYERS, 64 * WIDTH);
    put_edges(m, F32, LAYERS + 1, 64 * WIDTH);
}

static void make_qdq(struct maker *m)
{
    for (int i = 0; i < LAYERS; i++) put_qdq_layer(m, i, WIDTH);
    put_qdq_layer(m, LAYERS, 32 * WIDTH);
    put_edges(m, F32, LAYERS + 1, 32 * WIDTH);
}

static void make_floats(struct maker *m)
{
    for (int i = 0; i < LAYERS; i++) put_float_layer(m, i, F32, WIDTH);
    put_float_layer(m, LAYERS, F32, 8 * WIDTH);
    put_edges(m, F32, LAYERS + 1, 8 * WIDTH);
}

static void make_floats_inside(struct maker *m)
{
    m->inside = true;
    make_floats(m);
}

/* Tied embeddings as optimum writes them: rows of a table are gathered, and its transpose is the
 * head. The table stays mapped, and the head is packed from it. */
static void make_tied(struct maker *m, int type)
{
    const int64_t vocab = (type == F32 ? 8 : 24) * WIDTH;
    char name[16];

    onnx_put_node(&m->graph,
                  &(struct onnx_node){ .op = "Gather", .in = { "table", "ids" }, .out = "h0" });
    put_weight(m, "table", type, (int64_t[]){ vocab, WIDTH, -1 });
    for (int i = 0; i < LAYERS; i++) put_float_layer(m, i, type, WIDTH);
    onnx_put_node(&m->graph,
                  &(struct onnx_node){ .op = "Transpose", .in = { "table" }, .out = "head" });
    snprintf(name, sizeof name, "h%d", LAYERS);
    onnx_put_node(&m->graph,
                  &(struct onnx_node){ .op = "MatMul", .in = { name, "head" }, .out = "y" });
    onnx_put_value(&m->graph, 11, "ids", I64, (int64_t[]){ 1, -1 });
    onnx_put_value(&m->graph, 12, "y", type, (int64_t[]){ 1, vocab, -1 });
}

/* As the GenAI builder writes them: the head's weights are in the file, and rows of their transpose
 * are gathered. */
static void make_tied_by_head(struct maker *m)
{
    const int64_t vocab = 24 * WIDTH;
    char name[16];

    onnx_put_node(&m->graph,
                  &(struct onnx_node){ .op = "Transpose", .in = { "head" }, .out = "table" });
    onnx_put_node(&m->graph,
                  &(struct onnx_node){ .op = "Gather", .in = { "table", "ids" }, .out = "h0" });
    for (int i = 0; i < LAYERS; i++) put_float_layer(m, i, F16, WIDTH);
    snprintf(name, sizeof name, "h%d", LAYERS);
    onnx_put_node(&m->graph,
                  &(struct onnx_node){ .op = "MatMul", .in = { name, "head" }, .out = "y" });
    put_weight(m, "head", F16, (int64_t[]){ WIDTH, vocab, -1 });
    onnx_put_value(&m->graph, 11, "ids", I64, (int64_t[]){ 1, -1 });
    onnx_put_value(&m->graph, 12, "y", F16, (int64_t[]){ 1, vocab, -1 });
}

static void make_tied_f32(struct maker *m) { make_tied(m, F32); }

static void make_tied_f16(struct maker *m) { make_tied(m, F16); }

static void make_tied_inside(struct maker *m)
{
    m->inside = true;
    make_tied(m, F16);
}

struct folder {
    char dir[64], model[96], weights[96];
};

static void write_folder(const struct folder *f, void (*make)(struct maker *m))
{
    struct maker m = { 0 };
    struct str model = { 0 };

    make(&m);
    onnx_put_model(&model, &m.graph, 21);
    FILE *file = fopen(f->model, "wb");
    const int fd = open(f->weights, O_CREAT | O_WRONLY, 0600);
    if (!file || fwrite(str_cstr(&model), 1, model.len, file) != model.len || fclose(file) != 0 ||
        fd < 0 || ftruncate(fd, (off_t)m.at) != 0 || close(fd) != 0)
        _exit(1);
}

static void folder_remove(const struct folder *f)
{
    unlink(f->model);
    unlink(f->weights);
    rmdir(f->dir);
}

/* ---- processes ---- */

struct job {
    const struct folder *folder;
    void (*make)(struct maker *m);
    int out; /* where the loader writes its figures */
};

/* Runs fn in a process of its own, so that what it takes and touches counts for nobody else. */
static int in_child(int (*fn)(const struct job *job), const struct job *job)
{
    int how = -1;

    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) _exit(fn(job));
    assert_true(pid > 0 && waitpid(pid, &how, 0) == pid);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static int child_write(const struct job *job)
{
    write_folder(job->folder, job->make);
    return 0;
}

/* A line of /proc/self/status, in bytes. */
static int64_t resident(const char *key)
{
    char line[256];
    int64_t kib = -1;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && kib < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) kib = strtol(line + strlen(key) + 1, NULL, 10);
    if (f) fclose(f);
    return kib * 1024;
}

static bool reset_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");

    if (!f) return false;
    const bool ok = fputs("5", f) >= 0;
    return fclose(f) == 0 && ok;
}

struct figures {
    int64_t peak, after, packed; /* bytes; the first two beyond what the process had */
};

static int child_load(const struct job *job)
{
    const struct plan_config pc = { .tokens_max = 1, .rows_max = 1, .seqs_max = 1 };
    const struct backend_config bc = { .n_threads = 2 };
    struct graph *imported = NULL, *g = NULL;
    struct figures out;
    struct backend *be;
    struct plan plan;
    struct err err = { 0 };

    if (backend_find("cpu")->open(&be, &bc, &err) != ST_OK || !reset_peak()) return 1;
    const struct pass_context ctx = { .backend = be };
    const int64_t base = resident("VmRSS");
    status st = onnx_import_file(job->folder->model, NULL, &imported, &err);
    if (st == ST_OK) st = passes_run(imported, NULL, &ctx, &g, &err);
    graph_destroy(imported);
    if (st == ST_OK) st = plan_open(&plan, g, be, &pc, &err);
    if (st != ST_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    out = (struct figures){ resident("VmHWM") - base, resident("VmRSS") - base,
                            (int64_t)plan.packed_bytes };
    plan_fini(&plan);
    graph_destroy(g);
    be->ops->close(be);
    return write(job->out, &out, sizeof out) == (ssize_t)sizeof out ? 0 : 1;
}

/* Emulators of other processors ignore the advice, and then there is nothing to see: 2. */
static int child_probe(const struct job *job)
{
    volatile unsigned char last; /* each page is read */
    struct os_mapping map;

    if (os_map_file(job->folder->weights, &map, NULL) != ST_OK) return 1;
    for (size_t i = 0; i < map.size; i += 4096) last = map.data[i];
    (void)last;
    const int64_t full = resident("VmRSS");
    (void)madvise((void *)(uintptr_t)map.data, map.size, MADV_DONTNEED);
    const int64_t less = full - resident("VmRSS");
    const bool gives = less > (int64_t)map.size / 10 * 9 && reset_peak();
    os_unmap(&map);
    return gives ? 0 : 2;
}

static void folder_create(struct folder *f, void (*make)(struct maker *m))
{
    strcpy(f->dir, "/tmp/cupola-load-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->model, sizeof f->model, "%s/model.onnx", f->dir);
    snprintf(f->weights, sizeof f->weights, "%s/weights.bin", f->dir);
    assert_int_equal(in_child(child_write, &(struct job){ .folder = f, .make = make }), 0);
}

/* ---- the bound ---- */

static bool gives_pages_back(void)
{
    struct folder f;

    folder_create(&f, make_int4);
    const int how = in_child(child_probe, &(struct job){ .folder = &f });
    folder_remove(&f);
    assert_int_not_equal(how, 1);
    return how == 0;
}

static void load(const char *name, void (*make)(struct maker *m))
{
    struct figures got = { 0 };
    struct folder f;
    int ends[2];

    if (!gives_pages_back()) skip();
    folder_create(&f, make);
    assert_int_equal(pipe(ends), 0);
    const struct job job = { .folder = &f, .out = ends[1] };
    const int how = in_child(child_load, &job);
    close(ends[1]);
    const bool have = read(ends[0], &got, sizeof got) == (ssize_t)sizeof got;
    close(ends[0]);
    folder_remove(&f);
    assert_int_equal(how, 0);
    assert_true(have);
    printf("%s: %.1f MiB packed, %.1f at the peak, %.1f after\n", name, (double)got.packed / MIB,
           (double)got.peak / MIB, (double)got.after / MIB);
    assert_true(got.packed > 40 * MIB && got.after >= got.packed / 10 * 9);
    if (got.peak > got.packed / 10 * 11 + ALLOWANCE_BYTES)
        fail_msg("%s: a peak of %.1f MiB, %.1f packed", name, (double)got.peak / MIB,
                 (double)got.packed / MIB);
}

static void takes_packed_int4(void **state)
{
    (void)state;
    load("int4 in a file beside", make_int4);
}

static void takes_packed_qdq(void **state)
{
    (void)state;
    load("QDQ in a file beside", make_qdq);
}

static void takes_packed_floats(void **state)
{
    (void)state;
    load("f32 in a file beside", make_floats);
}

static void takes_packed_floats_of_the_model(void **state)
{
    (void)state;
    load("f32 within model.onnx", make_floats_inside);
}

static void takes_tied_embeddings_once(void **state)
{
    (void)state;
    load("tied f32", make_tied_f32);
    load("tied f16", make_tied_f16);
    load("tied f16 within model.onnx", make_tied_inside);
    load("tied f16, the head in the file", make_tied_by_head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_packed_int4),
        cmocka_unit_test(takes_packed_qdq),
        cmocka_unit_test(takes_packed_floats),
        cmocka_unit_test(takes_packed_floats_of_the_model),
        cmocka_unit_test(takes_tied_embeddings_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
