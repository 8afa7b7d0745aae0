/* SPDX-License-Identifier: MIT */
/* Inference with concrete input shapes gives the types that onnxruntime's run had:
 * tests/fixtures/infer, recorded by make_shapes.py. */
#include "helper_graph.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* "f32[1,5]" */
static struct tensor_type type_from(const char *text)
{
    struct tensor_type t = { .ndim = 0 };
    char name[16];
    const char *open = strchr(text, '[');

    (void)snprintf(name, sizeof name, "%.*s", (int)(open - text), text);
    t.dtype = dtype_parse(name);
    for (const char *p = open + 1; *p != ']';) {
        char *end;
        t.dim[t.ndim++] = strtoll(p, &end, 10);
        p = *end == ',' ? end + 1 : end;
    }
    return t;
}

/* Forgets every type but those of constants, so that nothing declared in the file can help. */
static void forget_types(struct graph *g)
{
    for (size_t i = 0; i < g->n_values; i++) {
        if (!g->values[i].data)
            g->values[i].type = (struct tensor_type){ .dtype = DT_NONE, .ndim = -1 };
    }
    for (size_t i = 0; i < g->n_nodes; i++) {
        for (int a = 0; a < g->nodes[i].n_attrs; a++) {
            if (g->nodes[i].attrs[a].type == ATTR_GRAPH) forget_types(g->nodes[i].attrs[a].graph);
        }
    }
}

struct tally {
    int values, known;
};

static void compare(const struct graph *g, const char *model, const char *name,
                    const struct tensor_type *want, struct tally *t)
{
    char a[128], b[128];
    const int v = graph_find_value(g, name);

    if (v < 0) fail_msg("%s: no value '%s'", model, name);
    const struct tensor_type *have = &g->values[v].type;
    bool same = have->dtype == want->dtype && (have->ndim < 0 || have->ndim == want->ndim),
         known = have->ndim >= 0;
    for (int i = 0; same && i < have->ndim; i++) {
        same = have->dim[i] < 0 || have->dim[i] == want->dim[i];
        known = known && have->dim[i] >= 0;
    }
    if (!same)
        fail_msg("%s: '%s' is %s, the run had %s", model, name, type_print(have, a, sizeof a),
                 type_print(want, b, sizeof b));
    t->values++;
    t->known += known;
    /* known when it runs only: lengths of caches, which branch of longrope's If, results of
     * optimum's shape arithmetic */
    if (!known && !str_starts(name, "present") && !str_ends(name, "_cache") &&
        !strstr(model, "optimum"))
        fail_msg("%s: '%s' is only %s", model, name, type_print(have, a, sizeof a));
}

static void set_input(struct graph *g, const char *model, const char *name,
                      const struct tensor_type *t)
{
    const int v = graph_find_value(g, name);

    if (v < 0) fail_msg("%s: no input '%s'", model, name);
    g->values[v].type = *t;
}

/* Lines of one kind ("in" or "value"). */
static void each_line(struct graph *g, const char *model, char *text, const char *kind,
                      struct tally *t)
{
    for (char *line = text, *next; *line; line = next) {
        char what[8] = "", name[512] = "", type[128] = "";
        next = strchr(line, '\n') + 1;
        assert_int_equal(sscanf(line, "%7[^\t]\t%511[^\t]\t%127[^\n]", what, name, type), 3);
        const struct tensor_type want = type_from(type);
        if (strcmp(what, kind) != 0) continue;
        if (!strcmp(kind, "in"))
            set_input(g, model, name, &want);
        else
            compare(g, model, name, &want, t);
    }
}

static void check_model(const char *name, struct tally *total)
{
    char path[4096], *text = NULL;
    struct err err = { 0 };
    struct graph *g = NULL;
    struct tally t = { 0 };
    size_t n;

    (void)snprintf(path, sizeof path, "%s/%s/model.onnx", fixture("models"), name);
    if (onnx_import_file(path, NULL, &g, &err) != ST_OK) fail_msg("%s", err.text);
    (void)snprintf(path, sizeof path, "%s/%s.txt", fixture("infer"), name);
    if (os_read_file(path, 0, &text, &n, &err) != ST_OK) fail_msg("%s", err.text);
    forget_types(g);
    each_line(g, name, text, "in", &t);
    if (graph_infer(g, &err) != ST_OK) fail_msg("%s: %s", name, err.text);
    each_line(g, name, text, "value", &t);
    total->values += t.values;
    total->known += t.known;
    mem_free(text);
    graph_destroy(g);
}

static void agrees_with_recorded_runs(void **state)
{
    struct err err = { 0 };
    struct tally fused = { 0 }, pieces = { 0 }; /* optimum writes shapes in pieces */
    char **names;
    size_t n;

    (void)state;
    assert_int_equal(os_list_dir(fixture("models"), &names, &n, &err), ST_OK);
    for (size_t i = 0; i < n; i++) {
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", fixture("models"), names[i]);
        if (os_is_dir(path)) check_model(names[i], strstr(names[i], "optimum") ? &pieces : &fused);
    }
    print_message("%d of %d and %d of %d values wholly known\n", fused.known, fused.values,
                  pieces.known, pieces.values);
    assert_true(fused.values > 1000);
    assert_true(fused.known * 10 >= fused.values * 9);
    assert_true(pieces.known * 2 >= pieces.values);
    os_free_list(names, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(agrees_with_recorded_runs) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
